"""Moving pixels of whole batches: windows and affine maps, one per image.

A batch is a ``NamedTuple`` with ``images`` uint8 [B, 3, H, W] and perhaps other fields laid out over the same
pixels (masks, truths per pixel): what moves the images moves those alike.
"""

from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core.errors import ConfigError


class ImageBatch(Protocol):
    """What every batch type is."""

    @property
    def images(self) -> Tensor: ...

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def _replace(self, **changes: Any) -> Self: ...


AnyBatch = TypeVar("AnyBatch", bound=ImageBatch)


def companions(batch: ImageBatch) -> dict[str, Tensor]:
    """The fields beside ``images`` that are laid out over the same pixels: [B, ..., H, W].

    Raises:
        ConfigError: a field is neither that nor a label, so where it belongs after a move is not known.
    """
    images, found = batch.images, {}
    for name in batch._fields:
        value = getattr(batch, name)
        if name == "images" or value is None or value.ndim < 2 or (name == "labels" and value.ndim == 2):
            continue
        if value.ndim < 3 or value.shape[-2:] != images.shape[-2:]:
            raise ConfigError(
                f"data.augment: the field {name!r} {list(value.shape)} cannot follow when pixels of the "
                f"images {list(images.shape)} move; leave out transforms that move pixels, for instance "
                "~data.augment.crop"
            )
        found[name] = value
    return found


def refuse_companions(batch: ImageBatch, transform: object, reason: str) -> None:
    """For transforms after which fields over the pixels would no longer be true."""
    if names := sorted(companions(batch)):
        raise ConfigError(
            f"data.augment: {type(transform).__name__} does not fit data that offers {names[0]!r}: {reason}"
        )


def move_pixels(batch: AnyBatch, move: Callable[[Tensor], Tensor]) -> AnyBatch:
    """Apply ``move`` to the images and to every field laid out over them."""
    moved = {name: move(value) for name, value in companions(batch).items()}
    return batch._replace(images=move(batch.images), **moved)


def pad_border(field: Tensor, padding: int, mode: str) -> Tensor:
    """[B, ..., H, W] -> [B, ..., H + 2 padding, W + 2 padding]."""
    planes = field.reshape(len(field), -1, *field.shape[-2:])
    padded = F.pad(planes, (padding,) * 4, mode=mode)
    return padded.view(*field.shape[:-2], *padded.shape[-2:])


def windows(field: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """A window of its own from every image: [B, ..., H, W] -> [B, ..., height, width].

    All windows at all places are the overlapping rows of one strided view, so a single ``index_select``
    copies them row by row: four times faster than gathering pixels, and no index is larger than [B].

    Args:
        top, left: int64 [B] on the CPU; the windows must lie inside.
    """
    field = field.contiguous()
    H, W = field.shape[-2:]
    per_image = field[0].numel()
    planes = per_image // (H * W)
    places = field.numel() - ((planes - 1) * H * W + (height - 1) * W + width) + 1
    view = field.as_strided((places, planes, height, width), (1, H * W, W, 1))
    starts = torch.arange(len(field)) * per_image + top * W + left
    return view.index_select(0, starts.to(field.device)).view(*field.shape[:-2], height, width)


def warp(images: Tensor, maps: Tensor, height: int, width: int, padding_mode: str) -> Tensor:
    """Resample every image through its own affine map: [B, 3, H, W] -> [B, 3, height, width], bilinear.

    Nothing is smoothed before shrinking: beyond a factor of about two it aliases.

    Args:
        maps: float32 [B, 2, 3] from output to input coordinates, both from -1 to 1 between the outer edges.
        padding_mode: what lies outside, as in ``torch.nn.functional.grid_sample``.
    """
    grid = F.affine_grid(maps.to(images.device), [len(images), 1, height, width], align_corners=False)
    out = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode=padding_mode, align_corners=False)
    return out if images.is_floating_point() else out.round().to(images.dtype)
