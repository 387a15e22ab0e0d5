"""The kinds of object: a shape and a texture that are recognisable in grey, and a material.

Local coordinates: u to the right and v up, in units of the object's radius. A shape is a field that is
positive inside and there about the distance to the outline; it fits in the circle of radius 1.15. A texture
is an offset of the lightness, in L*, within about -16..+14.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]
Draw = Callable[[Field, Field], Field]

REACH = 1.15


class Kind(NamedTuple):
    """What an object is."""

    name: str
    material: str
    shape: Draw
    texture: Draw
    tilt: float = 0.35  # radians either way; shapes without an upright turn freely


def disc(u: Field, v: Field) -> Field:
    return 0.95 - np.hypot(u, v)


def box(u: Field, v: Field) -> Field:
    return 0.8 - np.maximum(abs(u), abs(v))


def triangle(u: Field, v: Field) -> Field:
    return _convex(u, v + 0.12, sides=3, radius=1.1)


def hexagon(u: Field, v: Field) -> Field:
    return _convex(u, v, sides=6, radius=1.0)


def star(u: Field, v: Field) -> Field:
    angle, along = _folded(u, v, points=5)
    across = along * np.sin(angle)
    along = along * np.cos(angle)
    # The side from the tip (1.1, 0) to the inner corner at half the turn, at 0.48 of the radius.
    inner = 0.48 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    normal = np.array([inner[1], 1.1 - inner[0]])
    normal /= np.hypot(*normal)
    return normal[0] * (1.1 - along) - normal[1] * across


def cross(u: Field, v: Field) -> Field:
    u, v = abs(u), abs(v)
    return np.minimum(0.95 - np.maximum(u, v), 0.34 - np.minimum(u, v))


def ring(u: Field, v: Field) -> Field:
    return 0.27 - abs(np.hypot(u, v) - 0.7)


def moon(u: Field, v: Field) -> Field:
    return np.minimum(1 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.78)


def heart(u: Field, v: Field) -> Field:
    """A square on its corner with half a disc on each upper side."""
    u, v = abs(u), v + 0.08
    return np.maximum((0.84 - u - abs(v)) / np.sqrt(2), 0.84 / np.sqrt(2) - np.hypot(u - 0.42, v - 0.42))


def arrow(u: Field, v: Field) -> Field:
    head = np.minimum((1 - u) * 0.66 - abs(v) * 0.75, u - 0.05)
    shaft = np.minimum(0.3 - abs(v), np.minimum(u + 0.95, 0.3 - u))
    return np.maximum(head, shaft)


def drop(u: Field, v: Field) -> Field:
    """A disc and the two tangents from the tip above it."""
    radius, centre, tip = 0.68, -0.3, 1.1
    sine = radius / (tip - centre)
    cone = (tip - v) * sine - abs(u) * np.sqrt(1 - sine**2)
    return np.maximum(radius - np.hypot(u, v - centre), np.minimum(cone, v - centre - radius * sine))


def flower(u: Field, v: Field) -> Field:
    return 0.78 + 0.2 * np.cos(6 * np.arctan2(u, v)) - np.hypot(u, v)


def _facets(u: Field, v: Field) -> Field:
    turn = np.arctan2(u, v) * (5 / np.pi)
    return np.where(np.floor(turn) % 2 == 0, 7, -5)


def _chequers(u: Field, v: Field) -> Field:
    return np.where((np.sin(9.2 * u) > 0) == (np.sin(9.2 * v) > 0), 6, -5)


def _craters(u: Field, v: Field) -> Field:
    spots = [(-0.75, 0.15, 0.17), (-0.52, -0.5, 0.2), (-0.4, 0.65, 0.13)]
    hit = np.any([np.hypot(u - x, v - y) < radius for x, y, radius in spots], axis=0)
    return np.where(hit, -11, 2 - 4 * u)


def _gloss(u: Field, v: Field) -> Field:
    return np.where(np.hypot((u + 0.38) * 1.2, v - 0.42) < 0.2, 14, 4 * v - 2 * u)


def _ripple(u: Field, v: Field) -> Field:
    return np.where(np.hypot((u + 0.25) * 1.6, v + 0.28) < 0.26, 14, -7 * v - 4 * u)


def _convex(u: Field, v: Field, sides: int, radius: float) -> Field:
    angle, along = _folded(u, v, points=sides)
    return radius * np.cos(np.pi / sides) - along * np.cos(np.pi / sides - angle)


def _folded(u: Field, v: Field, points: int) -> tuple[Field, Field]:
    """Polar coordinates with the angle to the nearest of ``points`` rays, the first of which is upright."""
    turn = 2 * np.pi / points
    angle = np.arctan2(u, v)
    return abs(angle - turn * np.rint(angle / turn)), np.hypot(u, v)


KINDS: tuple[Kind, ...] = (
    Kind("disc", "apple", disc, lambda u, v: 9 - 11 * ((u + 0.35) ** 2 + (v - 0.4) ** 2)),
    Kind("box", "any", box, lambda u, v: 11 * (np.minimum(abs(u), abs(v)) < 0.15) - 3 + 2 * v),
    Kind("triangle", "canvas", triangle, lambda u, v: np.where(np.sin(9 * v) > 0, 7, -5) + 2 * u),
    Kind("hexagon", "wax", hexagon, lambda u, v: np.where(np.sin(20 * hexagon(u, v)) > 0, 5, -6)),
    Kind("star", "brass", star, _facets),
    Kind("cross", "enamel", cross, _chequers),
    Kind("ring", "any", ring, lambda u, v: np.where(np.sin(4 * np.arctan2(v, u)) > 0, 13, -4)),
    Kind("moon", "moonstone", moon, _craters, np.pi),
    Kind("heart", "ruby", heart, _gloss),
    Kind("arrow", "signal", arrow, lambda u, v: 9 * u, np.pi),
    Kind("drop", "water", drop, _ripple),
    Kind("flower", "any", flower, lambda u, v: np.where(np.hypot(u, v) < 0.27, -16, 9 * np.hypot(u, v) - 3)),
)
