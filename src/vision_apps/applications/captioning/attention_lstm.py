"""The captioner of Show, Attend and Tell (Xu et al., arXiv:1502.03044, 2015) with soft attention."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
        # equation 7: the next word is told from the word before, the state, and what was looked at
        self.from_state = nn.Linear(hidden, embedding)
        self.from_seen = nn.Linear(self.features, embedding, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding, len(vocabulary))

    def read(self, seen: Seen) -> tuple[Memory, State]:
        mean = seen.tokens.sum(1) / seen.there.sum(1, keepdim=True)
        hidden, cell = self.start(mean).tanh().chunk(2, dim=-1)
        return (seen.tokens, self.of_places(seen.tokens), seen.there), (hidden, cell)

    def step(self, memory: Memory, words: Tensor, state: State) -> Step:
        tokens, keys, there = memory
        hidden, cell = state
        compared = (keys[:, None] + self.of_state(hidden)[:, :, None]).tanh()  # [B, K, P, A]
        fits = self.weigh(compared)[..., 0].masked_fill(~there[:, None], -torch.inf)
        maps = fits.softmax(-1)
        seen = self.gate(hidden).sigmoid() * (maps @ tokens)
        word = self.dropout(self.words(words))
        B, K = words.shape
        given = torch.cat((word, seen), dim=-1).flatten(0, 1)
        hidden, cell = (
            part.unflatten(0, (B, K)) for part in self.lstm(given, (hidden.flatten(0, 1), cell.flatten(0, 1)))
        )
        told = word + self.from_state(hidden) + self.from_seen(seen)
        return Step(self.head(self.dropout(told.tanh())), maps, (hidden, cell))

    def teach(self, seen: Seen, captions: Tensor, own_words: float = 0.0) -> CaptionOutputs:
        memory, first = self.read(seen)
        rows = captions.shape[1]
        state: State = tuple(part[:, None].expand(-1, rows, -1) for part in first)
        word = torch.full_like(captions[..., 0], PAST)
        logits, maps = [], []
        for place in range(captions.shape[2]):
            told = self.step(memory, word, state)
            state = told.state
            logits.append(told.logits)
            maps.append(told.maps)
            word = captions[..., place]
            if own_words:
                # the greatest of logits with Gumbel noise is a draw by their softmax, for each picture
                noise = -draws.uniform(*told.logits.shape, low=1e-9).log()
                own = (told.logits.detach().float() - noise.to(word.device).log()).argmax(-1)
                instead = draws.uniform(*word.shape).to(word.device) < own_words
                word = torch.where(instead & (word != PAST), own, word)
        return CaptionOutputs(captions, torch.stack(logits, dim=2), torch.stack(maps, dim=2))
