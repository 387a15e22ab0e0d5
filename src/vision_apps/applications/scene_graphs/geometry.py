"""Where objects are, alone and in pairs, and what a map shows there."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from vision_apps.networks.boxes import intersection

PLACE = 6  # numbers that say where an object is
BETWEEN = 12  # and how two lie to each other


def places(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre (-1..1 over the picture), width and height (the picture's are 2), and their logarithms: [..., 4]
    in pixels of pictures of this height and width -> [..., 6].
    """
    centre, sides = _scaled(boxes, size)
    return torch.cat((centre, sides, _log(sides)), dim=-1)


def between(boxes: Tensor, others: Tensor, size: tuple[int, int]) -> Tensor:
    """How boxes [..., 4] lie to others [..., 4]: the way from centre to centre in shares of the picture, and
    in shares of the first one's sides and of the second one's; the gap along each axis (negative where they
    overlap); the logarithms of the ratios of their sides; and which shares of the two their overlap is.

    Returns:
        [..., 12], each within -5..5.
    """
    (centre, sides), (other, lengths) = _scaled(boxes, size), _scaled(others, size)
    way = other - centre
    gap = way.abs() - (sides + lengths) / 2
    common = intersection(boxes, others)[..., None]
    area, second = (_area(one)[..., None].clamp_min(1e-6) for one in (boxes, others))
    found = (
        *(way, gap, way / sides.clamp_min(1e-3), way / lengths.clamp_min(1e-3)),
        *(_log(sides) - _log(lengths), common / area, common / second),
    )
    return torch.cat(found, dim=-1).clamp(-5, 5)


def union(boxes: Tensor, others: Tensor) -> Tensor:
    """The least boxes that hold both of two: [..., 4] and [..., 4] -> [..., 4]."""
    low = torch.minimum(boxes[..., :2], others[..., :2])
    return torch.cat((low, torch.maximum(boxes[..., 2:], others[..., 2:])), dim=-1)


def box_grid(maps: Tensor, boxes: Tensor, size: tuple[int, int], points: int) -> Tensor:
    """A map read at the middles of ``points`` x ``points`` cells of each box, between its values (RoIAlign
    with one point a cell: He et al., ICCV 2017, section 3): [B, M, C * points * points].

    Args:
        maps: [B, C, h, w].
        boxes: [B, M, 4] in pixels of pictures of this ``size``, height and width.
    """
    step = (torch.arange(points, dtype=boxes.dtype, device=boxes.device) + 0.5) / points
    low, sides = boxes[..., None, :2], (boxes[..., 2:] - boxes[..., :2])[..., None, :]
    along = low + sides * step[:, None]  # [B, M, points, 2]
    whole = boxes.new_tensor([size[1], size[0]])
    x, y = (2 * along / whole - 1).unbind(-1)
    shape = (*x.shape, points)
    grid = torch.stack((x[..., None, :].expand(shape), y[..., :, None].expand(shape)), dim=-1)
    read = grid_sample(
        maps, grid.flatten(2, 3).to(maps.dtype), mode="bilinear", padding_mode="border", align_corners=False
    )
    return read.permute(0, 2, 1, 3).flatten(2)


def _scaled(boxes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Centre and sides [..., 2] over a picture that reaches from -1 to 1."""
    whole = boxes.new_tensor([size[1], size[0]])
    low, high = 2 * boxes[..., :2] / whole - 1, 2 * boxes[..., 2:] / whole - 1
    return (low + high) / 2, high - low


def _log(sides: Tensor) -> Tensor:
    return sides.clamp_min(1e-3).log()


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
