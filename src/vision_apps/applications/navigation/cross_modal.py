"""A Transformer over words and views whose state goes round from step to step, after Hong et al. 2021
(recurrent vision-and-language BERT, arXiv:2011.13922), with nothing learned elsewhere."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.navigation.agent import Agent, Decision, Words
from vision_apps.applications.navigation.eyes import Eyes, Seen
from vision_apps.applications.navigation.types import DIRECTION, Observation
from vision_apps.core.errors import ConfigError


class CrossModal(Agent):
    """The words attend to each other, once. In each step a state, the candidates and the views attend to each
    other and to the words; the state then attends to the words alone, which is what is told of it, chooses
    the candidate that fits best, and is what is remembered.

    Args:
        vocabulary, actions, image_size, feature_width: of the data.
        width: of all vectors.
        heads: of an attention; they share the width.
        inner: units of the layers of each vector alone.
        reading, looking: layers over the words, and over what is seen.
        dropout: probability of dropping a weight of an attention or a unit of what is added.
        cell: of pictures, see `Eyes`.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        actions: int,
        image_size: int | Sequence[int],
        feature_width: int | None = None,
        width: int = 256,
        heads: int = 4,
        inner: int = 512,
        reading: int = 2,
        looking: int = 2,
        dropout: float = 0.1,
        cell: int = 8,
    ) -> None:
        super().__init__()
        if width % (2 * heads) or min(reading, looking) < 1:
            raise ConfigError(
                f"model.width: {width}, model.heads: {heads}, model.reading: {reading}, model.looking: "
                f"{looking}; expected an even number for each head, and at least one layer of each"
            )
        self.memory = width + 1  # the state, and whether it has begun
        self.width = width
        self.embedding = nn.Embedding(len(vocabulary), width, padding_idx=0)
        self.nothing = nn.Parameter(
            torch.randn(width) / width**0.5
        )  # what is attended to where nothing is told
        layer = nn.TransformerEncoderLayer(width, heads, inner, dropout, batch_first=True, norm_first=True)
        self.reader = nn.TransformerEncoder(layer, reading, nn.LayerNorm(width), enable_nested_tensor=False)
        self.begin = nn.Linear(width, width)
        self.eyes = Eyes(actions, image_size, feature_width, cell, width)
        self.pictures = not self.eyes.features
        self.view = nn.Linear(self.eyes.view_width, width)
        self.candidate = nn.Linear(self.eyes.candidate_width, width)
        self.action = nn.Linear(DIRECTION, width)
        self.lookers = nn.ModuleList(
            nn.TransformerDecoderLayer(width, heads, inner, dropout, batch_first=True, norm_first=True)
            for _ in range(looking)
        )
        self.asking = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.choosing = nn.Linear(width, width)

    def read(self, instructions: Tensor) -> Words:
        there = instructions != 0
        told = there.any(1)
        vectors = self.embedding(instructions) + positions(
            instructions.shape[1], self.width, instructions.device
        )
        past = self._past(there)
        vectors = self.reader(
            torch.where(told[:, None, None], vectors, self.nothing), src_key_padding_mask=past
        )
        vectors = vectors * ~past[..., None]
        whole = vectors.sum(1) / (~past).sum(1)[:, None]
        return Words(vectors, there, whole * told[:, None])

    @staticmethod
    def _past(there: Tensor) -> Tensor:
        """What is not attended to, bool [B, L]: all but the words, and where there is none all but the first
        place, as an attention to nothing is not defined."""
        first = torch.arange(there.shape[1], device=there.device) == 0
        return ~(there | (first & ~there.any(1)[:, None]))

    def see(self, observation: Observation, words: Words) -> tuple[Tensor, ...]:
        seen: Seen = self.eyes(observation)
        return seen._replace(
            views=self.view(seen.views), candidates=self.candidate(seen.candidates), led=self.action(seen.led)
        )

    def decide(self, seen: tuple[Tensor, ...], words: Words, memory: Tensor) -> Decision:
        around, past = Seen(*seen), self._past(words.there)
        begun = memory[:, -1:]
        state = torch.where(begun > 0, memory[:, :-1], self.begin(words.whole)) + around.led
        vectors = torch.cat((state[:, None], around.candidates, around.views), 1)
        known = torch.zeros_like(vectors[..., 0], dtype=torch.bool)
        count = around.candidates.shape[1]
        absent = torch.cat((known[:, :1], ~around.possible, known[:, 1 + count :]), 1)
        for layer in self.lookers:
            vectors = layer(vectors, words.vectors, tgt_key_padding_mask=absent, memory_key_padding_mask=past)
        state = vectors[:, 0]
        heard, attention = self.asking(
            self.before(state)[:, None], words.vectors, words.vectors, key_padding_mask=past
        )
        state = self.after(state + heard[:, 0])
        fits = (vectors[:, 1 : 1 + count] @ self.choosing(state)[:, :, None])[..., 0] / self.width**0.5
        return Decision(
            fits.masked_fill(~around.possible, -torch.inf),
            torch.cat((state, torch.ones_like(begun)), 1),
            attention[:, 0] * words.there,
        )


def positions(length: int, width: int, device: torch.device) -> Tensor:
    """Where a word stands, as waves (Vaswani et al. 2017, arXiv:1706.03762, section 3.5): [length, width]."""
    rates = 10_000 ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), 1)
