"""The samples of an evaluation that were answered worst."""

from typing import Generic, NamedTuple

from torch import Tensor

from vision_apps.core.fields import AnswerT, BatchT, FieldsT, replaced, row


class Judged(NamedTuple, Generic[BatchT, AnswerT]):
    """One sample and its answer, batches of one."""

    quality: float
    sample: BatchT
    answer: AnswerT


class Worst(Generic[BatchT, AnswerT]):
    """Keeps the ``count`` samples and answers of lowest quality, of whatever lengths and sizes."""

    def __init__(self, count: int = 8) -> None:
        self.count = count
        self._kept: list[Judged[BatchT, AnswerT]] = []  # worst first

    def update(self, quality: Tensor, batch: BatchT, answer: AnswerT) -> None:
        """``quality`` [B]: higher is better; samples where it is NaN are passed over."""
        quality = quality.detach().float()
        full = len(self._kept) == self.count
        candidates = quality < self._kept[-1].quality if full else ~quality.isnan()
        numbers = candidates.nonzero().squeeze(1)
        numbers = numbers[quality[numbers].argsort(stable=True)][: self.count]
        new = [Judged(float(quality[i]), _copy(batch, i), _copy(answer, i)) for i in numbers.tolist()]
        self._kept = sorted([*self._kept, *new], key=lambda judged: judged.quality)[: self.count]

    def take(self) -> list[Judged[BatchT, AnswerT]]:
        """What is kept, worst first; then it starts anew."""
        kept, self._kept = self._kept, []
        return kept


def _copy(fields: FieldsT, index: int) -> FieldsT:
    """One sample, which does not keep its whole batch in memory."""
    return replaced(row(fields, index), Tensor.clone)
