"""What answering minimises."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.applications.vqa.types import VqaBatch, asked
from vision_apps.core.losses import Part
from vision_apps.data.questions.official import ENOUGH, score

Objective = Literal["auto", "cross_entropy", "bce"]


def soft_scores(human_answers: Tensor, classes: int) -> Tensor:
    """How right each answer is by what people said, as `official.score` has it: int64 [..., P], -1 where
    somebody said what is not in the list -> float32 [..., K]."""
    people = human_answers.shape[-1]
    of_counts = torch.tensor([score(count, people) for count in range(people + 1)], dtype=torch.float32)
    one_more = human_answers.new_zeros(*human_answers.shape[:-1], classes + 1)
    listed = torch.where(human_answers >= 0, human_answers, classes)
    counts = one_more.scatter_add(-1, listed, torch.ones_like(listed))[..., :classes]
    return of_counts.to(counts.device)[counts]


def cross_entropy(logits: Tensor, batch: VqaBatch) -> Part:
    """The mean over the questions whose answer is in the list (nat)."""
    total = F.cross_entropy(
        logits.float().flatten(0, 1), batch.answers.flatten(), ignore_index=-1, reduction="sum"
    )
    return Part(total, (batch.answers >= 0).sum())


def binary_cross_entropy(logits: Tensor, batch: VqaBatch) -> Part:
    """Of each answer against its soft score, summed over the answers, the mean over the questions (nat;
    Teney et al. 2018, arXiv:1708.02711, section 3.7). Where the data have one true answer to each
    question, as those that a run is tested on may, it is what everybody said."""
    there = asked(batch.questions)
    said = batch.human_answers
    if said is None:
        # of so many people any one may be left out, as the score does, and enough remain
        said = batch.answers[..., None].expand(*batch.answers.shape, ENOUGH + 1)
    truth = soft_scores(said[there], logits.shape[-1])
    given = logits[there].float()
    total = F.binary_cross_entropy_with_logits(given, truth.to(given.dtype), reduction="sum")
    return Part(total, there.sum())
