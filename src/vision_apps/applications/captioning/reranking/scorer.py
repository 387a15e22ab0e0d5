"""What a scorer is."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from vision_apps.applications.captioning.captioner import Seen
from vision_apps.applications.captioning.types import CaptionBatch, CaptionOutputs
from vision_apps.core.losses import Part
from vision_apps.data.captions.words import END, PAST


class Candidates(NamedTuple):
    """Captions of pictures that are to be ordered."""

    words: Tensor  # int64 [B, N, T]: numbers of words, the end, zeros; a row of zeros is none
    log_probabilities: Tensor  # float [B, N], nat, of the whole caption
    maps: Tensor  # float [B, N, T, P]: where each word was looked for
    seen: Seen

    @property
    def said(self) -> Tensor:
        """bool [B, N, T]: where a word stands, and not the end."""
        return (self.words != PAST) & (self.words != END)


class Scorer(nn.Module, ABC):
    """Says of each candidate something that its probability does not.

    Args:
        weight: what the score is multiplied with before it is added; 0: it is not asked.
    """

    # why it cannot score, and what to do about it, where {key} stands for its own; nothing where it can
    missing: str = ""
    learned: float = 0.0  # weight of its loss; 0: it has none

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = weight

    def build(self, features: int) -> None:
        """Make what learns of what is seen, so many features of each place. Called once."""

    @abstractmethod
    def forward(self, candidates: Candidates) -> Tensor:
        """A finite score of each candidate, float [B, N], greater is better; it depends on nothing but the
        candidate and what is seen of its picture."""

    def loss(self, outputs: CaptionOutputs, batch: CaptionBatch) -> Part | None:
        """What is minimised while the captioner learns; ``outputs.seen`` is there."""
        return None


def likelihoods(candidates: Candidates, length_penalty: float) -> Tensor:
    """Log-probability over ``count ** length_penalty``, where ``count`` is the number of words and the end,
    as `beam.beam_search` orders: float [B, N]."""
    count = (candidates.words != PAST).sum(-1).clamp_min(1)
    return candidates.log_probabilities / count**length_penalty
