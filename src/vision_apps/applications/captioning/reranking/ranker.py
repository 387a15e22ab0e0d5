"""The order that several scorers give together."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vision_apps.applications.captioning.beam import Beams, taken
from vision_apps.applications.captioning.captioner import Seen
from vision_apps.applications.captioning.reranking.scorer import Candidates, Scorer, likelihoods
from vision_apps.applications.captioning.types import CaptionBatch, CaptionOutputs
from vision_apps.core.errors import require_no
from vision_apps.core.losses import Part


class Ranker(nn.Module):
    """Orders what a beam search has found (after Biswas, Barz and Sonntag, KI 34:571-584, 2020, who let
    people do that): by the log-probability over ``count ** length_penalty``, as the search does, and the sum
    of the scores, each times its weight. Without a weight the order stays.

    Args:
        scorers: by name; those that are None are none.
        features: of each place that is seen.
    """

    def __init__(
        self, scorers: Mapping[str, Scorer | None], features: int, length_penalty: float = 0.0
    ) -> None:
        super().__init__()
        self.scorers = {name: scorer for name, scorer in scorers.items() if scorer is not None}
        keys = {name: f"module.rerank.{name}" for name in self.scorers}
        self.missing = {
            name: scorer.missing.format(key=keys[name])
            for name, scorer in self.scorers.items()
            if scorer.missing
        }
        require_no(
            f"{keys[name]}.weight: {self.scorers[name].weight}, but {reason}"
            for name, reason in self.missing.items()
            if self.scorers[name].weight
        )
        self.length_penalty = length_penalty
        for scorer in self.scorers.values():
            scorer.build(features)
        self.parts = nn.ModuleDict(self.scorers)  # whose weights are learned and kept

    def forward(self, found: Beams, seen: Seen) -> Beams:
        if not any(scorer.weight for scorer in self.scorers.values()):
            return found
        rows = self.order(Candidates(*found, seen))
        return Beams(*(taken(part, rows) for part in found))

    def order(self, candidates: Candidates) -> Tensor:
        """The numbers of the candidates, int64 [B, N], the best first; equal ones stay as they were, and rows
        without a word come last."""
        total = likelihoods(candidates, self.length_penalty)
        for scorer in self.scorers.values():
            if scorer.weight:
                total = total + scorer.weight * scorer(candidates)
        total = torch.where(candidates.words.any(-1), total, -torch.inf)
        return total.sort(dim=1, descending=True, stable=True).indices

    def losses(self, outputs: CaptionOutputs, batch: CaptionBatch) -> dict[str, Part]:
        """What the scorers learn by, ``rerank_<name>``; ``outputs.seen`` is there."""
        parts = {name: scorer.loss(outputs, batch) for name, scorer in self.scorers.items()}
        return {f"rerank_{name}": part for name, part in parts.items() if part is not None}
