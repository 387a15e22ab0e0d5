"""The samples of an evaluation that were answered worst."""

from typing import Any

import torch
from torch import Tensor


class Worst:
    """Keeps the batch rows and answers of lowest quality; both are NamedTuples of tensors over the batch.

    Args:
        count: how many are kept.
    """

    def __init__(self, count: int = 8) -> None:
        self.count = count
        self.quality = torch.empty(0)
        self._kept: tuple[Any, Any] | None = None

    def update(self, quality: Tensor, batch: Any, answer: Any) -> None:
        """``quality`` [B]: higher is better; samples where it is NaN are passed over."""
        quality = quality.detach().float()
        if self._kept is not None:
            quality = torch.cat((self.quality.to(quality.device), quality))
            if self._full() and not (quality[self.count :] < self.quality[-1]).any():
                return
            batch, answer = (_join(*pair) for pair in zip(self._kept, (batch, answer), strict=True))
        rows = quality.argsort(stable=True)  # NaN last
        rows = rows[: min(self.count, int((~quality.isnan()).sum()))]
        self.quality = quality[rows]
        self._kept = (_rows(batch, rows), _rows(answer, rows))

    def _full(self) -> bool:
        return len(self.quality) == self.count

    def take(self) -> tuple[Any, Any] | None:
        """The batch and the answers, worst first, where there are any; then it starts anew."""
        kept = self._kept if len(self.quality) else None
        self.quality, self._kept = torch.empty(0), None
        return kept


def _rows(values: Any, rows: Tensor) -> Any:
    return type(values)(*(None if field is None else field[rows.to(field.device)] for field in values))


def _join(first: Any, second: Any) -> Any:
    """One after the other."""
    return type(first)(*(_cat(a, b) for a, b in zip(first, second, strict=True)))


def _cat(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat((first, second.to(first.device)))
