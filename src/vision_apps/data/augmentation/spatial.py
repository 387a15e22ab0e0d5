"""Moving pixels of whole batches: windows and affine maps, one per image.

A batch is a ``NamedTuple`` with ``images`` uint8 [B, 3, H, W] and perhaps other fields laid out over the same
pixels (masks, truths per pixel) and boxes (see ``objects``): what moves the images moves those alike.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.objects import MIN_SHARE, move_objects, object_fields

MASKS = "masks"  # the field uint8 [B, H, W] of class numbers: may be scaled by the nearest pixel


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
        ConfigError: a field is neither that, nor a label, nor belongs to objects, so where it belongs after a
            move is not known.
    """
    images, found, objects = batch.images, {}, object_fields(batch)
    for name in batch._fields:
        value = getattr(batch, name)
        if name == "images" or name in objects or value is None or value.ndim < 2:
            continue
        if name == "labels" and value.ndim == 2:
            continue
        if value.ndim < 3 or value.shape[-2:] != images.shape[-2:]:
            raise ConfigError(
                f"data.augment: the field {name!r} {list(value.shape)} cannot follow when pixels of the "
                f"images {list(images.shape)} move; leave out transforms that move pixels, for instance "
                "~data.augment.crop"
            )
        found[name] = value
    return found


def refuse_companions(
    batch: ImageBatch, transform: object, reason: str, but: Collection[str] = (), objects: bool = True
) -> None:
    """For transforms after which fields over the pixels would no longer be true.

    Args:
        but: fields over the pixels that the transform takes along.
        objects: refuse boxes and proposals too.
    """
    names = set(companions(batch)) - set(but)
    if objects:
        names |= {name for name in object_fields(batch) if name in ("boxes", "proposals")}
    if names:
        raise ConfigError(
            f"data.augment: {type(transform).__name__} does not fit data that offers {min(names)!r}: {reason}"
        )


def move_pixels(
    batch: AnyBatch,
    move: Callable[[Tensor, int], Tensor],
    forward: Tensor,
    min_share: float = MIN_SHARE,
) -> AnyBatch:
    """Apply a move that blends no pixels to the images and to every field laid out over them; boxes and
    proposals follow.

    Args:
        move: from a field [B, ..., H, W], and the value of pixels that come from nowhere, to the moved field.
        forward: float32 [B, 2, 3], the same move from input to output in pixels.
        min_share: of an object's area that has to be left of it.
    """
    moved = {
        name: move(value, IGNORE_INDEX if name == MASKS else 0) for name, value in companions(batch).items()
    }
    images = move(batch.images, 0)
    H, W = images.shape[-2:]
    moved |= move_objects(batch, forward, H, W, min_share)
    return batch._replace(images=images, **moved)


def shifted(left: Tensor, top: Tensor) -> Tensor:
    """The map float32 [B, 2, 3] of pixels by ``left`` and ``top`` [B]."""
    forward = torch.eye(2, 3).repeat(len(left), 1, 1)
    forward[:, 0, 2], forward[:, 1, 2] = left, top
    return forward


def pad_border(field: Tensor, padding: int, mode: str, fill: int = 0) -> Tensor:
    """[B, ..., H, W] -> [B, ..., H + 2 padding, W + 2 padding]."""
    planes = field.reshape(len(field), -1, *field.shape[-2:])
    value = float(fill) if mode == "constant" else None
    padded = F.pad(planes, (padding,) * 4, mode=mode, value=value)
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
    return sample(images, grid_of(images, maps, height, width), padding_mode)


def grid_of(images: Tensor, maps: Tensor, height: int, width: int) -> Tensor:
    """For `sample`: float32 [B, height, width, 2] of maps as `warp` takes them."""
    maps = maps.to(images.device, torch.float32)[:, None, None]
    x = (torch.arange(width, device=images.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=images.device) * 2 + 1) / height - 1
    # not as a matrix product (`affine_grid`), which a GPU may round to 10 bits
    return maps[..., 0] * x[:, None] + (maps[..., 1] * y[:, None, None] + maps[..., 2])


def sample(
    field: Tensor,
    grid: Tensor,
    padding_mode: str = "zeros",
    fill: Tensor | None = None,
    mode: str = "bilinear",
) -> Tensor:
    """Fields [B, C, H, W] or [B, H, W] at the places of ``grid`` [B, h, w, 2], in the field's own type.

    Args:
        fill: what lies outside, [C, 1, 1] in the field's units; replaces ``padding_mode``.
        mode: ``nearest`` for classes.
    """
    planes = field if field.ndim == 4 else field[:, None]
    if fill is None:
        planes = planes.float()
    else:  # in place: new memory costs as much as the arithmetic
        fill = fill.to(planes.device, torch.float32)
        planes, padding_mode = planes.to(torch.float32, copy=True).sub_(fill), "zeros"
    out = F.grid_sample(planes, grid, mode=mode, padding_mode=padding_mode, align_corners=False)
    if fill is not None:
        out += fill
    out = out if field.is_floating_point() else out.round_().to(field.dtype)
    return out if field.ndim == 4 else out[:, 0]


def paint(color: Sequence[float]) -> Tensor:
    """RGB in [0, 1] as `sample` fills with it: [3, 1, 1], 0..255."""
    return (torch.tensor(color) * 255).round().view(3, 1, 1)


def resample(
    batch: AnyBatch,
    transform: object,
    maps: Tensor,
    height: int,
    width: int,
    *,
    fill: Sequence[float] | None = None,
    min_share: float = MIN_SHARE,
    centred: bool = False,
) -> AnyBatch:
    """Give every picture of a batch its own affine map: images bilinear, ``masks`` by their nearest pixel,
    boxes and proposals by the same map.

    Args:
        transform: who asks, for errors: other fields over the pixels are refused.
        maps: float [B, 2, 3] as for `warp`.
        fill: RGB in [0, 1] of what lies outside, where masks become 255; by default the border goes on.
        min_share, centred: which objects are dropped, see ``objects.follow``.
    """
    refuse_companions(
        batch, transform, "scaling blends pixels, whose truths cannot follow; use RandomCrop", (MASKS,), False
    )
    images = batch.images
    grid = grid_of(images, maps, height, width)
    fields = move_objects(
        batch, in_pixels(maps, images.shape[-2:], (height, width)), height, width, min_share, centred
    )
    fields["images"] = sample(images, grid, "border", None if fill is None else paint(fill))
    masks = getattr(batch, MASKS, None)
    if masks is not None:
        outside = None if fill is None else torch.tensor(float(IGNORE_INDEX))
        fields[MASKS] = sample(masks, grid, "border", outside, "nearest")
    return batch._replace(**fields)


def in_pixels(maps: Tensor, size: Sequence[int], output: Sequence[int]) -> Tensor:
    """The maps of `warp` the other way: float64 [B, 2, 3] from input to output, both in pixels.

    Args:
        size, output: height and width of input and output.
    """
    half_in = torch.tensor([size[1] / 2, size[0] / 2], dtype=torch.float64, device=maps.device)
    half_out = torch.tensor([output[1] / 2, output[0] / 2], dtype=torch.float64, device=maps.device)
    maps = maps.double()
    linear = maps[:, :, :2] * half_in[:, None] / half_out  # output to input, in pixels
    offset = half_in * (maps[:, :, 2] + 1) - (linear * half_out).sum(-1)
    (a, b), (c, d) = linear[:, 0].unbind(-1), linear[:, 1].unbind(-1)
    adjugate = torch.stack((torch.stack((d, -b), -1), torch.stack((-c, a), -1)), 1)
    inverse = adjugate / (a * d - b * c)[:, None, None]
    return torch.cat((inverse, -(inverse * offset[:, None, :]).sum(-1, keepdim=True)), dim=-1)
