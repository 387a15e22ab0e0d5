"""Regions beside the places of a map: attention over the joint space of a network's features and those of
detected boxes (after Biswas, Barz and Sonntag, KI 34:571-584, 2020)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

Looked = Literal["grid", "regions", "grid+regions"]

LOOKED: tuple[Looked, ...] = ("grid", "regions", "grid+regions")
POINTS = 4  # along each side of a box, where the map is read
GEOMETRY = 4  # numbers that say where something is


def present(boxes: Tensor) -> Tensor:
    """Which rows of boxes [..., 4] have an area: bool [...]."""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def with_whole(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes [B, M, 4] and a last one, which is the whole picture where no other has an area, and none
    elsewhere: [B, M + 1, 4].

    Args:
        size: height and width of the pictures.
    """
    whole = boxes.new_tensor([0, 0, size[1], size[0]])
    alone = ~present(boxes).any(1)
    return torch.cat((boxes, (alone[:, None] * whole)[:, None]), dim=1)


def places_of(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Where boxes are: how far right and down their centre is, -1 to 1, and their width and height, of which
    the picture's is 2: [B, M, 4].

    Args:
        boxes: x1, y1, x2, y2 in pixels, [B, M, 4].
        size: height and width of the pictures.
    """
    sides = boxes.new_tensor([size[1], size[0]])
    low, high = 2 * boxes[..., :2] / sides, 2 * boxes[..., 2:] / sides
    return torch.cat(((low + high) / 2 - 1, high - low), dim=-1)


def cells(size: tuple[int, int], like: Tensor) -> Tensor:
    """The places of a map of so many rows and columns as boxes in its own units, row by row: [h * w, 4]."""
    rows, columns = (torch.arange(count, dtype=like.dtype, device=like.device) for count in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y, x + 1, y + 1), dim=-1).flatten(0, 1)


def box_features(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The mean of a map over each box, read at `POINTS` x `POINTS` points between its values (RoIAlign: He et
    al., ICCV 2017, section 3): float32 [B, M, C].

    Args:
        maps: [B, C, h, w].
        boxes: x1, y1, x2, y2 in pixels of pictures of this ``size``, height and width: [B, M, 4].
    """
    height, width = maps.shape[-2:]
    scale = boxes.new_tensor([width / size[1], height / size[0]] * 2)
    scaled = (boxes * scale).float()
    numbers = torch.arange(len(boxes), dtype=torch.float32, device=boxes.device)
    rows = torch.cat((numbers[:, None, None].expand(-1, boxes.shape[1], 1), scaled), dim=-1)
    found = roi_align(maps.float(), rows.flatten(0, 1), 1, sampling_ratio=POINTS, aligned=True)
    return found.flatten(1).unflatten(0, boxes.shape[:2])


class RegionTokens(nn.Module):
    """What is looked at of each box: its own features, or where the data have none the map's over it.

    Args:
        channels: of the map.
        width: numbers that the data give for each box; none: the map is read.
        places: where each box is follows its features.
    """

    def __init__(self, channels: int, width: int | None, places: bool) -> None:
        super().__init__()
        self.places = places
        self.given = nn.Linear(width, channels) if width is not None else None

    def forward(self, maps: Tensor, boxes: Tensor, size: tuple[int, int], features: Tensor | None) -> Tensor:
        """[B, M, C] as `box_features` takes its arguments; zeros where there is no box.

        Args:
            features: [B, M, D].
        """
        if self.given is None:
            tokens = box_features(maps, boxes, size)
        else:
            assert features is not None
            tokens = self.given(features).float()
        if self.places:
            tokens = torch.cat((tokens, places_of(boxes, size).to(tokens.dtype)), dim=-1)
        return tokens * present(boxes)[..., None]
