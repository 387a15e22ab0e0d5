"""Boxes that follow the pixels of whole batches: mapped, cut to the picture, dropped when too little is left.
What belongs to them, or points to them by their number, goes along.

Boxes are float32 x1, y1, x2, y2 in pixels, y down, the second corner exclusive.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_area

from vision_apps.core.fields import Boxes, Links, RowsOf

MIN_SHARE = 0.25  # of an object's area that has to be left of it
MIN_SIDE = 2.0  # pixels: an object that a move made thinner can no longer be told from noise


def map_boxes(boxes: Tensor, forward: Tensor) -> Tensor:
    """The smallest boxes around the images of ``boxes``.

    Args:
        boxes: [B, N, 4].
        forward: [B, 2, 3] from input to output, both in pixels.
    """
    # a coordinate is lowest where each term is: at the low side for a positive factor, else at the high one;
    # no matrix product, which a GPU may round to 10 bits
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    linear, offset = forward[:, None, :, :2], forward[:, None, :, 2]
    rising, falling = linear.clamp(min=0), linear.clamp(max=0)
    lowest, highest = (rising * low + falling * high).sum(-1), (rising * high + falling * low).sum(-1)
    return torch.cat((lowest + offset, highest + offset), dim=-1)


def cut_boxes(boxes: Tensor, window: Tensor) -> Tensor:
    """Clip boxes [B, N, 4] to a window per image, [B, 4] or [4]."""
    low, high = window[..., None, :2], window[..., None, 2:]
    return torch.cat((boxes[..., :2].clamp(low, high), boxes[..., 2:].clamp(low, high)), dim=-1)


def middle_inside(boxes: Tensor, window: Tensor) -> Tensor:
    """bool [..., N]: the boxes [..., N, 4] whose middle lies in a window [..., 4]."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    return ((middle >= window[..., None, :2]) & (middle < window[..., None, 2:])).all(-1)


def follow(
    boxes: Tensor, forward: Tensor, window: Tensor, min_share: float = MIN_SHARE, centred: bool = False
) -> tuple[Tensor, Tensor]:
    """As `left_of`, after a move ``forward`` [B, 2, 3] from input to output, both in pixels."""
    return left_of(boxes, map_boxes(boxes, forward), window, min_share, centred)


def left_of(
    boxes: Tensor, moved: Tensor, window: Tensor, min_share: float = MIN_SHARE, centred: bool = False
) -> tuple[Tensor, Tensor]:
    """Boxes after a move, and which are still there.

    Args:
        boxes: [B, N, 4], before it.
        moved: [B, N, 4], after it, wherever that is.
        window: what can be seen of the output, [B, 4] or [4].
        min_share: of a moved box's area that has to be in the window. A box that the move made thinner than
            ``MIN_SIDE`` is lost in any case.
        centred: the middle of the moved box has to be in the window.

    Returns:
        float32 [B, N, 4] cut to the window, bool [B, N].
    """
    seen = cut_boxes(moved, window)
    before, after = (corner[..., 2:] - corner[..., :2] for corner in (boxes, seen))
    # a quarter turn swaps the sides; tolerance: a move by nothing is not exactly that
    thinnest = before.amin(-1).clamp(max=MIN_SIDE) - 1e-3
    # a share that is exactly met survives rounding
    kept = (
        (after.amin(-1) >= thinnest)
        & (box_area(seen) >= (min_share - 1e-4) * box_area(moved))
        & (box_area(seen) > 0)
    )
    if centred:
        kept &= middle_inside(moved, window)
    return seen, kept


def compact(kept: Tensor, room: int | None = None) -> tuple[Tensor, Tensor]:
    """The order that moves kept rows to the front, in their order.

    Args:
        kept: bool [B, N].
        room: how many rows there are then, N by default.

    Returns:
        ``kept`` after it bool [B, room], and which row comes where, int64 [B, room] for `take`.
    """
    order = kept.logical_not().byte().sort(dim=1, stable=True).indices[:, :room]
    return kept.gather(1, order), order


def take(values: Tensor, order: Tensor) -> Tensor:
    """The rows ``order`` [B, n] of ``values`` [B, N, ...]: [B, n, ...]."""
    shape = order.shape + (1,) * (values.ndim - 2)
    return values.gather(1, order.view(shape).expand(*order.shape, *values.shape[2:]))


def filled(values: Tensor, gone: Tensor, empty: float) -> Tensor:
    """``values`` [B, N, ...] with ``empty`` in the rows that are ``gone``."""
    return values.masked_fill(gone.view(gone.shape + (1,) * (values.ndim - 2)), empty)


def has_area(boxes: Tensor) -> Tensor:
    """bool [B, N]: the rows that hold a box."""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1)


class Objects(NamedTuple):
    """A field of boxes and all that belongs to it."""

    name: str
    kind: Boxes
    boxes: Tensor  # float32 [B, N, 4]
    there: Tensor  # bool [B, N]: the rows that are objects
    ignored: Tensor | None  # bool [B, N]: those that do not count
    rows: dict[str, tuple[Tensor, RowsOf]]  # [B, N, ...]
    links: dict[str, tuple[Tensor, Links]]  # int64 [B, R, C]

    def settled(self, boxes: Tensor, kept: Tensor, room: int | None = None) -> dict[str, Tensor]:
        """The fields after a move: what is left first, in its order, and empty rows past it; links are
        renumbered, and those that point to what is not left are dropped.

        Args:
            boxes: where they are now, float32 [B, N, 4].
            kept: which are still seen, bool [B, N].
            room: rows of the result, N by default.
        """
        kept, order = compact(kept & self.there, room)
        gone = ~kept
        fields = {self.name: filled(take(boxes, order), gone, 0)}
        for name, (values, kind) in self.rows.items():
            fields[name] = filled(take(values, order), gone, kind.empty)
        if self.links:
            B, N = self.there.shape
            # the new number of every old one; -1 of what is not kept, and past the end of what is no number
            numbers = torch.arange(order.shape[1], device=order.device)
            new = order.new_full((B, N + 1), -1).scatter_(1, order, torch.where(kept, numbers, -1))
            for name, (links, points) in self.links.items():
                fields[name] = _renumbered(links, points.columns, new)
        return fields


def _renumbered(links: Tensor, columns: tuple[int, ...], new: Tensor) -> Tensor:
    """Links [B, R, C] after `Objects.settled`; ``new`` is int64 [B, N + 1]."""
    N = new.shape[1] - 1
    links, kept = links.clone(), torch.ones(links.shape[:2], dtype=torch.bool, device=links.device)
    for column in columns:
        old = links[..., column]
        links[..., column] = new.gather(1, torch.where((old >= 0) & (old < N), old, N))
        kept &= links[..., column] >= 0
    kept, order = compact(kept)
    return filled(take(links, order), ~kept, -1)
