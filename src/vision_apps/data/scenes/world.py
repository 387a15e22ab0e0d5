"""What is in a picture: scenes drawn from a seed, as plain data from which every view of the world is made.

Coordinates: x to the right and y down, 0..1 over the picture; lengths in the same unit; angles in radians.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vision_apps.data.scenes.colors import MATERIALS
from vision_apps.data.scenes.kinds import KINDS

SPLITS = ("train", "val", "test")
SKIES = ("day", "dusk", "night")
GROUNDS = ("meadow", "beach", "waves", "snow", "furrows")
NIGHT_FALL = 22.0  # L*: how much darker the ground lies at night


class Surface(NamedTuple):
    """What something is made of, how light it is and which colour was drawn."""

    material: str
    lightness: float  # L*
    color: int  # index among the colours of the material


class Thing(NamedTuple):
    """One object."""

    kind: int  # index in `KINDS`
    surface: Surface
    x: float
    y: float
    radius: float  # the geometric mean of the half axes
    aspect: float  # width over height before turning
    angle: float  # counter-clockwise


class Ridge(NamedTuple):
    """A layer of ground: all below the wave ``height + swell * sin(2 pi (waves x + phase))``."""

    surface: Surface
    height: float
    swell: float
    waves: float
    phase: float


class Cloud(NamedTuple):
    x: float
    y: float
    width: float


class Scene(NamedTuple):
    """A picture as plain data; everything later in a tuple lies in front."""

    sky: Surface
    cloud: Surface
    clouds: tuple[Cloud, ...]
    ridges: tuple[Ridge, ...]
    things: tuple[Thing, ...]  # the last one is the largest: the main object


@dataclass(frozen=True)
class World:
    """A family of scenes. Scene i of a split is a pure function of the fields, the split and i.

    ``objects`` is the least and the greatest number of objects. With ``colors_by_kind`` a kind has its own
    material; without, all kinds are made of "any", so that neither colour nor lightness tells the kind.
    """

    seed: int = 0
    objects: tuple[int, int] = (1, 3)
    colors_by_kind: bool = True

    def scene(self, split: str, index: int) -> Scene:
        # A counter-based generator whose key is the identity of the sample: no two samples share a stream.
        key = np.array([self.seed, index * len(SPLITS) + SPLITS.index(split)], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        things = self._things(rng)
        sky = SKIES[rng.choice(len(SKIES), p=(0.5, 0.3, 0.2))]
        return Scene(
            sky=surface(rng, sky),
            cloud=surface(rng, "cloud"),
            clouds=tuple(
                Cloud(rng.uniform(), rng.uniform(0.08, 0.36), rng.uniform(0.1, 0.2))
                for _ in range(rng.integers(1, 4) if sky == "day" else 0)
            ),
            ridges=_ridges(rng, NIGHT_FALL if sky == "night" else 0.0),
            things=things,
        )

    def _things(self, rng: np.random.Generator) -> tuple[Thing, ...]:
        count = int(rng.integers(self.objects[0], self.objects[1], endpoint=True))
        largest = (0.27, 0.38) if count == 1 else (0.2, 0.29)
        things: list[Thing] = []
        for place in range(count):
            radius = rng.uniform(*(largest if place == 0 else (0.12, 0.18)))
            aspect = float(np.exp(rng.uniform(-0.5, 0.5)))
            kind = int(rng.integers(len(KINDS)))
            things.append(
                Thing(
                    kind,
                    surface(rng, KINDS[kind].material if self.colors_by_kind else "any"),
                    *_place(rng, things, radius),
                    radius=radius,
                    aspect=aspect,
                    angle=rng.uniform(-KINDS[kind].tilt, KINDS[kind].tilt),
                )
            )
        return tuple(reversed(things))


def surface(rng: np.random.Generator, material: str, darker: float = 0.0) -> Surface:
    """A surface of this material, ``darker`` by so much L*."""
    (low, high), colors = MATERIALS[material]
    lightness = rng.uniform(low, high) - darker
    return Surface(material, lightness, int(rng.choice(len(colors), p=list(colors.values()))))


def _place(rng: np.random.Generator, others: list[Thing], radius: float) -> tuple[float, float]:
    """The freest of ten places (best-candidate sampling, Mitchell 1991), which cannot fail."""
    places = rng.uniform(radius * 1.1, 1 - radius * 1.1, size=(10, 2))
    room = [min((np.hypot(x - o.x, y - o.y) - o.radius for o in others), default=0.0) for x, y in places]
    x, y = places[int(np.argmax(room))]
    return float(x), float(y)


def _ridges(rng: np.random.Generator, darker: float) -> tuple[Ridge, ...]:
    """One to three layers of different ground, the nearest lowest in the picture."""
    grounds = rng.permutation(GROUNDS)[: rng.integers(1, 4)]
    height = rng.uniform(0.42, 0.55)
    ridges = []
    for ground in grounds:
        level = ground in ("waves", "beach")
        swell = 0.008 if level else rng.uniform(0.02, 0.06)
        waves = rng.uniform(0.5, 1.3)
        ridges.append(Ridge(surface(rng, str(ground), darker), height, swell, waves, rng.uniform(0, 1)))
        height += rng.uniform(0.13, 0.2)
    return tuple(ridges)
