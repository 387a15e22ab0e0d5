"""Prediction tile by tile, for pictures whose scores would not fit into memory."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.segmentation.mirror import window
from vision_apps.core.errors import ConfigError

ALIGNMENT = 32  # px: tiles begin and end at its multiples, so that strides and pooling fall as in the whole
_AT_ONCE = 1024**2  # px of the tiles that are looked at together: small tiles keep a GPU busy


class Plan(NamedTuple):
    """How one axis of a picture is cut."""

    tile: int  # px of each tile
    starts: tuple[int, ...]  # first px of each tile; the last tile may reach beyond the picture
    blend: int  # px over which neighbours pass into each other
    cuts: tuple[int, ...]  # middle of each passage
    size: int  # px of the picture

    def span(self, index: int) -> tuple[int, int]:
        """The px that a tile has a part in, passages included."""
        first = 0 if index == 0 else self.cuts[index - 1] - self.blend // 2
        last = index == len(self.starts) - 1
        return first, self.size if last else self.cuts[index] - self.blend // 2 + self.blend

    def weights(self, index: int) -> Tensor:
        """Of a tile over its span: float32, 1 but for squared sines at the passages; those of all tiles sum
        to 1 at every pixel."""
        first, stop = self.span(index)
        weights = torch.ones(stop - first)
        rising = (torch.pi / 2 * (torch.arange(self.blend) + 0.5) / max(1, self.blend)).sin() ** 2
        if index > 0:
            weights[: self.blend] = rising
        if index < len(self.starts) - 1:
            weights[len(weights) - self.blend :] = rising.flip(0)
        return weights


def check(tile: int, overlap: int) -> None:
    """
    Raises:
        ConfigError: these cannot be a tile and its overlap.
    """
    if tile < 2 * ALIGNMENT or tile % ALIGNMENT:
        raise ConfigError(
            f"module.tile: {tile} px; expected a multiple of {ALIGNMENT} of at least {2 * ALIGNMENT}, or "
            f"null to look at whole pictures; try module.tile={max(2, round(tile / ALIGNMENT)) * ALIGNMENT}"
        )
    if not 0 <= overlap <= tile // 2:
        raise ConfigError(
            f"module.overlap: {overlap} px; expected 0 to {tile // 2}, half of module.tile={tile}; "
            f"try module.overlap={tile // 16}"
        )


def plan(size: int, tile: int, overlap: int) -> Plan:
    """As few tiles of at most ``tile`` px as overlap by at least ``overlap``, evenly spread, and then as
    small as they can be."""
    if size <= tile:
        return Plan(size, (0,), 0, (), size)
    unit = ALIGNMENT
    step = (tile - overlap) // unit * unit
    count = -(-(size - tile) // step) + 1
    # the same number of smaller tiles: a picture that is a little more than two tiles costs no third
    tile = min(tile, -(-(size + (count - 1) * overlap) // (count * unit)) * unit)
    last = -(-(size - tile) // unit)
    while math.ceil(last / (count - 1)) * unit > tile - overlap:  # rounding ate of the overlap
        tile += unit
        last = -(-(size - tile) // unit)
    starts = tuple(index * last // (count - 1) * unit for index in range(count))
    cuts = tuple((left + tile + right) // 2 for left, right in itertools.pairwise(starts))
    apart = [b - a for a, b in itertools.pairwise(cuts)]
    return Plan(tile, starts, min([overlap, *apart]), cuts, size)


def tiled_masks(
    score: Callable[[Tensor], Tensor], images: Tensor, classes: int, tile: int, overlap: int
) -> Tensor:
    """The most likely class of every pixel: uint8 [B, H, W].

    Neighbouring tiles' probabilities are blended over ``overlap`` px. Beside images and answer, the memory is
    that of one batch of tiles (of 1024 x 1024 px together, or one tile) and of the passage to the next row of
    tiles, ``overlap`` x W x K floats.

    Args:
        score: uint8 [n, 3, h, w] to logits [n, K, h, w].
        images: uint8 [B, 3, H, W]; a side up to ``tile`` is not cut.
        tile: longest side of a tile in px.
    """
    check(tile, overlap)
    rows, columns = (plan(size, tile, overlap) for size in images.shape[-2:])
    answer = torch.empty(images.shape[0], *images.shape[-2:], dtype=torch.uint8, device=images.device)
    at_once = max(1, _AT_ONCE // (rows.tile * columns.tile))
    for image, mask in zip(images, answer, strict=True):
        below = torch.zeros(classes, rows.blend, columns.size, device=images.device)
        for row in range(len(rows.starts)):
            _one_row(score, image, mask, below, rows, row, columns, at_once)
    return answer


def _one_row(
    score: Callable[[Tensor], Tensor],
    image: Tensor,
    mask: Tensor,
    below: Tensor,
    rows: Plan,
    row: int,
    columns: Plan,
    at_once: int,
) -> None:
    """Decide what a row of tiles completes; ``below`` [K, blend, W] brings what the row above has in the
    passage, and takes what this one has in the next."""
    top, (first, stop) = rows.starts[row], rows.span(row)
    down = rows.weights(row).to(image.device)
    done = stop if row == len(rows.starts) - 1 else stop - rows.blend
    aside: Tensor | None = None  # what the tile on the left has in the passage
    for begin in range(0, len(columns.starts), at_once):
        numbers = range(begin, min(begin + at_once, len(columns.starts)))
        cut = [
            window(image, top, top + rows.tile, columns.starts[n], columns.starts[n] + columns.tile)
            for n in numbers
        ]
        scores = score(torch.stack(cut))
        for number, scored in zip(numbers, scores, strict=True):
            left, (start, end) = columns.starts[number], columns.span(number)
            part = scored[:, first - top : stop - top, start - left : end - left].float().softmax(dim=0)
            part *= down[:, None] * columns.weights(number).to(image.device)
            if aside is not None:
                part[..., : columns.blend] += aside
            if number < len(columns.starts) - 1:
                end -= columns.blend
                aside = part[..., end - start :].clone()
                part = part[..., : end - start]
            if row > 0:
                part[:, : rows.blend] += below[..., start:end]
            if done < stop:
                below[..., start:end] = part[:, done - first :]
            mask[first:done, start:end] = part[:, : done - first].max(dim=0).indices  # 4 x faster than argmax
