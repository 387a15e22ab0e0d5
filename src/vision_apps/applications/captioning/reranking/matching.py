"""Whether a sentence fits a picture, by a small network of its own."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.applications.captioning.reranking.scorer import Candidates, Scorer
from vision_apps.applications.captioning.types import CaptionBatch, CaptionOutputs
from vision_apps.core import draws
from vision_apps.core.losses import Part
from vision_apps.data.captions.words import END, PAST, SPECIAL

NEIGHBOURS = 7  # words that the meaning of one depends on, itself included


class Matching(Scorer):
    """The mean over words of how well each fits the place that it fits best (Karpathy and Fei-Fei, CVPR 2015,
    equation 8), without a bound; words are told from those around them.

    It learns beside the captions to tell each reference from a wrong one: the same with one word in place of
    another that no reference of the picture has, and that the captioner might have said there. The log-odds
    of a reference are the difference of both scores.

    Args:
        vocabulary: as the data have it.
        size: features that words and places are compared in.
        loss: weight of what is learned; 0: nothing is, and there is no score.
    """

    def __init__(
        self, vocabulary: Sequence[str], size: int = 64, weight: float = 0.0, loss: float = 0.0
    ) -> None:
        super().__init__(weight)
        self.vocabulary = len(vocabulary)
        self.size = size
        self.learned = loss
        self.missing = "" if loss else "it has not learned which sentences fit; train with {key}.loss=0.1"

    def build(self, features: int) -> None:
        if not self.learned:
            return
        self.of_places = nn.Sequential(
            nn.Linear(features, 2 * self.size), nn.ReLU(), nn.Linear(2 * self.size, self.size)
        )
        self.words = nn.Embedding(self.vocabulary, self.size, padding_idx=PAST)
        self.of_words = nn.Conv1d(self.size, self.size, NEIGHBOURS, padding=NEIGHBOURS // 2)

    def forward(self, candidates: Candidates) -> Tensor:
        return self.fit(candidates.words, candidates.seen.tokens, candidates.seen.there)

    def fit(self, captions: Tensor, tokens: Tensor, there: Tensor) -> Tensor:
        """Of captions int64 [B, N, T] and what is seen, [B, P, C] and where something is, bool [B, P]: float
        [B, N]. Nothing past the end has a part in it."""
        own = captions.masked_fill(captions == END, PAST)
        said = own != PAST
        words = self.of_words(self.words(own).flatten(0, 1).mT).mT.unflatten(0, own.shape[:2])
        fits = torch.einsum("bntc,bpc->bntp", words, self.of_places(tokens)).float() / self.size**0.5
        best = fits.masked_fill(~there[:, None, None], -torch.inf).amax(-1)  # [B, N, T]
        return (best * said).sum(-1) / said.sum(-1).clamp_min(1)

    def loss(self, outputs: CaptionOutputs, batch: CaptionBatch) -> Part | None:
        """``-log`` of the probability (nat) that a reference is told from its wrong one, over references."""
        if not self.learned:
            return None
        assert outputs.seen is not None
        wrong, there = mistaken(outputs.captions, outputs.logits.detach(), batch.captions, self.training)
        seen = outputs.seen
        right = self.fit(outputs.captions, seen.tokens, seen.there)
        odds = right - self.fit(wrong, seen.tokens, seen.there)
        return Part((F.softplus(-odds) * there).sum(), there.sum(), self.learned)


def mistaken(captions: Tensor, logits: Tensor, references: Tensor, drawn: bool) -> tuple[Tensor, Tensor]:
    """Each caption with one word in place of a wrong one, by how likely the captioner would have said that
    there: drawn, or the likeliest mistake of all.

    Args:
        captions: int64 [B, R, L]: numbers of words, the end, zeros.
        logits: [B, R, L, V], of each word after the true ones before it.
        references: int64 [B, Q, M], all that are known of each picture: their words are not wrong.

    Returns:
        int64 [B, R, L]; and bool [B, R], whether a caption has a wrong word: not where it has no word, or its
        picture's references have the whole vocabulary.
    """
    B, _, _, V = logits.shape
    right = torch.zeros(B, V, dtype=torch.bool, device=logits.device)
    right.scatter_(1, references.flatten(1), True)
    right[:, : len(SPECIAL)] = True
    chances = logits.float().log_softmax(-1).masked_fill(right[:, None, None], -torch.inf)
    said = (captions != PAST) & (captions != END)
    places = chances.logsumexp(-1).masked_fill(~said, -torch.inf)
    there = (places > -torch.inf).any(-1)
    if drawn:
        places = places + _gumbel(places)
    place = places.argmax(-1, keepdim=True)  # [B, R, 1]
    words = chances.gather(2, place[..., None].expand(-1, -1, 1, V))[:, :, 0]
    if drawn:
        words = words + _gumbel(words)
    wrong = captions.scatter(2, place, words.argmax(-1, keepdim=True))
    return torch.where(there[..., None], wrong, captions), there


def _gumbel(values: Tensor) -> Tensor:
    """What makes of the greatest of log-probabilities a draw, for each picture."""
    noise = draws.uniform(*values.shape, low=1e-9).to(values.device)
    return -(-noise.log()).log()
