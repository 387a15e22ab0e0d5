"""The metrics of paths once more, one episode at a time, by recursion over lists: what the batched ones are
held against."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import TypeVar

Place = TypeVar("Place")


def scores(
    path: Sequence[Place],
    reference: Sequence[Place],
    distance: Callable[[Place, Place], float],
    threshold: float = 3.0,
) -> dict[str, float]:
    """Of a path in which a place may follow itself; the goal is where the reference ends."""
    path = [path[0], *(b for a, b in pairwise(path) if a != b)]
    goal = reference[-1]
    walked = math.fsum(distance(a, b) for a, b in pairwise(path))
    planned = math.fsum(distance(a, b) for a, b in pairwise(reference))
    error = distance(path[-1], goal)
    arrived = float(error < threshold)
    shortest = distance(path[0], goal)

    @cache
    def warped(i: int, j: int) -> float:
        cost = distance(path[i], reference[j])
        before = [warped(a, b) for a, b in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if a >= 0 and b >= 0]
        return cost + min(before, default=0.0)

    dtw = warped(len(path) - 1, len(reference) - 1)
    ndtw = math.exp(-dtw / (threshold * len(reference)))
    near = [math.exp(-min(distance(r, p) for p in path) / threshold) for r in reference]
    covered = sum(near) / len(near)
    expected = covered * planned
    score = 1.0 if expected == walked else expected / (expected + abs(expected - walked))
    return {
        "success": arrived,
        "spl": arrived * (1.0 if walked == 0 == shortest else shortest / max(walked, shortest)),
        "oracle_success": float(any(distance(p, goal) < threshold for p in path)),
        "navigation_error": error,
        "trajectory_length": walked,
        "ndtw": ndtw,
        "sdtw": arrived * ndtw,
        "cls": covered * score,
    }
