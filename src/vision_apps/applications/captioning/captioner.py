"""What every captioner is: a picture is read once, then each next word is told from it and those before."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.applications.captioning.regions import (
    GEOMETRY,
    LOOKED,
    Looked,
    RegionTokens,
    cells,
    places_of,
    present,
    with_whole,
)
from vision_apps.applications.captioning.types import CaptionOutputs
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Backbone

Memory = tuple[Tensor, ...]  # what is known of the pictures, each [B, ...]
State = tuple[Tensor, ...]  # of the captions that are being said, each [B, K, ...]


class Seen(NamedTuple):
    """What a captioner may look at: the places of a map, row by row, and regions after them."""

    tokens: Tensor  # [B, P, C], zeros where nothing is
    there: Tensor  # bool [B, P], at least one of each picture
    size: tuple[int, int]  # rows and columns of the map; of none where regions alone are looked at
    # float32 [B, M, 4], x1, y1, x2, y2 in pixels of the network's input: the last M of P
    regions: Tensor | None = None


class Step(NamedTuple):
    logits: Tensor  # [B, K, V]
    maps: Tensor  # [B, K, P], each sums to 1; 0 where nothing is
    state: State


class Captioner(nn.Module, ABC):
    """A backbone whose coarsest map is described, place by place, by regions of it, or both.

    Args:
        places: further features say how far right and down each place of the map is, -1 to 1 (after Liu et
            al., arXiv:1807.03247, 2018): what convolutions find is the same everywhere. With regions, also
            how wide and high it is.
        features: what is looked at: the ``grid`` of the map, ``regions``, or ``grid+regions``, which compete
            for the same attention and are told apart by what is learned of either.
        regions: where the data have boxes from; none: they have none.
        region_width: numbers that the data give for each of them; none: the map is read there.
    """

    backbone: Backbone

    def __init__(
        self,
        backbone: Backbone,
        places: bool,
        features: Looked = "grid",
        regions: str | None = None,
        region_width: int | None = None,
    ) -> None:
        super().__init__()
        _require_fitting(features, regions)
        channels = backbone.channels[-1]
        self.backbone = backbone
        self.places = places
        self.looked_at = features
        self.features = channels + places * (2 if features == "grid" else GEOMETRY)
        self.region_width = region_width
        if features != "grid":
            self.of_regions = RegionTokens(channels, region_width, places)
        if features == "grid+regions":
            self.kinds = nn.Parameter(torch.zeros(2, self.features))

    def forward(
        self, pixels: Tensor, regions: Tensor | None = None, region_features: Tensor | None = None
    ) -> Seen:
        """Of normalised pixels [B, 3, H, W].

        Args:
            regions: x1, y1, x2, y2 in those pixels, [B, M, 4], rows without an area are none; not needed
                where the grid alone is looked at. Of a picture without any, regions alone are the whole
                picture.
            region_features: [B, M, D].
        """
        maps = self.backbone(pixels)[-1]
        grid = None if self.looked_at == "regions" else self._grid(maps)
        size = (0, 0) if grid is None else (maps.shape[-2], maps.shape[-1])
        if self.looked_at == "grid":
            assert grid is not None
            return Seen(grid, grid.new_ones(grid.shape[:2], dtype=torch.bool), size)
        assert regions is not None
        boxes = regions.float()
        inside = (pixels.shape[-2], pixels.shape[-1])
        if grid is None:
            boxes = with_whole(boxes, inside)
            if region_features is not None:
                region_features = nn.functional.pad(region_features, (0, 0, 0, 1))
        tokens = self.of_regions(maps, boxes, inside, region_features)
        there = present(boxes)
        if grid is None:
            return Seen(tokens, there, size, boxes)
        tokens = torch.cat((grid + self.kinds[0], tokens + self.kinds[1] * there[..., None]), dim=1)
        return Seen(tokens, torch.cat((there.new_ones(grid.shape[:2]), there), dim=1), size, boxes)

    def _grid(self, maps: Tensor) -> Tensor:
        """The features of each place, row by row, [B, P, C]."""
        height, width = maps.shape[-2:]
        if self.places and self.looked_at == "grid":
            y, x = (
                torch.linspace(-1, 1, side, dtype=maps.dtype, device=maps.device) for side in (height, width)
            )
            across = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
            maps = torch.cat((maps, across.expand(maps.shape[0], -1, -1, -1)), dim=1)
        tokens = maps.flatten(2).mT
        if self.places and self.looked_at != "grid":
            where = places_of(cells((height, width), maps)[None], (height, width))
            tokens = torch.cat((tokens, where.expand(len(maps), -1, -1)), dim=-1)
        return tokens

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


def _require_fitting(features: str, regions: str | None) -> None:
    """`ConfigError` where boxes are looked at and not there, or there and not looked at."""
    if features not in LOOKED:
        raise ConfigError(f"model.features: {features!r}; expected one of {', '.join(LOOKED)}")
    if features != "grid" and regions is None:
        raise ConfigError(
            f"model.features: {features} looks at boxes, and the data have none; say where they are from, a "
            "run of detection or a file: data.regions=RUN or data.regions=boxes.npz. Or model.features=grid"
        )
    if features == "grid" and regions is not None:
        raise ConfigError(
            "data.regions: model.features=grid looks at no boxes; add model.features=grid+regions (or "
            "regions), or leave them out: data.regions=null"
        )


def drawn_words(log_probabilities: Tensor, chances: Tensor) -> Tensor:
    """A word by its probability: the first up to which they add up to more than its chance, evenly in [0, 1),
    [..., V] and [...] -> int64 [...]."""
    reached = log_probabilities.double().exp().cumsum(-1)
    return (reached <= (chances * reached[..., -1])[..., None]).sum(-1)
