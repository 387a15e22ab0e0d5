"""What every captioner is: a picture is read once, then each next word is told from it and those before."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.networks.backbones import Backbone

Memory = tuple[Tensor, ...]  # what is known of the pictures, each [B, ...]
State = tuple[Tensor, ...]  # of the captions that are being said, each [B, K, ...]


class Seen(NamedTuple):
    """What a captioner may look at: the places of a map, row by row, and regions after them."""

    tokens: Tensor  # [B, P, C], zeros where nothing is
    there: Tensor  # bool [B, P], at least one of each picture
    size: tuple[int, int]  # rows and columns of the map
    regions: int = 0  # how many of P are regions; all of them: no place is looked at


class Step(NamedTuple):
    logits: Tensor  # [B, K, V]
    maps: Tensor  # [B, K, P], each sums to 1; 0 where nothing is
    state: State


class Captioner(nn.Module, ABC):
    """A backbone whose coarsest map is described.

    Args:
        places: two further features say how far right and down each place of the map is, -1 to 1 (after Liu
            et al., arXiv:1807.03247, 2018): what convolutions find is the same everywhere.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, places: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.places = places
        self.features = backbone.channels[-1] + 2 * places

    def forward(self, pixels: Tensor) -> Seen:
        """Of normalised pixels [B, 3, H, W]."""
        coarsest = self.backbone(pixels)[-1]
        height, width = coarsest.shape[-2:]
        if self.places:
            y, x = (
                torch.linspace(-1, 1, side, dtype=coarsest.dtype, device=coarsest.device)
                for side in (height, width)
            )
            across = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
            coarsest = torch.cat((coarsest, across.expand(coarsest.shape[0], -1, -1, -1)), dim=1)
        tokens = coarsest.flatten(2).mT
        return Seen(tokens, tokens.new_ones(tokens.shape[:2], dtype=torch.bool), (height, width))

    @abstractmethod
    def read(self, seen: Seen) -> tuple[Memory, State]:
        """What is computed of the pictures once, and the state before the first word, [B, ...]."""

    @abstractmethod
    def step(self, memory: Memory, words: Tensor, state: State) -> Step:
        """After the words int64 [B, K] (0 before the first)."""

    @abstractmethod
    def teach(self, seen: Seen, captions: Tensor, own_words: float = 0.0) -> CaptionOutputs:
        """What is said of each word of captions int64 [B, R, L] after the true ones before it.

        Args:
            own_words: probability that a word before is one that the network itself would have said (Bengio
                et al., arXiv:1506.03099, 2015).
        """
