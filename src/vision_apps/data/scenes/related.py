"""Scenes whose objects are related by where they are: what is true of two boxes, and a world that is drawn so
that it is never hard to say.

Boxes are x1, y1, x2, y2 in 0..1 over the picture, y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from vision_apps.data.scenes.kinds import KINDS, REACH
from vision_apps.data.scenes.world import SPLITS, Scene, Thing, World, surface
from vision_apps.data.splits import place

PREDICATES = ("left of", "right of", "above", "below", "touching", "inside", "around")
INVERSE = (1, 0, 3, 2, 4, 6, 5)  # of each predicate that of the same two things the other way round
LEFT, RIGHT, ABOVE, BELOW, TOUCHING, INSIDE, AROUND = range(len(PREDICATES))

NEAR, FAR = 0.1, 0.14  # the widest gap between things that are related, the least between those that are not
MARGIN = 0.01  # between things and the border of the picture
APART = 0.025  # the least gap or overlap
SLOPE = 0.7  # how far the line between two things may lie off the direction that they are said to have
COVERED = 0.25  # of the smaller box that a larger one may share where they touch
FILLED = 0.55  # of a box that one inside of it may take

LARGE, SMALL = (0.15, 0.2), (0.09, 0.12)  # radius
HELD_OUT = 0.08  # share of the triplets that no training scene has
_LIKED = 0.7  # how often two kinds that stand by each other do so as they like to
_ALONE = 0.35  # how often a thing is put anywhere
_TOUCHING = 0.2  # how often a place is taken where things touch: most of those where they are near do
_TRIES, _PLACES = 6, 8  # things that are drawn before the scene is drawn anew, and places for each

Box = tuple[float, float, float, float]


class Relation(NamedTuple):
    """A row of a scene's graph."""

    subject: int  # number of a thing
    object: int
    predicate: int


def predicate_of(subject: Box, other: Box) -> int | None:
    """How a thing lies to another by their boxes, as the number of a predicate; none where they are far from
    each other. `ValueError` where it is hard to say."""
    wide, high = (_gap(subject, other, axis) for axis in (0, 1))
    gap = max(wide, high)
    if gap >= FAR:
        return None
    if gap > NEAR or abs(gap) < APART:
        raise ValueError("neither near nor far, or neither touching nor apart")
    if gap < 0:
        for inner, outer, predicate in ((subject, other, INSIDE), (other, subject, AROUND)):
            if all(inner[n] >= outer[n] for n in (0, 1)) and all(inner[n] <= outer[n] for n in (2, 3)):
                if min(_area(subject), _area(other)) > FILLED * max(_area(subject), _area(other)):
                    raise ValueError("one stands before most of the other")
                return predicate
        if wide * high > COVERED * min(_area(subject), _area(other)):
            raise ValueError("much of one may be behind the other")
        return TOUCHING
    right, down = ((other[n] + other[n + 2] - subject[n] - subject[n + 2]) / 2 for n in (0, 1))
    if min(abs(right), abs(down)) > SLOPE * max(abs(right), abs(down)):
        raise ValueError("neither beside nor above each other")
    if abs(right) > abs(down):
        return LEFT if right > 0 else RIGHT
    return ABOVE if down > 0 else BELOW


def relations_of(things: Sequence[Thing]) -> list[Relation]:
    """What is true of a scene of a `RelatedWorld`, both ways of each pair."""
    boxes = [box_of(thing) for thing in things]
    found = (
        (one, other, predicate_of(boxes[one], boxes[other]))
        for one in range(len(things))
        for other in range(len(things))
        if one != other
    )
    return [Relation(one, other, predicate) for one, other, predicate in found if predicate is not None]


def triplets_of(things: Sequence[Thing]) -> list[tuple[int, int, int]]:
    """The kind, the predicate and the kind of each relation."""
    return [(things[one].kind, said, things[other].kind) for one, other, said in relations_of(things)]


def box_of(thing: Thing) -> Box:
    """The box around the whole of a thing, whatever stands before it."""
    left, top, right, bottom = _extent(thing.kind, thing.radius, thing.aspect, thing.angle)
    return thing.x + left, thing.y + top, thing.x + right, thing.y + bottom


@cache
def held_out(subject: int, predicate: int, other: int) -> bool:
    """Whether no training scene has this triplet of a kind, a predicate and a kind; nor has it the one the
    other way round, which says the same."""
    both = ((subject, predicate, other), (other, INVERSE[predicate], subject))
    return place(" ".join(map(str, min(both))), seed=0) < HELD_OUT


@cache
def liked(kind: int, other: int) -> int | None:
    """The predicate that things of two kinds have more often than others; none of one kind with itself."""
    if kind == other:
        return None
    if kind > other:
        opposite = liked(other, kind)
        assert opposite is not None
        return INVERSE[opposite]
    return int(place(f"{kind} likes {other}", seed=0) * len(PREDICATES))


@dataclass(frozen=True)
class RelatedWorld(World):
    """Scenes whose things stand beside, above, in and around each other, or far apart, and never in between.

    Kinds have a long tail. Two kinds have a predicate that they like, so that classes alone say something of
    relations, and far from all. Small things lie in front. Training scenes have none of the triplets that are
    `held_out`.
    """

    def scene(self, split: str, index: int) -> Scene:
        scene = super().scene(split, index)
        if split == "train":
            # a stream of its own, far from the one that the scene was drawn from
            key = np.array([self.seed, index * len(SPLITS) + SPLITS.index(split)], dtype=np.uint64)
            rng = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 2]))
            while any(held_out(*triplet) for triplet in triplets_of(scene.things)):
                scene = scene._replace(things=self._things(rng))
        return scene

    def _things(self, rng: np.random.Generator) -> tuple[Thing, ...]:
        count = int(rng.integers(self.objects[0], self.objects[1], endpoint=True))
        while (things := self._attempt(rng, count)) is None:
            pass
        return things

    def _attempt(self, rng: np.random.Generator, count: int) -> tuple[Thing, ...] | None:
        """That many things; none where there was no place for one of them."""
        things: list[Thing] = []
        for _ in range(count):
            drawn = (self._placed(rng, things) for _ in range(_TRIES))
            thing = next((one for one in drawn if one is not None), None)
            if thing is None:
                return None
            things.append(thing)
        return tuple(sorted(things, key=lambda thing: -_area(box_of(thing))))

    def _placed(self, rng: np.random.Generator, others: Sequence[Thing]) -> Thing | None:
        """A thing, where it is clear how it lies to the others; none where no such place was found."""
        kind = int(rng.choice(len(KINDS), p=_TAIL))
        radius = rng.uniform(*(LARGE if rng.random() < 0.5 else SMALL))
        aspect, angle = np.exp(rng.uniform(-0.2, 0.2)), rng.uniform(-KINDS[kind].tilt, KINDS[kind].tilt)
        made = surface(rng, KINDS[kind].material if self.colors_by_kind else "any")
        thing = Thing(kind, made, 0.0, 0.0, radius, float(aspect), float(angle))
        extent, boxes = box_of(thing), [box_of(other) for other in others]
        for _ in range(_PLACES):
            x, y = _place(rng, kind, extent, others, boxes)
            box = (extent[0] + x, extent[1] + y, extent[2] + x, extent[3] + y)
            if min(box) < MARGIN or max(box) > 1 - MARGIN or (told := _told(box, boxes)) is None:
                continue
            if TOUCHING not in told or rng.random() < _TOUCHING:
                return thing._replace(x=x, y=y)
        return None


# the first kinds are more common
_TAIL = 1 / np.arange(3, 3 + len(KINDS))
_TAIL /= _TAIL.sum()


def _place(
    rng: np.random.Generator, kind: int, extent: Box, others: Sequence[Thing], boxes: Sequence[Box]
) -> tuple[float, float]:
    """A centre for a thing: anywhere, or by one of the others."""
    if not others or rng.random() < _ALONE:
        return float(rng.uniform(-extent[0], 1 - extent[2])), float(rng.uniform(-extent[1], 1 - extent[3]))
    number = int(rng.integers(len(others)))
    predicate = liked(kind, others[number].kind)
    if predicate is None or rng.random() >= _LIKED:
        predicate = int(rng.integers(len(PREDICATES)))
    return _beside(rng, extent, boxes[number], predicate)


def _beside(rng: np.random.Generator, extent: Box, other: Box, predicate: int) -> tuple[float, float]:
    """A centre at which a thing has this predicate with another, if there is one."""
    left, top, right, bottom = extent
    middle = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    gap = rng.uniform(APART, NEAR)
    aside = rng.uniform(-0.6, 0.6)
    if predicate == TOUCHING:
        predicate = int(rng.integers(4))
        gap = -rng.uniform(APART, 0.05)
    if predicate in (LEFT, RIGHT):
        x = other[0] - gap - right if predicate == LEFT else other[2] + gap - left
        return x, middle[1] + aside * abs(x - middle[0])
    if predicate in (ABOVE, BELOW):
        y = other[1] - gap - bottom if predicate == ABOVE else other[3] + gap - top
        return middle[0] + aside * abs(y - middle[1]), y
    room = [(other[0] - left, other[2] - right), (other[1] - top, other[3] - bottom)]
    x, y = (float(rng.uniform(min(one), max(one))) for one in room)
    return x, y


def _told(box: Box, others: Sequence[Box]) -> list[int | None] | None:
    """How a thing lies to each of the others; none where it is hard to say of one of them."""
    try:
        return [predicate_of(box, other) for other in others]
    except ValueError:
        return None


def _gap(one: Box, other: Box, axis: int) -> float:
    """Between two boxes along an axis; below 0 where they overlap along it."""
    return max(other[axis] - one[axis + 2], one[axis] - other[axis + 2])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


@lru_cache(maxsize=64)  # a scene's things are asked for again and again while it is drawn
def _extent(kind: int, radius: float, aspect: float, angle: float) -> Box:
    """The box around a thing, from its centre."""
    right, up = _GRID
    cosine, sine, stretch = np.cos(angle), np.sin(angle), np.sqrt(aspect)
    u, v = (cosine * right + sine * up) / stretch, (cosine * up - sine * right) * stretch
    inside = KINDS[kind].shape(u, v) > 0
    columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
    left, right_end = right[0, columns[[0, -1]]] * radius
    top, bottom = -up[rows[[0, -1]], 0] * radius
    return float(left), float(top), float(right_end), float(bottom)


_SIDE = np.linspace(-1.3 * REACH, 1.3 * REACH, 61)
_GRID = _SIDE[None, :], -_SIDE[:, None]
