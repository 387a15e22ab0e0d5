"""A building seen from above: where one can stand, and the ways between."""

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vision_apps.data.episodes.buildings import Building

PAPER, WAY, ROOM, START = (248, 246, 240), (178, 184, 190), (110, 118, 126), (30, 100, 200)
_MARGIN = 0.08  # of the side
_STOREY = 1.5  # m: what lies further above or below is another storey, and faint
_FAINT = (222, 224, 226)
_FINER = 4  # times as many pixels are drawn as are given


class MapView(NamedTuple):
    """From m to pixels of a square picture whose top is north (+y)."""

    size: int
    scale: float  # px / m
    left: float  # m, of the picture's left and top border
    top: float

    def pixels(self, positions: Tensor) -> Tensor:
        """float64 [..., 3] in m -> [..., 2], x and y in px."""
        x, y = positions[..., 0], positions[..., 1]
        return torch.stack((x - self.left, self.top - y), dim=-1) * self.scale


def map_view(building: Building, size: int) -> MapView:
    """The whole building in a picture of ``size`` px."""
    lowest, highest = (building.positions[:, :2].aminmax(dim=0)[side] for side in (0, 1))
    extent = max(float((highest - lowest).max()), 1.0) / (1 - 2 * _MARGIN)
    middle = (lowest + highest) / 2
    return MapView(size, size / extent, float(middle[0]) - extent / 2, float(middle[1]) + extent / 2)


def draw_map(building: Building, size: int, level: float = 0.0) -> Tensor:
    """Ways as lines, viewpoints as dots: uint8 [3, size, size].

    Args:
        level: m, of the storey that is not faint.
    """
    image = Image.new("RGB", (size * _FINER, size * _FINER), PAPER)
    pen = ImageDraw.Draw(image)
    points = map_view(building, size * _FINER).pixels(building.positions).tolist()
    near = ((building.positions[:, 2] - level).abs() <= _STOREY).tolist()
    line, dot = max(1, size * _FINER // 160), size * _FINER / 90
    ways = sorted(building.edges.triu().nonzero().tolist(), key=lambda pair: near[pair[0]] and near[pair[1]])
    for one, other in ways:
        color = WAY if near[one] and near[other] else _FAINT
        pen.line((*points[one], *points[other]), color, line)
    for (x, y), own in zip(points, near, strict=True):
        pen.ellipse((x - dot, y - dot, x + dot, y + dot), ROOM if own else _FAINT)
    small = image.resize((size, size), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1)


def mark_start(picture: Tensor, point: Tensor, heading: float) -> Tensor:
    """The same, uint8 [3, S, S], with an arrow at a point (px) that looks to a heading (rad, clockwise from
    the top)."""
    size = picture.shape[-1]
    length = size / 18
    reach = math.ceil(2 * length)  # px around the point that are drawn
    x, y = (float(value) for value in point)
    left, top = math.floor(x) - reach, math.floor(y) - reach
    corners = [
        (
            (x - left + far * length * math.sin(heading + turn)) * _FINER,
            (y - top - far * length * math.cos(heading + turn)) * _FINER,
        )
        for turn, far in ((0.0, 1.6), (2.5, 1.0), (math.pi, 0.4), (-2.5, 1.0))
    ]
    fine = Image.new("L", (2 * reach * _FINER, 2 * reach * _FINER))
    ImageDraw.Draw(fine).polygon(corners, 255)
    share = torch.from_numpy(np.asarray(fine.reduce(_FINER)).copy()) / 255
    whole = torch.zeros(size + 4 * reach, size + 4 * reach)
    across, down = left + 2 * reach, top + 2 * reach
    whole[down : down + 2 * reach, across : across + 2 * reach] = share
    share = whole[2 * reach : 2 * reach + size, 2 * reach : 2 * reach + size]
    color = torch.tensor(START, dtype=torch.float32)[:, None, None]
    return (picture + (color - picture) * share).round().to(torch.uint8)
