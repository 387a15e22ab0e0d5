"""Buildings that are made up: rooms in a grid, a landmark in each, and routes that name the landmarks on the
way.

What is seen in a direction says which landmark stands there, so that an instruction can be followed by
whoever looks. Every building is a function of a seed and its number.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.data.episodes.buildings import Building
from vision_apps.data.episodes.view_features import HEADINGS, VIEWS, Place

LANDMARKS = (
    "armchair bathtub bed bookcase clock desk fern fireplace "
    "lamp mirror painting piano sofa stove table wardrobe"
).split()
TEMPLATES = (  # of instructions: how each landmark on the way is named, and the last
    ("walk past the {}, ", "and stop at the {}."),
    ("go to the {}, then ", "go to the {} and wait there."),
    ("Continue to the {}. ", "Your goal is the {}."),
)
_SPACING, _JITTER = 2.5, 0.4  # m between rooms, and by how much each is moved at most
_OPEN = 0.5  # of the neighbouring rooms between which no way is needed: the share that has one
_SHARP = 24  # the power of a cosine: what is beside a direction is hardly seen in it
_NOISE = 0.1  # standard deviation; a landmark's numbers have 1
_HEIGHT = 1.5  # m of the camera


class Furnished(NamedTuple):
    building: Building
    landmarks: list[str]  # of each viewpoint
    views: dict[Place, Tensor]  # float32 [36, D]


class Walk(NamedTuple):
    """A route as a file of R2R has it."""

    path: list[int]
    heading: float  # rad
    instructions: list[str]


def furnished(seed: int, number: int, rows: int = 4, columns: int = 5, width: int = 24) -> Furnished:
    """A building of ``rows`` times ``columns`` rooms, of which each can be reached.

    Args:
        width: D, of the features.
    """
    rng = np.random.default_rng((seed, number))
    count, scan = rows * columns, f"building{number:03d}"
    grid = np.stack(np.divmod(np.arange(count), columns)[::-1], 1)
    places = np.c_[_SPACING * grid + rng.uniform(-_JITTER, _JITTER, (count, 2)), np.full(count, _HEIGHT)]
    edges = _doors(rng, grid)
    names = tuple(blake2b(f"{scan} {room}".encode(), digest_size=16).hexdigest() for room in range(count))
    building = Building(scan, names, torch.from_numpy(places), torch.from_numpy(edges))
    landmarks = _landmarks(rng, edges)
    codes = _codes(width)
    seen = (_seen(building) @ codes[landmarks]).reshape(count, VIEWS, width)
    seen += _NOISE * rng.standard_normal(seen.shape)
    views = {(scan, name): torch.from_numpy(own).float() for name, own in zip(names, seen, strict=True)}
    return Furnished(building, [LANDMARKS[landmark] for landmark in landmarks], views)


def _codes(width: int) -> np.ndarray:
    """How each landmark looks, the same in all buildings: float64 [landmarks, width]."""
    return np.random.default_rng(width).standard_normal((len(LANDMARKS), width))


def _doors(rng: np.random.Generator, grid: np.ndarray) -> np.ndarray:
    """Which rooms have a way between: bool [n, n]. A tree that reaches all of them, and some more."""
    count = len(grid)
    near = np.abs(grid[:, None] - grid).sum(2) == 1
    edges = np.zeros((count, count), bool)
    reached = [int(rng.integers(count))]
    while len(reached) < count:
        pairs = [(a, b) for a in reached for b in np.flatnonzero(near[a]) if b not in reached]
        one, other = pairs[int(rng.integers(len(pairs)))]
        edges[one, other] = edges[other, one] = True
        reached.append(int(other))
    more = np.triu(near & (rng.random((count, count)) < _OPEN))
    return edges | more | more.T


def _landmarks(rng: np.random.Generator, edges: np.ndarray) -> list[int]:
    """One for each room, so that no two that are seen from one room are the same."""
    near = edges | (edges.astype(int) @ edges.astype(int) > 0)
    found: list[int] = []
    for room in range(len(edges)):
        taken = {found[other] for other in np.flatnonzero(near[room, :room])}
        found.append(int(rng.choice([own for own in range(len(LANDMARKS)) if own not in taken])))
    return found


def _seen(building: Building) -> np.ndarray:
    """How much of each room is seen from each room in each view: float64 [n, 36, n]. The views that look down
    show the room itself, too."""
    x, y = (building.positions[:, axis].numpy() for axis in (0, 1))
    headings = np.arctan2(x - x[:, None], y - y[:, None])
    turned = headings[:, None] - 2 * math.pi / HEADINGS * np.arange(HEADINGS)[:, None]
    ahead = np.cos(turned).clip(0) ** _SHARP * building.edges.numpy()[:, None]
    below = 0.3 * np.eye(len(building))[:, None] + 0.3 * ahead
    return np.concatenate([below, ahead, 0.3 * ahead], axis=1)


def walks(seed: int, house: Furnished, count: int, moves: Sequence[int] = (3, 4, 5)) -> list[Walk]:
    """Different shortest ways of so many moves, drawn; fewer where the building has fewer."""
    rng = np.random.default_rng((seed, int(house.building.scan[-3:]), count))
    graph = house.building
    pairs = [(start, goal) for start in range(len(graph)) for goal in range(len(graph)) if start != goal]
    rng.shuffle(pairs)
    found: list[Walk] = []
    for start, goal in pairs:
        path = _shortest(graph, int(start), int(goal))
        if len(path) - 1 in moves and len(found) < count:
            names = [house.landmarks[room] for room in path[1:]]
            texts = [told(template, names) for template in TEMPLATES]
            found.append(Walk(path, float(rng.uniform(0, 2 * math.pi)), texts))
    return found


def told(template: tuple[str, str], landmarks: Sequence[str]) -> str:
    """An instruction that names these."""
    passing, last = template
    text = "".join(passing.format(name) for name in landmarks[:-1]) + last.format(landmarks[-1])
    return text[0].upper() + text[1:]


def _shortest(building: Building, start: int, goal: int) -> list[int]:
    path = [start]
    while path[-1] != goal:
        way = building.moves[path[-1]] + building.distances[:, goal]
        path.append(int(way.argmin()))
    return path


def route_rows(house: Furnished, routes: Sequence[Walk], first: int) -> list[dict[str, Any]]:
    """Entries of R2R's files, the first with this number."""
    graph = house.building
    return [
        {
            "distance": float(graph.distances[route.path[0], route.path[-1]]),
            "scan": graph.scan,
            "path_id": first + number,
            "path": [graph.viewpoints[room] for room in route.path],
            "heading": route.heading,
            "instructions": route.instructions,
        }
        for number, route in enumerate(routes)
    ]
