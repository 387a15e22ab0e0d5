"""Moving pixels of whole batches: windows and affine maps, one per image. What moves the pictures moves the
fields that are laid out over them, and boxes (see ``objects``), alike."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core.fields import Mask, PixelTruth
from vision_apps.data.augmentation.effects import Parts
from vision_apps.data.augmentation.objects import MIN_SHARE, follow


def move_pixels(
    parts: Parts, move: Callable[[Tensor, int], Tensor], forward: Tensor, min_share: float = MIN_SHARE
) -> dict[str, Tensor]:
    """The fields after a move that blends no pixels.

    Args:
        move: from a field [B, ..., H, W], and the value of pixels that come from nowhere, to the moved field.
        forward: float32 [B, 2, 3], the same move from input to output in pixels.
        min_share: of an object's area that has to be left of it.
    """
    moved = {name: move(truth, 0) for name, (truth, _) in parts.of(PixelTruth).items()}
    moved |= {name: move(mask, kind.void) for name, (mask, kind) in parts.of(Mask).items()}
    moved |= {name: move(picture, 0) for name, picture in parts.pictures.items()}
    H, W = moved[next(iter(parts.pictures))].shape[-2:]
    return moved | move_objects(parts, forward, H, W, min_share)


def move_objects(
    parts: Parts,
    forward: Tensor,
    height: int,
    width: int,
    min_share: float = MIN_SHARE,
    centred: bool = False,
) -> dict[str, Tensor]:
    """The fields of boxes, and what belongs to them, after the pixels moved.

    Args:
        forward: [B, 2, 3] from input to output, both in pixels; any device.
        height, width: of the output.
        min_share, centred: which boxes are dropped, see ``objects.follow``. Those that are left come first,
            in their order.
    """
    window = torch.tensor([0.0, 0.0, width, height], device=parts.device)
    forward = forward.to(parts.device, torch.float32)
    fields: dict[str, Tensor] = {}
    for objects in parts.objects:
        fields |= objects.settled(*follow(objects.boxes, forward, window, min_share, centred))
    return fields


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
    return sample(images, grid_of(maps.to(images.device), height, width), padding_mode)


def grid_of(maps: Tensor, height: int, width: int) -> Tensor:
    """For `sample`: float32 [B, height, width, 2] of maps as `warp` takes them, on their device."""
    maps = maps.float()[:, None, None]
    x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
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


def sample_all(
    parts: Parts,
    grid: Tensor,
    padding_mode: str = "border",
    fill: Sequence[float] | None = None,
    source: Callable[[Tensor], Tensor] = lambda field: field,
) -> dict[str, Tensor]:
    """Pictures, bilinear, and masks, by their nearest pixel, at the places of ``grid`` [B, h, w, 2].

    Args:
        fill: RGB in [0, 1] of what lies outside, where masks have their void; replaces ``padding_mode``.
        source: what is sampled of a field.
    """
    painted = None if fill is None else paint(fill)
    fields = {
        name: sample(source(picture), grid, padding_mode, painted) for name, picture in parts.pictures.items()
    }
    for name, (mask, kind) in parts.of(Mask).items():
        void = None if fill is None else torch.tensor(float(kind.void))
        fields[name] = sample(source(mask), grid, padding_mode, void, "nearest")
    return fields


def resample(
    parts: Parts,
    maps: Tensor,
    height: int,
    width: int,
    *,
    fill: Sequence[float] | None = None,
    min_share: float = MIN_SHARE,
    centred: bool = False,
) -> dict[str, Tensor]:
    """The fields after every picture went through its own affine map; masks and boxes follow.

    Args:
        maps: float [B, 2, 3] as for `warp`.
        fill: RGB in [0, 1] of what lies outside; by default the border goes on.
        min_share, centred: which objects are dropped, see ``objects.follow``.
    """
    _, H, W = parts.size
    grid = grid_of(maps.to(parts.device), height, width)
    forward = in_pixels(maps, (H, W), (height, width))
    return sample_all(parts, grid, fill=fill) | move_objects(
        parts, forward, height, width, min_share, centred
    )


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
