"""Four pictures in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vision_apps.core import draws
from vision_apps.core.augmentation import share_of_run
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.objects import MIN_SHARE, Objects, follow
from vision_apps.data.augmentation.spatial import sample_all
from vision_apps.data.augmentation.zooms import MID_GREY, log_uniform, require_range


@dataclass
class Mosaic(BatchTransform):
    """Four scaled pictures that meet in a random point (Bochkovskiy et al. 2020, section 3.3), at the size of
    one: the picture itself at the top left and the three that follow it in the (shuffled) batch, of the
    process's share of it where several train.

    Each picture touches the point with its corner, so of a large one the far part is cut, and past a small
    one ``mean`` is painted and masks have their void. The result has room for min(4 M, ``capacity``) objects
    instead of M; more are left out, the last of each picture first. Boxes without a field that says which are
    objects (proposals) keep their number P alike: the first of each picture stay.

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

    effects = Effect.TILES | Effect.BLENDS | Effect.OUTSIDE
    p: float = 1.0
    scale: Sequence[float] = (0.4, 1.0)
    centre: Sequence[float] = (0.25, 0.75)
    capacity: int = 300
    until: float = 0.9
    mean: Sequence[float] = MID_GREY
    min_share: float = MIN_SHARE

    def __post_init__(self) -> None:
        require_range(self, "scale", self.scale)
        require_range(self, "centre", self.centre)
        share_of_run("Mosaic", self.until)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        meet = draws.uniform(B, 2, low=self.centre[0], high=self.centre[1]) * torch.tensor([W, H])
        meet = meet.round()  # no pixel is of two pictures
        scale = torch.stack([log_uniform(B, self.scale) for _ in range(4)])
        alone = draws.uniform(B) >= self.p
        # a picture that stays alone is the top left one, whole
        meet[alone], scale[:, alone] = torch.tensor([float(W), float(H)]), 1.0
        device = parts.device
        rows = ((torch.arange(4)[:, None] + torch.arange(B)) % B).to(device)  # [4, B]
        grid = _grid(meet, scale, H, W).to(device)
        fields = sample_all(parts, grid, fill=self.mean, source=lambda field: _side_by_side(field, rows))
        # all four pictures of a mosaic as a batch of 4 B
        forward, seen = (part.flatten(0, 1).to(device) for part in _quarters(meet, scale, H, W))
        for objects in parts.objects:
            moved, kept = follow(objects.boxes[rows].flatten(0, 1), forward, seen, self.min_share)
            boxes, kept = (_interleaved(part.unflatten(0, rows.shape)) for part in (moved, kept))
            room = objects.boxes.shape[1]
            if objects.kind.present is not None:
                room = min(4 * room, max(self.capacity, 1))
            fields |= _joined(objects, rows).settled(boxes, kept, room)
        return fields


def _joined(objects: Objects, rows: Tensor) -> Objects:
    """The objects of four pictures as those of one; ``rows`` is int64 [4, B]."""
    links = {}
    for name, (values, kind) in objects.links.items():
        found = values[rows]
        for column in kind.columns:
            old, quarter = found[..., column], torch.arange(4, device=found.device).view(4, 1, 1)
            found[..., column] = torch.where(old >= 0, 4 * old + quarter, -1)
        links[name] = (_interleaved(found), kind)
    return objects._replace(
        there=_interleaved(objects.there[rows]),
        rows={name: (_interleaved(values[rows]), kind) for name, (values, kind) in objects.rows.items()},
        links=links,
    )


def _side_by_side(field: Tensor, rows: Tensor) -> Tensor:
    """Four pictures of a field [B, ..., H, W] in a square, [B, ..., 2 H, 2 W]: 0 and 1 above 2 and 3.

    Args:
        rows: int64 [4, B].
    """
    pictures = field[rows.flatten()].unflatten(0, rows.shape)
    upper, lower = torch.cat((pictures[0], pictures[1]), -1), torch.cat((pictures[2], pictures[3]), -1)
    return torch.cat((upper, lower), dim=-2)


def _grid(meet: Tensor, scale: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel of the mosaic comes from in the four pictures side by side, [B, H, W, 2] for
    ``spatial.sample``: that square's middle, 0, is where they meet.

    Args:
        meet: x, y in pixels, [B, 2].
        scale: [4, B].
    """
    x = (torch.arange(width) + 0.5 - meet[:, :1])[:, None, :].expand(-1, height, -1)
    y = (torch.arange(height) + 0.5 - meet[:, 1:])[:, :, None].expand(-1, -1, width)
    quarter = (x > 0) + 2 * (y > 0)
    factor = scale.t().gather(1, quarter.flatten(1)).view_as(quarter)
    return torch.stack((x / factor / width, y / factor / height), dim=-1)


def _quarters(meet: Tensor, scale: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where the pictures go, top left, top right, bottom left, bottom right: maps [4, B, 2, 3] from their
    pixels to the mosaic's, and the quarters [4, B, 4] in pixels. Arguments as for `_grid`."""
    side = torch.tensor([width, height])
    # per axis, whether it lies past the meeting point
    after = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])[:, None]
    factor = scale[..., None]
    offset = meet - (1 - after) * side * factor
    forward = torch.cat((torch.diag_embed(factor.expand(-1, -1, 2)), offset[..., None]), dim=-1)
    return forward, torch.cat((meet * after, torch.where(after.bool(), side, meet)), dim=-1)


def _interleaved(parts: Tensor) -> Tensor:
    """[4, B, N, ...] as [B, 4 N, ...]: the first rows of each picture, then the second, so that a cut at the
    end takes from all alike."""
    return parts.movedim(0, 2).flatten(1, 2)
