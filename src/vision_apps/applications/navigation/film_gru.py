"""An agent that sees through its instruction, by FiLM (Perez et al. 2018, arXiv:1709.07871), and remembers by
a GRU, as the agent of BabyAI (Chevalier-Boisvert et al. 2019, arXiv:1810.08272, appendix A)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vision_apps.applications.navigation.agent import Agent, Decision, Words
from vision_apps.applications.navigation.types import Observation
from vision_apps.core.conventions import height_width

_GROUPS = 4  # of the channels of a block, where their number allows it


class FilmGru(Agent):
    """Of a view that is a picture: its cells are embedded by a convolution that takes each as a whole, blocks
    of convolutions are scaled and shifted by the instruction, and what they find goes into a recurrent
    memory, together with the words of the instruction that the memory attends to.

    Args:
        vocabulary: of the instructions.
        actions: how many there are.
        image_size: side of the pictures, px.
        cell: pixels of a side of what the first convolution takes as a whole.
        width: channels of the maps.
        blocks: that the instruction modulates.
        words: entries of a word's vector.
        told: width of what is known of each word where it stands, and of their greatest.
        memory: M, units of the recurrent memory.
        dropout: probability of dropping a unit of what was seen.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        actions: int,
        image_size: int | Sequence[int],
        cell: int = 8,
        width: int = 32,
        blocks: int = 2,
        words: int = 32,
        told: int = 64,
        memory: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        height, columns = height_width(image_size, "model.image_size")
        self.memory, self.width = memory, width
        self.embedding = nn.Embedding(len(vocabulary), words, padding_idx=0)
        self.reader = nn.Conv1d(words, told, 3, padding=1)  # past the end there are zeros, as outside
        self.cells = nn.Conv2d(3, width, cell, cell)
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Sequential(nn.LayerNorm(told), nn.Linear(told, 2 * width * blocks))
        self.blocks = nn.ModuleList(_FilmBlock(width) for _ in range(blocks))
        places = (height // cell) * (columns // cell)
        self.joined = nn.Sequential(nn.Linear(width * places, memory), nn.ReLU(), nn.Dropout(dropout))
        self.query = nn.Linear(2 * memory, told)
        self.remember = nn.GRUCell(memory + told, memory)
        self.head = nn.Linear(memory, actions)

    def read(self, instructions: Tensor) -> Words:
        there = instructions != 0
        vectors = self.reader(self.embedding(instructions).transpose(1, 2)).relu().transpose(1, 2)
        vectors = vectors * there[..., None]
        return Words(vectors, there, vectors.amax(1))  # a mean would be the same for most instructions

    def see(self, observation: Observation, words: Words) -> tuple[Tensor, ...]:
        assert observation.pixels is not None
        maps = self.around(self.cells(observation.pixels).relu()).relu()
        moved = self.modulation(words.whole).unflatten(1, (len(self.blocks), 2, self.width))
        for number, block in enumerate(self.blocks):
            scale, shift = moved[:, number].unbind(1)
            maps = block(maps, scale, shift)
        return (self.joined(maps.flatten(1)),)

    def decide(self, seen: tuple[Tensor, ...], words: Words, memory: Tensor) -> Decision:
        query = self.query(torch.cat((seen[0], memory), 1))
        fits = (words.vectors @ query[:, :, None])[..., 0] / query.shape[1] ** 0.5
        attention = fits.masked_fill(~words.there, -1e4).softmax(1) * words.there
        heard = (attention[:, None] @ words.vectors)[:, 0]
        memory = self.remember(torch.cat((seen[0], heard), 1), memory)
        return Decision(self.head(memory), memory, attention)


class _FilmBlock(nn.Module):
    """A residual block whose maps are scaled and shifted, around 1 and 0 (Perez et al. 2018, figure 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        groups = math.gcd(_GROUPS, width)
        self.norm = nn.GroupNorm(groups, width)  # of each picture alone
        self.last_norm = nn.GroupNorm(groups, width, affine=False)  # the instruction scales and shifts it

    def forward(self, maps: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        found = self.last_norm(self.second(self.norm(self.first(maps)).relu()))
        return maps + (found * (1 + scale[:, :, None, None]) + shift[:, :, None, None]).relu()
