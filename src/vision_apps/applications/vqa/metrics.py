"""How answers are scored."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from vision_apps.applications.vqa.losses import soft_scores
from vision_apps.applications.vqa.types import VqaAnswer, VqaBatch, asked
from vision_apps.core.mean import Mean


class ShareIfAny(Mean):
    """The share of what is so; None where nothing is."""

    def compute(self) -> Tensor | None:
        return super().compute() if self.total else None


def build(type_names: Sequence[str]) -> dict[str, Metric]:
    """``accuracy``, the share of the questions that the likeliest answer is right for, over all and for each
    type of question (``accuracy_color``); ``vqa_accuracy`` where several people answered each question, see
    `data.questions.official`; ``told_as_other`` where the truth about another picture is known and is
    another one: how often that one is the answer; ``unlisted``: the share of the questions whose answer is
    not in the list, which nobody can give. None where the data have nothing of the kind."""
    return {
        "accuracy": Mean(),
        **{name: Mean() for name in of_types(type_names)},
        "vqa_accuracy": Mean(),
        "told_as_other": Mean(),
        "unlisted": ShareIfAny(),
    }


def of_types(type_names: Sequence[str]) -> list[str]:
    """What the accuracy of each type of question is called: letters and digits of any script, and a number
    where another one is called so already."""
    found: list[str] = []
    for name in type_names:
        own = plain = "accuracy_" + re.sub(r"[\W_]+", "_", name.lower()).strip("_")
        while own in found or own == "accuracy_":
            own = f"{plain.rstrip('_')}_{len(found) + 1}"
        found.append(own)
    return found


def update(
    metrics: Mapping[str, Metric], answer: VqaAnswer, batch: VqaBatch, type_names: Sequence[str]
) -> None:
    there = asked(batch.questions)
    given, truth, types = (
        field[there] for field in (answer.probabilities.argmax(-1), batch.answers, batch.question_types)
    )
    right = given == truth
    metrics["accuracy"].update(right)
    metrics["unlisted"].update(truth < 0)
    for number, name in enumerate(of_types(type_names)):
        metrics[name].update(right[types == number])
    metrics["vqa_accuracy"].update(_by_people(given, answer, batch, there))
    other = truth if batch.other_answers is None else batch.other_answers[there]
    metrics["told_as_other"].update((given == other)[(other >= 0) & (other != truth)])


def _by_people(given: Tensor, answer: VqaAnswer, batch: VqaBatch, there: Tensor) -> Tensor:
    """How right each given answer is by what people said: [n], or nothing where nobody did."""
    if batch.human_answers is None:
        return given[:0]
    scores = soft_scores(batch.human_answers[there], answer.probabilities.shape[-1])
    return scores.gather(1, given[:, None])[:, 0]


def shares(batch: VqaBatch, types: int, answers: int) -> Tensor:
    """How often each answer is the true one among a batch's questions of each type: float32 [T + 1, K], the
    last row over all; a type that has no answered question there has that row."""
    known = (batch.answers >= 0) & (batch.question_types >= 0)
    pairs = batch.question_types[known] * answers + batch.answers[known]
    counts = torch.bincount(pairs, minlength=types * answers).view(types, answers).float()
    counts = torch.cat((counts, counts.sum(0, keepdim=True)))
    counts[-1] += counts[-1].sum() == 0  # of nothing: alike
    counts = torch.where(counts.sum(1, keepdim=True) > 0, counts, counts[-1])
    return counts / counts.sum(1, keepdim=True)
