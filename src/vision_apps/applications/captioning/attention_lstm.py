"""The captioner of Show, Attend and Tell (Xu et al., arXiv:1502.03044, 2015) with soft attention."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.captioning.additive_attention import exponential, fits
from vision_apps.applications.captioning.captioner import Captioner, Memory, Seen, State, Step
from vision_apps.applications.captioning.regions import Looked
from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.core import draws
from vision_apps.data.captions.words import PAST
from vision_apps.networks.backbones import Backbone


class AttentionLstm(Captioner):
    """An LSTM that looks at the places of a picture, its regions, or both anew before each word.

    Args:
        backbone: its coarsest map is looked at; of any size.
        embedding: features of a word.
        hidden: features of the LSTM.
        attention: features that places and state are compared in.
        dropout: probability of dropping a word's feature or one that the next word is told from.
        places, features, regions, region_width: see `Captioner`.
    """

    def __init__(
        self,
        backbone: Backbone,
        vocabulary: Sequence[str],
        embedding: int = 128,
        hidden: int = 128,
        attention: int = 64,
        dropout: float = 0.3,
        places: bool = True,
        features: Looked = "grid",
        regions: str | None = None,
        region_width: int | None = None,
    ) -> None:
        super().__init__(backbone, places, features, regions, region_width)
        self.words = nn.Embedding(len(vocabulary), embedding)
        self.start = nn.Linear(self.features, 2 * hidden)
        self.of_places = nn.Linear(self.features, attention)
        self.of_state = nn.Linear(hidden, attention, bias=False)
        self.weigh = nn.Linear(attention, 1, bias=False)
        self.gate = nn.Linear(hidden, self.features)
        self.lstm = nn.LSTMCell(embedding + self.features, hidden)
        self.from_state = nn.Linear(hidden, embedding)
        self.from_seen = nn.Linear(self.features, embedding, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding, len(vocabulary))

    def read(self, seen: Seen) -> tuple[Memory, State]:
        mean = seen.tokens.sum(1) / seen.there.sum(1, keepdim=True)
        hidden, cell = self.start(mean).tanh().chunk(2, dim=-1)
        barred = torch.zeros_like(seen.tokens[..., 0]).masked_fill(~seen.there, -torch.inf)
        return (seen.tokens, exponential(self.of_places(seen.tokens)), barred), (hidden, cell)

    def step(self, memory: Memory, words: Tensor, state: State) -> Step:
        word = self.dropout(self.words(words))
        seen, maps, state = self._moved(memory, word, state)
        return Step(self._told(word, state[0], seen), maps, state)

    def _moved(self, memory: Memory, word: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """After the vectors of words [B, K, E]: what is looked at [B, K, C], where [B, K, P], and the next
        state."""
        tokens, places, barred = memory  # minus infinity where nothing is
        hidden, cell = state
        found = fits(places, exponential(self.of_state(hidden)), self.weigh.weight[0])
        maps = (found + barred[:, None]).softmax(-1)
        seen = self.gate(hidden).sigmoid() * (maps @ tokens)
        rows = (torch.cat((word, seen), dim=-1), hidden, cell)
        given, *before = (part.flatten(0, 1) for part in rows)
        after = self.lstm(given, tuple(before))
        return seen, maps, tuple(part.view_as(hidden) for part in after)

    def _told(self, word: Tensor, hidden: Tensor, seen: Tensor) -> Tensor:
        """Equation 7: [..., V] of the word before, the state after it, and what was looked at."""
        return self.head(self.dropout((word + self.from_state(hidden) + self.from_seen(seen)).tanh()))

    def teach(self, seen: Seen, captions: Tensor, own_words: float = 0.0) -> CaptionOutputs:
        memory, first = self.read(seen)
        state: State = tuple(part[:, None].expand(-1, captions.shape[1], -1) for part in first)
        before = torch.nn.functional.pad(captions[..., :-1], (1, 0), value=PAST)
        told: list[tuple[Tensor, Tensor, Tensor]] = []
        maps = []
        for place, word in enumerate(self.dropout(self.words(before)).unbind(2)):
            if own_words and place:
                word = self._perhaps_own(before[..., place], word, told[-1], own_words)
            seen_now, where, state = self._moved(memory, word, state)
            told.append((word, state[0], seen_now))
            maps.append(where)
        logits = self._told(*(torch.stack(part, dim=2) for part in zip(*told, strict=True)))
        return CaptionOutputs(captions, logits, torch.stack(maps, dim=2))

    def _perhaps_own(
        self, words: Tensor, vectors: Tensor, told: tuple[Tensor, Tensor, Tensor], share: float
    ) -> Tensor:
        """The vectors of words int64 [B, R], of a share of them that of one that the network itself would
        have said, after what was ``told`` before."""
        with torch.no_grad():
            logits = self._told(*told).float()
        # the greatest of logits with Gumbel noise is a draw by their softmax, for each picture
        noise = -draws.uniform(*logits.shape, low=1e-9).log()
        own = (logits - noise.to(logits.device).log()).argmax(-1)
        instead = (draws.uniform(*words.shape).to(words.device) < share) & (words != PAST)
        return torch.where(instead[..., None], self.dropout(self.words(own)), vectors)
