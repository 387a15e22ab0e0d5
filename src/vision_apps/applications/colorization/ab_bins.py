"""The quantised ab plane: its bins, and the soft encoding of colours on them (Zhang et al. 2016).

Bins lie on the grid {-110, -100, ..., 110}^2, in a-major order. The full grid has 529 (Zhang et al.,
SIGGRAPH 2017); the 313 of the ECCV 2016 paper are those whose surrounding square of half-side 10 meets the
convex hull of all sRGB colours: so that every colour finds the four grid points around it. Derived here, not
shipped; equal to the authors' file.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.colorization.lab import rgb_to_ab

SPACING = 10
EXTENT = 110
SIGMA = 5.0  # of the Gaussian that spreads a colour over its neighbours, in ab units (section 2.1)


class SoftColors(NamedTuple):
    """A sparse distribution over the bins for every pixel; K nearest bins, nearest first."""

    indices: Tensor  # int64 [B, K, h, w]
    weights: Tensor  # float32 [B, K, h, w], positive, sums to 1 over K


@lru_cache(maxsize=2)
@torch.inference_mode(False)  # else a table that validation made could not serve training
def ab_bins(count: int = 313) -> Tensor:
    """ab of the bins, float32 [count, 2]; ``count`` is 313 (those near the sRGB gamut) or 529 (the whole
    grid)."""
    axis = torch.arange(-EXTENT, EXTENT + 1, SPACING, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    if count == 313:
        return grid[_near_gamut(grid)].float()
    if count == 529:
        return grid.float()
    raise ValueError(f"there are 313 or 529 bins, not {count}")


def _near_gamut(points: Tensor) -> Tensor:
    """Whether [a - 10, a + 10] x [b - 10, b + 10] meets the convex hull of sRGB, bool [N], for ab ``points``
    [N, 2].

    A point is inside a convex set iff no direction separates them. 1800 directions decide as 36,000 do: the
    nearest calls (half-sides from 9.73 to 10.06 give the same set) are wider than what a fifth of a degree
    can blur.
    """
    angle = torch.arange(1800, dtype=torch.float64) * (math.tau / 1800)
    direction = torch.stack([angle.cos(), angle.sin()], dim=1)
    gamut = rgb_to_ab(_cube_edges()[None, :, :, None])[0, :, :, 0].double()
    support = (direction @ gamut).amax(1) + SPACING * direction.abs().sum(1)
    return (direction @ points.T <= support[:, None]).all(0)


def _cube_edges() -> Tensor:
    """The colours on the 12 edges of the RGB cube, uint8 [3, 3072]: their ab span the hull of all sRGB
    colours.

    (The 8 corners alone do not: an edge is a curve in ab. They give 301 bins.)
    """
    ramp = torch.arange(256, dtype=torch.uint8)
    edges = []
    for first in (0, 255):
        for second in (0, 255):
            edge = torch.stack([ramp, torch.full_like(ramp, first), torch.full_like(ramp, second)])
            edges += [edge.roll(axis, 0) for axis in range(3)]
    return torch.cat(edges, dim=1)


_CELL = 5  # half a grid square: small enough for few candidates, large enough for a small table
_CELLS = 2 * EXTENT // _CELL


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _candidates(count: int, neighbours: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each cell of the ab plane the bins that can be among the nearest of any point in it.

    A bin cannot when even its shortest distance to the cell exceeds the ``neighbours``-th smallest of the
    longest distances. Rows are filled up with a bin at infinity.

    Returns:
        indices int64 [cells^2, C] and ab float32 [2, cells^2, C].
    """
    bins = ab_bins(count).double()
    low = torch.arange(_CELLS, dtype=torch.float64) * _CELL - EXTENT
    low = torch.cartesian_prod(low, low)[:, None]
    below, above = low - bins, bins - (low + _CELL)
    nearest = torch.maximum(below, above).clamp_min(0).square().sum(-1)
    farthest = torch.maximum(-below, -above).square().sum(-1)
    reach = farthest.kthvalue(neighbours, dim=1, keepdim=True).values
    # farther bins last, so that one narrow slice holds every candidate of every cell
    shortest, indices = nearest.sort(dim=1, stable=True)
    keep = shortest <= reach
    width = int(keep.sum(1).max())
    indices, keep = indices[:, :width], keep[:, :width]
    ab = bins[indices].masked_fill(~keep[:, :, None], 1e6)
    return indices.contiguous().to(device), ab.float().permute(2, 0, 1).contiguous().to(device)


def soft_encode(ab: Tensor, neighbours: int = 5, count: int = 313) -> SoftColors:
    """The nearest bins of every colour, weighted by a Gaussian of their distance (Zhang et al. 2016, section
    2.1).

    The paper takes 5 neighbours, the released training code 10.

    Args:
        ab: float [B, 2, h, w], ab of sRGB colours (within +-110; what lies outside is treated as the border
            cell's).
    """
    table, positions = _candidates(count, neighbours, ab.device)
    a, b = ab.float().unbind(1)
    row, column = (((x + EXTENT) / _CELL).floor_().clamp_(0, _CELLS - 1).long() for x in (a, b))
    cell = row.mul_(_CELLS).add_(column).flatten()
    square = (positions[0].index_select(0, cell).sub_(a.reshape(-1, 1))).square_()
    square += (positions[1].index_select(0, cell).sub_(b.reshape(-1, 1))).square_()
    square, order = square.topk(neighbours, dim=1, largest=False)
    indices = table.index_select(0, cell).gather(1, order)
    # relative to the nearest: the same after normalisation, and no weight underflows
    weights = square.sub_(square[:, :1].clone()).mul_(-0.5 / SIGMA**2).exp_()
    weights /= weights.sum(1, keepdim=True)
    batch, _, height, width = ab.shape
    shape = (batch, height, width, neighbours)
    return SoftColors(indices.view(shape).permute(0, 3, 1, 2), weights.view(shape).permute(0, 3, 1, 2))


def nearest_bin(ab: Tensor, count: int = 313) -> Tensor:
    """Index of the nearest bin, int64 [B, h, w], of ab [B, 2, h, w]."""
    return soft_encode(ab, 1, count).indices[:, 0]
