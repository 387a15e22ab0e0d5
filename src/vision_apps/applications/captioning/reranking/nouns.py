"""Whether a caption names what is there."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.applications.captioning.pointing import named_classes
from vision_apps.applications.captioning.reranking.scorer import Candidates, Scorer
from vision_apps.applications.captioning.types import CaptionBatch, CaptionOutputs
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part

_TINY = 1e-6


class NounAgreement(Scorer):
    """How well the classes that a caption names agree with those that are seen in the picture: the Dice
    coefficient of both, 0 to 1, where a class that is seen counts by its probability.

    Which classes are seen is learned beside the captions, of data with boxes: the place where a class is
    likeliest says how likely it is in the picture. Only classes of one word are looked for.

    Args:
        vocabulary, class_names: as the data have them.
        loss: weight of what is learned of the classes; 0: nothing is, and there is no score.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        class_names: Sequence[str] = (),
        weight: float = 0.0,
        loss: float = 0.0,
    ) -> None:
        super().__init__(weight)
        if loss and not class_names:
            raise ConfigError(
                f"module.rerank: NounAgreement has loss={loss}, and the data have no boxes with classes to "
                "learn from; leave its loss at 0"
            )
        self.learned = loss
        self.named = named_classes(class_names, vocabulary)
        self.count = len(class_names)
        self.missing = "" if loss else "it has not learned which classes are seen; train with {key}.loss=0.1"
        self.of_places: nn.Linear | None = None

    def build(self, features: int) -> None:
        if self.learned:
            self.of_places = nn.Linear(features, self.count)

    def forward(self, candidates: Candidates) -> Tensor:
        words = candidates.words
        named = [(words == number).any(-1) for number in self.named]
        if not named:
            return words.new_zeros(words.shape[:2]).float()
        says = torch.stack(named, dim=-1).float()  # [B, N, K]
        seen = self._logits(candidates.seen.tokens, candidates.seen.there)[:, list(self.named.values())]
        seen = seen.sigmoid()[:, None]
        # a caption that names nothing where nothing is seen agrees
        return (2 * (says * seen).sum(-1) + _TINY) / (says.sum(-1) + seen.sum(-1) + _TINY)

    def loss(self, outputs: CaptionOutputs, batch: CaptionBatch) -> Part | None:
        """Binary cross-entropy (nat) over pictures and classes, of pictures with boxes."""
        if self.of_places is None:
            return None
        assert outputs.seen is not None
        logits = self._logits(outputs.seen.tokens, outputs.seen.there)
        if batch.box_labels is None:
            return Part(0 * logits.sum(), 0, self.learned)
        known = batch.box_labels >= 0
        there = F.one_hot(batch.box_labels.clamp_min(0), self.count) * known[..., None]
        truth = there.amax(1).to(logits)
        total = F.binary_cross_entropy_with_logits(logits, truth, reduction="sum")
        return Part(total, truth.numel(), self.learned)

    def _logits(self, tokens: Tensor, there: Tensor) -> Tensor:
        """Of each class in the picture, float [B, K]."""
        assert self.of_places is not None, "what is missing is asked before"
        return self.of_places(tokens).float().masked_fill(~there[..., None], -torch.inf).amax(1)
