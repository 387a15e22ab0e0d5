"""How well paths were walked, as pure functions of distances.

All distances are geodesic: the length of the shortest way that can be walked, in one unit (m in buildings,
cells on a grid). A path is padded to T places and has ``sizes`` of them, at least one; what stands past them
is never read.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Walks(NamedTuple):
    """Paths that were walked, beside the reference paths of their episodes, as distances; a place that
    follows itself (a turn on the spot) is one place, see `without_turns`."""

    to_goal: Tensor  # float [B, T], of each place from the goal
    between: Tensor  # float [B, T, R], of each place from each place of the reference path
    moves: Tensor  # float [B, T], length of the move that led to each place; the first is 0
    sizes: Tensor  # int64 [B], places on each path
    reference_moves: Tensor  # float [B, R], as `moves`, of the reference path
    reference_sizes: Tensor  # int64 [B]
    shortest: Tensor  # float [B], from the start to the goal
    stopped: Tensor  # bool [B]: it said that it has arrived; true of all where an end need not be said


def _there(sizes: Tensor, length: int) -> Tensor:
    """bool [B, length]: what is not past the end."""
    return torch.arange(length, device=sizes.device) < sizes[:, None]


def without_turns(places: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Paths of which no place follows itself: places int64 [B, T] or [B, T, D] and sizes [B] -> the same,
    filled up with each path's last place."""
    wide = places if places.ndim == 3 else places[..., None]
    new = _there(sizes, places.shape[1])
    new[:, 1:] &= (wide[:, 1:] != wide[:, :-1]).any(-1)
    left = new.sum(1)
    order = new.logical_not().to(torch.int8).argsort(dim=1, stable=True)
    steps = torch.arange(places.shape[1], device=places.device)
    rows = order.gather(1, steps.minimum(left[:, None] - 1))
    kept = wide.gather(1, rows[..., None].expand(-1, -1, wide.shape[2]))
    return kept.view_as(places), left


def trajectory_length(moves: Tensor, sizes: Tensor) -> Tensor:
    """[B]."""
    return torch.where(_there(sizes, moves.shape[1]), moves, 0).sum(1)


def navigation_error(to_goal: Tensor, sizes: Tensor) -> Tensor:
    """How far from the goal a path ends (Anderson et al. 2018, arXiv:1711.07280, section 4.3): [B]."""
    return to_goal.gather(1, sizes[:, None] - 1)[:, 0]


def success(error: Tensor, threshold: float) -> Tensor:
    """bool [B]: the path ends nearer to the goal than ``threshold`` (same section: 3 m; nearer, not as
    near)."""
    return error < threshold


def oracle_success(to_goal: Tensor, sizes: Tensor, threshold: float) -> Tensor:
    """bool [B]: some place on the path is nearer to the goal than ``threshold`` (same section)."""
    return (_there(sizes, to_goal.shape[1]) & (to_goal < threshold)).any(1)


def spl(succeeded: Tensor, shortest: Tensor, length: Tensor) -> Tensor:
    """Success weighted by path length, 0..1 (Anderson et al. 2018, arXiv:1807.06757, section 4): [B]. Who
    stands still at the goal has walked no detour."""
    most = length.maximum(shortest)
    return succeeded * torch.where(most > 0, shortest / most, 1)


def dynamic_time_warping(between: Tensor, sizes: Tensor, reference_sizes: Tensor) -> Tensor:
    """The least sum of distances over all alignments of a path with its reference that keep the order of both
    and begin and end together (Ilharco et al. 2019, arXiv:1907.05446, equation 3): finite [B, T, R] ->
    [B]."""
    # a row of the table is c_j + min(above_j, left): with sums C of the row, left of j is C_j + min over k <=
    # j of (above_k - C_(k-1)), which is a running minimum and no loop over j
    count, places, references = between.shape
    costs = torch.where(_there(reference_sizes, references)[:, None], between, 0).double()
    sums = costs.cumsum(2)
    before = sums - costs
    above = torch.full((count, references + 1), torch.inf, dtype=torch.float64, device=between.device)
    above[:, 0] = 0
    table = []
    for step in range(places):
        entered = above[:, 1:].minimum(above[:, :-1])
        row = sums[:, step] + (entered - before[:, step]).cummin(1).values
        table.append(row)
        above = torch.cat((torch.full_like(above[:, :1], torch.inf), row), dim=1)
    rows = torch.stack(table, dim=1)
    return rows[torch.arange(count, device=rows.device), sizes - 1, reference_sizes - 1]


def ndtw(warping: Tensor, reference_sizes: Tensor, threshold: float) -> Tensor:
    """Normalised dynamic time warping, above 0 and at most 1 (equation 5 there): [B]."""
    return torch.exp(-warping / (threshold * reference_sizes))


def coverage(between: Tensor, sizes: Tensor, reference_sizes: Tensor, threshold: float) -> Tensor:
    """How near the path comes to the places of the reference, the mean over them, above 0 and at most 1 (Jain
    et al. 2019, arXiv:1905.12255, equation 2): [B, T, R] -> [B]."""
    off = ~_there(sizes, between.shape[1])[:, :, None]
    nearest = between.masked_fill(off, torch.inf).amin(1)
    there = _there(reference_sizes, between.shape[2])
    return torch.where(there, torch.exp(-nearest / threshold), 0).sum(1) / reference_sizes


def cls(covered: Tensor, length: Tensor, reference_length: Tensor) -> Tensor:
    """Coverage weighted by length score, 0..1 (same paper, equations 1, 3 and 4): [B]. Who stands still where
    the reference does is of the expected length."""
    expected = covered * reference_length
    most = expected + (expected - length).abs()
    return covered * torch.where(most > 0, expected / most, 1)


def evaluate(walks: Walks, threshold: float) -> dict[str, Tensor]:
    """All that is said of a path, by name, float64 [B] each.

    Args:
        threshold: of success and of what counts as near, in the unit of the distances.
    """
    walks = walks._replace(
        to_goal=walks.to_goal.double(),
        between=walks.between.double(),
        moves=walks.moves.double(),
        reference_moves=walks.reference_moves.double(),
        shortest=walks.shortest.double(),
    )
    length = trajectory_length(walks.moves, walks.sizes)
    error = navigation_error(walks.to_goal, walks.sizes)
    arrived = (success(error, threshold) & walks.stopped).double()
    warping = dynamic_time_warping(walks.between, walks.sizes, walks.reference_sizes)
    followed = ndtw(warping, walks.reference_sizes, threshold)
    covered = coverage(walks.between, walks.sizes, walks.reference_sizes, threshold)
    reference_length = trajectory_length(walks.reference_moves, walks.reference_sizes)
    return {
        "success": arrived,
        "spl": spl(arrived, walks.shortest, length),
        "oracle_success": oracle_success(walks.to_goal, walks.sizes, threshold).double(),
        "navigation_error": error,
        "trajectory_length": length,
        "ndtw": followed,
        "sdtw": arrived * followed,
        "cls": cls(covered, length, reference_length),
    }
