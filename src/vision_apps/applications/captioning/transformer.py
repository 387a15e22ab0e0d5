"""A Transformer decoder (Vaswani et al., arXiv:1706.03762, 2017) that tells captions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.captioning.captioner import (
    Captioner,
    Memory,
    Seen,
    State,
    Step,
    drawn_words,
)
from vision_apps.applications.captioning.regions import Looked
from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.core import draws
from vision_apps.core.errors import ConfigError
from vision_apps.data.captions.words import PAST
from vision_apps.networks.backbones import Backbone


class Attention(nn.Module):
    """Scaled dot products of several heads (section 3.2), of keys and values that are computed once:
    `nn.MultiheadAttention` computes them anew with every word that is told."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def pair(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what may be looked at, [..., n, C]."""
        return self.key(given), self.value(given)

    def forward(self, asking: Tensor, keys: Tensor, values: Tensor, barred: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [..., q, C] and what they may look at, [..., n, C], but for what is ``barred``, bool that
        expands to [..., q, n] -> [..., q, C] and where each looked, [..., q, n], the mean over the heads."""
        asking, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for part in (self.query(asking), keys, values)
        )
        fits = asking @ keys.mT / math.sqrt(asking.shape[-1])
        weights = fits.masked_fill(barred.unsqueeze(-3), -torch.inf).softmax(-1)
        found: Tensor = self.out((weights @ values).transpose(-2, -3).flatten(-2))
        return found, weights.mean(-3)


class Layer(nn.Module):
    """Looks at the words before, then at the picture, then thinks of each word alone (section 3.1); each part
    normalises what goes in, which needs no care with the rate (Xiong et al., arXiv:2002.04745, 2020)."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.words, self.picture = Attention(width, heads), Attention(width, heads)
        self.alone = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, words: Tensor, before: State, later: Tensor, seen: State, nothing: Tensor
    ) -> tuple[Tensor, State, Tensor]:
        """Words [B, R, q, C] -> the same, keys and values of all words so far, and where each word was looked
        for, [B, R, q, P].

        Args:
            before: keys and values of the words before, each [B, R, n, C].
            later: bool [q, n + q]: which words come after each.
            seen: keys and values of what is seen, each [B, P, C].
            nothing: bool [B, P], where nothing is.
        """
        given = self.norms[0](words)
        pair = zip(before, self.words.pair(given), strict=True)
        keys, values = (torch.cat(both, dim=2) for both in pair)
        heard, _ = self.words(given, keys, values, later)
        words = words + self.dropout(heard)
        asking = self.norms[1](words).flatten(1, 2)  # the captions of a picture look at the same
        found, maps = self.picture(asking, *seen, nothing[:, None])
        words = words + self.dropout(found.view_as(words))
        words = words + self.dropout(self.alone(self.norms[2](words)))
        return words, (keys, values), maps.unflatten(1, words.shape[1:3])


class TransformerCaptioner(Captioner):
    """Words that look at those before them and at the places of a picture, its regions, or both; a word's map
    is the mean over the heads of the last layer.

    Args:
        backbone: its coarsest map is looked at; of any size.
        layers, width, heads, inner: of the decoder: how many, features of a word, which the heads of an
            attention share, and features between the two linear layers of each word alone.
        dropout: probability of dropping a feature of a word or of what a part adds to it.
        places, features, regions, region_width: see `Captioner`.
    """

    def __init__(
        self,
        backbone: Backbone,
        vocabulary: Sequence[str],
        layers: int = 2,
        width: int = 128,
        heads: int = 4,
        inner: int = 512,
        dropout: float = 0.1,
        places: bool = True,
        features: Looked = "grid",
        regions: str | None = None,
        region_width: int | None = None,
    ) -> None:
        super().__init__(backbone, places, features, regions, region_width)
        if layers < 1 or width % (2 * heads):
            raise ConfigError(
                f"model.layers: {layers}, model.width: {width}, model.heads: {heads}; expected at least one "
                f"layer, and a width that is a multiple of {2 * heads}, twice the heads"
            )
        self.words = nn.Embedding(len(vocabulary), width)
        nn.init.normal_(self.words.weight, std=width**-0.5)  # as large as the position once it is scaled
        self.place = nn.Sequential(nn.Linear(self.features, width), nn.LayerNorm(width))
        self.layers = nn.ModuleList(Layer(width, heads, inner, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, len(vocabulary))

    def read(self, seen: Seen) -> tuple[Memory, State]:
        places = self.place(seen.tokens)
        memory = [part for layer in self._layers() for part in layer.picture.pair(places)]
        return (~seen.there, *memory), tuple(places[:, :0] for _ in memory)

    def step(self, memory: Memory, words: Tensor, state: State) -> Step:
        logits, maps, state = self._told(memory, words[..., None], state)
        return Step(logits[:, :, 0], maps[:, :, 0], state)

    def teach(self, seen: Seen, captions: Tensor, own_words: float = 0.0) -> CaptionOutputs:
        """All words at once. Own words are those that the network would have said after the true ones
        (Mihaylova and Martins, arXiv:1906.07651, 2019)."""
        memory, first = self.read(seen)
        state = tuple(part[:, None].expand(-1, captions.shape[1], -1, -1) for part in first)
        before = torch.nn.functional.pad(captions[..., :-1], (1, 0), value=PAST)
        if own_words:
            with torch.no_grad():
                likely = self._told(memory, before, state)[0].log_softmax(-1)
            own = drawn_words(likely, draws.uniform(*captions.shape).to(captions.device))
            own = torch.nn.functional.pad(own[..., :-1], (1, 0), value=PAST)
            instead = draws.uniform(*captions.shape).to(captions.device) < own_words
            before = torch.where(instead & (before != PAST), own, before)
        logits, maps, _ = self._told(memory, before, state)
        return CaptionOutputs(captions, logits, maps)

    def _told(self, memory: Memory, words: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """What follows each of the words int64 [B, R, q] after those in ``state``: logits [B, R, q, V], maps
        [B, R, q, P], and the state with these words."""
        nothing, *seen = memory
        told, count = state[0].shape[2], words.shape[2]
        width = self.words.embedding_dim
        vectors = self.words(words) * math.sqrt(width) + positions(told, count, width, words.device)
        vectors = self.dropout(vectors)
        later = torch.ones(count, told + count, dtype=torch.bool, device=words.device).triu(told + 1)
        after: list[Tensor] = []
        maps = vectors[..., :0]
        for number, layer in enumerate(self._layers()):
            own = slice(2 * number, 2 * number + 2)
            vectors, pair, maps = layer(vectors, state[own], later, tuple(seen[own]), nothing)
            after += pair
        return self.head(self.norm(vectors)), maps, tuple(after)

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]


def positions(first: int, count: int, width: int, device: torch.device) -> Tensor:
    """Sines and cosines that say where a word stands (section 3.5): of ``count`` places from ``first`` on,
    float32 [count, width]."""
    place = torch.arange(first, first + count, device=device, dtype=torch.float32)
    rate = torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(10_000) / width)
    angles = place[:, None] * rate.exp()
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)
