"""Boxes that follow the pixels of whole batches: mapped, cut to the picture, dropped when too little is left.

Boxes are float32 x1, y1, x2, y2 in pixels, y down, the second corner exclusive. A batch with objects has
``boxes`` [B, M, 4] and ``box_labels`` int64 [B, M] (-1 where there is no object), perhaps ``ignored`` bool
[B, M] and ``proposals`` [B, P, 4] (zero rows are none).
"""

from typing import Any

import torch
from torch import Tensor

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


def area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def follow(
    boxes: Tensor, forward: Tensor, window: Tensor, min_share: float = MIN_SHARE, centred: bool = False
) -> tuple[Tensor, Tensor]:
    """Boxes after a move, and which are still there.

    Args:
        boxes: [B, N, 4].
        forward: [B, 2, 3] from input to output, both in pixels.
        window: what can be seen of the output, [B, 4] or [4].
        min_share: of a moved box's area that has to be in the window. A box that the move made thinner than
            ``MIN_SIDE`` is lost in any case.
        centred: the middle of the moved box has to be in the window.

    Returns:
        float32 [B, N, 4] cut to the window, bool [B, N].
    """
    moved = map_boxes(boxes, forward)
    seen = cut_boxes(moved, window)
    before, after = (corner[..., 2:] - corner[..., :2] for corner in (boxes, seen))
    # a quarter turn swaps the sides; tolerance: a move by nothing is not exactly that
    thinnest = before.amin(-1).clamp(max=MIN_SIDE) - 1e-3
    # a share that is exactly met survives rounding
    kept = (after.amin(-1) >= thinnest) & (area(seen) >= (min_share - 1e-4) * area(moved)) & (area(seen) > 0)
    if centred:
        middle = (moved[..., :2] + moved[..., 2:]) / 2
        kept &= ((middle >= window[..., None, :2]) & (middle < window[..., None, 2:])).all(-1)
    return seen, kept


def compact(kept: Tensor, *rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Move the kept rows of tensors [B, N, ...] to the front, in their order; returns ``kept`` likewise."""
    order = kept.logical_not().byte().sort(dim=1, stable=True).indices
    return kept.gather(1, order), [_take(values, order) for values in rows]


def _take(values: Tensor, order: Tensor) -> Tensor:
    shape = order.shape + (1,) * (values.ndim - 2)
    return values.gather(1, order.view(shape).expand(*order.shape, *values.shape[2:]))


def has_objects(batch: Any) -> bool:
    """Whether the batch has boxes that can follow a move: with the labels that say which rows are objects."""
    boxes, labels = getattr(batch, "boxes", None), getattr(batch, "box_labels", None)
    return boxes is not None and labels is not None and boxes.ndim == 3 and boxes.shape[:2] == labels.shape


def has_proposals(batch: Any) -> bool:
    proposals = getattr(batch, "proposals", None)
    return proposals is not None and proposals.ndim == 3 and proposals.shape[-1] == 4


def object_fields(batch: Any) -> list[str]:
    """The fields that `move_objects` moves, and ``sizes``, which stays what it was in the file."""
    names: tuple[str, ...] = ("boxes", "box_labels", "ignored") if has_objects(batch) else ()
    if has_proposals(batch):
        names = (*names, "proposals")
    return [name for name in (*names, "sizes") if getattr(batch, name, None) is not None]


def boxes_of(batch: Any) -> Tensor:
    """float32 [B, M, 4] of a batch that `has_objects`."""
    boxes: Tensor = batch.boxes
    return boxes


def is_object(batch: Any) -> Tensor:
    """bool [B, M]: the rows that hold an object."""
    labels: Tensor = batch.box_labels
    return labels >= 0


def is_box(proposals: Tensor) -> Tensor:
    """bool [B, P]: the rows that hold a proposal."""
    return (proposals[..., 2:] > proposals[..., :2]).all(-1)


def settle(batch: Any, boxes: Tensor, kept: Tensor, **rows: Tensor) -> dict[str, Tensor]:
    """The fields of objects after a move: what is left first, in its order, and empty rows past it.

    Args:
        boxes: float32 [B, N, 4].
        kept: bool [B, N].
        rows: ``box_labels``, ``ignored`` [B, N], where they are not the batch's own.
    """
    labels = rows.get("box_labels", batch.box_labels)
    ignored = rows.get("ignored", getattr(batch, "ignored", None))
    kept, (boxes, labels, *rest) = compact(kept, boxes, labels, *([] if ignored is None else [ignored]))
    fields = {"boxes": boxes * kept[..., None], "box_labels": torch.where(kept, labels, -1)}
    return fields | ({"ignored": rest[0] & kept} if rest else {})


def settle_proposals(proposals: Tensor, kept: Tensor) -> Tensor:
    kept, (proposals,) = compact(kept, proposals)
    return proposals * kept[..., None]


def move_objects(
    batch: Any,
    forward: Tensor,
    height: int,
    width: int,
    min_share: float = MIN_SHARE,
    centred: bool = False,
) -> dict[str, Tensor]:
    """The fields of objects and proposals after the pixels moved; nothing for a batch without.

    Args:
        forward: [B, 2, 3] from input to output, both in pixels; any device.
        height, width: of the output.
        min_share, centred: which boxes are dropped, see `follow`. Those that are left come first, in their
            order.
    """
    fields: dict[str, Tensor] = {}
    window = torch.tensor([0.0, 0.0, width, height], device=batch.images.device)
    forward = forward.to(batch.images.device, torch.float32)
    if has_objects(batch):
        boxes, kept = follow(batch.boxes, forward, window, min_share, centred)
        fields |= settle(batch, boxes, kept & is_object(batch))
    if has_proposals(batch):
        boxes, kept = follow(batch.proposals, forward, window, min_share, centred)
        fields["proposals"] = settle_proposals(boxes, kept & is_box(batch.proposals))
    return fields
