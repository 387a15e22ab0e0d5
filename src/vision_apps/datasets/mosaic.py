"""Four pictures in one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vision_apps.core.augmentation import Augmentation, share_of_run
from vision_apps.core.errors import ConfigError
from vision_apps.datasets.box_augment import GREY, log_uniform, ranged, window_maps
from vision_apps.datasets.objects import (
    MIN_SHARE,
    boxes_of,
    follow,
    has_objects,
    has_proposals,
    is_box,
    is_object,
    settle,
    settle_proposals,
)
from vision_apps.datasets.spatial import (
    IGNORE,
    MASKS,
    AnyBatch,
    grid_of,
    in_pixels,
    paint,
    refuse_companions,
    sample,
)


class Mosaic(Augmentation):
    """Four scaled pictures that meet in a random point (Bochkovskiy et al. 2020, section 3.3), at the size of
    one: the picture itself at the top left and the three that follow it in the (shuffled) batch.

    Each picture touches the point with its corner, so of a large one the far part is cut, and past a small
    one ``mean`` is painted and masks are 255. The result has room for min(4 M, ``capacity``) objects instead
    of M; more are left out, the last of each picture first. Proposals keep their number P alike: the first of
    each picture stay.

    Args:
        p: probability per picture.
        scale: range of the pictures' factor, drawn evenly in the logarithm for each of the four.
        centre: range of where they meet, as a share of the sides.
        capacity: largest number of object rows.
        until: share of the run after which it is off: a network should end on pictures as they are (0.9: off
            in the last tenth).
        mean: RGB in [0, 1] between the pictures.
        min_share: of an object's area that has to be left of it.
    """

    def __init__(
        self,
        p: float = 1.0,
        scale: Sequence[float] = (0.4, 1.0),
        centre: Sequence[float] = (0.25, 0.75),
        capacity: int = 300,
        until: float = 0.9,
        mean: Sequence[float] = GREY,
        min_share: float = MIN_SHARE,
    ) -> None:
        self.p = p
        self.scale = ranged(self, "scale", scale)
        self.centre = ranged(self, "centre", centre)
        self.capacity = capacity
        self.until = share_of_run("Mosaic", until)
        self.mean = tuple(mean)
        self.min_share = min_share

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        refuse_companions(batch, self, "its pixels cannot be scaled", but=(MASKS,), objects=False)
        if getattr(batch, "labels", None) is not None:
            raise ConfigError(
                "data.augment: Mosaic does not fit data that offers 'labels': four pictures have no single "
                "class; use CutMix"
            )
        images = batch.images
        B, _, H, W = images.shape
        meet = torch.empty(B, 2).uniform_(*self.centre) * torch.tensor([W, H])
        meet = meet.round()  # no pixel is of two pictures
        scale = log_uniform(4 * B, self.scale).view(4, B)
        alone = torch.rand(B) >= self.p
        # a picture that stays alone is the top left one, whole
        meet[alone], scale[:, alone] = torch.tensor([float(W), float(H)]), 1.0
        sources = (torch.arange(4)[:, None] + torch.arange(B)) % B  # [4, B]
        corners = [_corner(meet, scale[q], q, H, W) for q in range(4)]

        fields = self._pixels(batch, meet, sources, corners)
        forwards = [in_pixels(maps, (H, W), (H, W)).float().to(images.device) for maps, _ in corners]
        quarters = [seen.to(images.device) for _, seen in corners]
        rows = sources.to(images.device)
        if has_objects(batch):
            boxes, kept = self._together(boxes_of(batch), is_object(batch), rows, forwards, quarters)
            labels = {
                name: _interleaved([getattr(batch, name)[here] for here in rows])
                for name in ("box_labels", "ignored")
                if getattr(batch, name, None) is not None
            }
            room = min(boxes.shape[1], max(self.capacity, 1))
            settled = settle(batch, boxes, kept, **labels)
            fields |= {name: values[:, :room] for name, values in settled.items()}
        if has_proposals(batch):
            proposals = batch.proposals  # type: ignore[attr-defined]
            boxes, kept = self._together(proposals, is_box(proposals), rows, forwards, quarters)
            fields["proposals"] = settle_proposals(boxes, kept)[:, : proposals.shape[1]]
        return batch._replace(**fields)

    def _pixels(
        self, batch: AnyBatch, meet: Tensor, sources: Tensor, corners: list[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        images, masks = batch.images, getattr(batch, MASKS, None)
        H, W = images.shape[-2:]
        right = (torch.arange(W) >= meet[:, :1])[:, None, :]
        below = (torch.arange(H) >= meet[:, 1:])[:, :, None]
        quarter = (right + 2 * below).to(images.device)  # [B, H, W]
        fields: dict[str, Tensor] = {}
        for q, (maps, _) in enumerate(corners):
            here, source = quarter == q, sources[q].to(images.device)
            grid = grid_of(images, maps, H, W)
            part = sample(images.index_select(0, source), grid, fill=paint(self.mean))
            fields["images"] = torch.where(here[:, None], part, fields["images"]) if q else part
            if masks is not None:
                outside = torch.tensor(float(IGNORE))
                part = sample(masks.index_select(0, source), grid, fill=outside, mode="nearest")
                fields[MASKS] = torch.where(here, part, fields[MASKS]) if q else part
        return fields

    def _together(
        self, boxes: Tensor, there: Tensor, rows: Tensor, forwards: list[Tensor], quarters: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The boxes [B, N, 4] of all four pictures in the mosaic, [B, 4 N, 4], and which are left."""
        moved, left = [], []
        for here, forward, seen in zip(rows, forwards, quarters, strict=True):
            part, kept = follow(boxes[here], forward, seen, self.min_share)
            moved.append(part)
            left.append(kept & there[here])
        return _interleaved(moved), _interleaved(left)


def _corner(meet: Tensor, scale: Tensor, quarter: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Of the picture in one quarter (0 top left, 1 top right, 2 bottom left, 3 bottom right): the map
    [B, 2, 3] for ``spatial.warp``, and the quarter [B, 4] in pixels."""
    side = torch.tensor([width, height])
    after = torch.tensor([quarter % 2, quarter // 2])  # per axis, whether it lies past the meeting point
    low = side * (1 - after) - meet / scale[:, None]
    window = torch.cat((low, low + side / scale[:, None]), dim=1)
    seen = torch.cat((meet * after, torch.where(after.bool(), side, meet)), dim=1)
    return window_maps(window, height, width), seen


def _interleaved(parts: list[Tensor]) -> Tensor:
    """Four times [B, N, ...] as [B, 4 N, ...]: the first rows of each, then the second, so that a cut at the
    end takes from all alike."""
    return torch.stack(parts, dim=2).flatten(1, 2)
