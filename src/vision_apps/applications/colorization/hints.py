"""Colour hints, as a user gives them and simulated from the truth (Zhang et al., SIGGRAPH 2017, section
3.2)."""

import re
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.core import draws
from vision_apps.core.errors import DataError

STOP = 0.125  # the number of hints is geometric: after each, this is the chance that it was the last
LARGEST = 9  # side of a hint, px, uniform from 1
SIDE = 5  # of a hint that a person gives, px
MOST = 64  # more hints than this have a chance of 2e-4


class Hints(NamedTuple):
    ab: Tensor  # float32 [B, 2, H, W], 0 where nothing is known
    mask: Tensor  # float32 [B, 1, H, W], 1 where a colour is known


def simulate_hints(ab: Tensor) -> Hints:
    """Hints as of a user (Zhang et al. 2017): squares, of random number and size and near the middle more
    often, each showing its mean colour.

    A picture's are the same whatever the device and the number of processes (`core.draws`).

    Args:
        ab: the true colours, [B, 2, H, W].
    """
    batch, _, height, width = ab.shape
    counts = draws.drawn(batch, lambda n, g: torch.empty(n).geometric_(STOP, generator=g))
    counts = counts.sub(1).clamp_max(MOST).long()
    size = torch.tensor([height, width])
    side = draws.integers(1, LARGEST + 1, batch, MOST).clamp_max(min(height, width))
    # a normal distribution around the middle, a quarter of the picture wide; the square stays inside
    centre = (0.5 + 0.25 * draws.normal(batch, MOST, 2)) * size - side[..., None] / 2
    corner = torch.minimum(centre.round().clamp_min(0), (size - side[..., None]).to(centre.dtype)).long()
    side, corner = side.to(ab.device), corner.to(ab.device)

    # the sum over a rectangle is four reads of the running sum
    running = pad(ab.double().cumsum(2).cumsum(3), (1, 0, 1, 0)).permute(0, 2, 3, 1)
    image = torch.arange(batch, device=ab.device)
    y, x = (torch.arange(length, device=ab.device) for length in (height, width))
    colors, mask = torch.zeros_like(ab, dtype=torch.float32), ab.new_zeros(batch, 1, height, width)
    for index in range(int(counts.max())):
        s, (top, left) = side[:, index], corner[:, index].unbind(1)
        total = (
            running[image, top + s, left + s]
            - running[image, top, left + s]
            - running[image, top + s, left]
            + running[image, top, left]
        )
        mean = (total / (s * s)[:, None]).float()[:, :, None, None]
        rows = (y >= top[:, None]) & (y < (top + s)[:, None])
        columns = (x >= left[:, None]) & (x < (left + s)[:, None])
        given = (index < counts.to(ab.device))[:, None, None] & rows[:, :, None] & columns[:, None, :]
        colors = torch.where(given[:, None], mean, colors)
        mask = mask.masked_fill(given[:, None], 1)
    return Hints(colors, mask)


def read_hints(text: str, height: int, width: int) -> Hints:
    """Hints as a person types them: ``x,y,#rrggbb`` with spaces in between, each a square of ``SIDE`` px
    around its place.

    Args:
        height, width: of the picture in px.

    Raises:
        DataError: one that is not written so, or lies outside.
    """
    ab, mask = torch.zeros(1, 2, height, width), torch.zeros(1, 1, height, width)
    for word in text.split():
        found = re.fullmatch(r"(\d+),(\d+),#([0-9a-fA-F]{6})", word)
        x, y = (int(found[1]), int(found[2])) if found else (width, height)
        if found is None or x >= width or y >= height:
            raise DataError(
                f"hints: {word!r}; expected x,y,#rrggbb with x below {width} and y below {height}, for "
                "instance hints='40,50,#c03020 10,12,#3060ff'"
            )
        color = torch.tensor(list(bytes.fromhex(found[3])), dtype=torch.uint8).view(1, 3, 1, 1)
        rows, columns = (slice(max(0, at - SIDE // 2), at + SIDE // 2 + 1) for at in (y, x))
        ab[..., rows, columns] = rgb_to_ab(color)
        mask[..., rows, columns] = 1
    return Hints(ab, mask)
