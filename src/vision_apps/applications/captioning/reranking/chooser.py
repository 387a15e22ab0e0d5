"""Captions that a person chooses among."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vision_apps.applications.captioning.captioner import Captioner, Seen
from vision_apps.applications.captioning.metrics import texts_of
from vision_apps.applications.captioning.reranking.ranker import Ranker
from vision_apps.applications.captioning.reranking.scorer import Candidates, likelihoods
from vision_apps.applications.captioning.types import CaptionAnswer, CaptionInputs
from vision_apps.core.choosing import Chooser
from vision_apps.data.captions.words import PAST, encoded, numbered, words_of


class CaptionChooser(Chooser[CaptionInputs, CaptionAnswer]):
    """Any caption has scores, also one that no search has found: words that the vocabulary lacks are unknown
    ones, and of a longer caption than the captioner can say the first words count.

    Args:
        see: from inputs to what the network looks at.
        most: words of a caption.
    """

    def __init__(
        self,
        network: Captioner,
        see: Callable[[CaptionInputs], Seen],
        ranker: Ranker,
        vocabulary: Sequence[str],
        most: int,
    ) -> None:
        keys = {name: f"module.rerank.{name}.weight" for name in ranker.scorers}
        able = [name for name in keys if name not in ranker.missing]
        super().__init__(
            [keys[name] for name in able], {keys[name]: reason for name, reason in ranker.missing.items()}
        )
        self.network = network
        self.see = see
        self.scorers = [ranker.scorers[name] for name in able]
        self.length_penalty = ranker.length_penalty
        self.vocabulary = list(vocabulary)
        self.most = most

    def candidates(self, answer: CaptionAnswer) -> list[list[str]]:
        return [texts_of(captions, self.vocabulary) for captions in answer.words.tolist()]

    def scores(self, inputs: CaptionInputs, candidates: Sequence[str]) -> Tensor:
        texts = [words_of(text) for text in candidates]
        words = encoded(texts, numbered(self.vocabulary), len(texts), self.most)
        found = self._known(inputs, words[None].to(inputs.images.device))
        own = likelihoods(found, self.length_penalty)
        return torch.stack([own, *(scorer(found) for scorer in self.scorers)], dim=-1)[0]

    def _known(self, inputs: CaptionInputs, captions: Tensor) -> Candidates:
        """Captions int64 [B, N, T] as if a search had found them."""
        seen = self.see(inputs)
        told = self.network.teach(seen, captions)
        each = told.logits.float().log_softmax(-1).gather(-1, captions[..., None])[..., 0]
        return Candidates(captions, (each * (captions != PAST)).sum(-1), told.maps.float(), seen)
