"""The generated world in sentences: each object with its colour, its kind and its place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vision_apps.core.data import Split, TensorSamples
from vision_apps.core.errors import ConfigError
from vision_apps.data.captions import region_source
from vision_apps.data.captions.detected import regions_of
from vision_apps.data.captions.region_source import Source, source_of
from vision_apps.data.captions.words import as_bytes, encoded, numbered, vocabulary_of, words_of
from vision_apps.data.scenes.colors import COLORS, MATERIALS
from vision_apps.data.scenes.data import Scenes
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.render import Picture
from vision_apps.data.scenes.views import visible_boxes
from vision_apps.data.scenes.world import Scene, Thing, World, surface

MARGIN = 0.04  # of the picture: no object's centre lies closer to a border between two places
MOST = 2  # objects: the orders of more are too many to list
RADIUS = (0.13, 0.165)  # of the objects: they fit into a third of the picture

# Thirds of the picture, row by row.
PLACES = (
    *("in the top left", "at the top", "in the top right"),
    *("on the left", "in the middle", "on the right"),
    *("in the bottom left", "at the bottom", "in the bottom right"),
)
_OBJECTS = "objects"
TEMPLATES = ("{}", "there is {}")


class SceneCaptions(Scenes):
    """The world with every sentence that is right, in each order of the objects and each template: a caption
    that equals one of them has all facts right.

    Offers ``images`` uint8 [3, S, S]; ``captions`` int64 [R, L] and ``references`` uint8 [R, M], see
    `captioning.types`; ``boxes`` float32 [2, 4] and ``box_labels`` int64 [2] as `views.SceneBoxes` has them;
    with ``regions`` these, float32 [R, 4] in the same way.

    Args:
        regions: boxes to look at: of a run of detection, its folder or a checkpoint; or ``objects``, the true
            ones, which no picture comes with: what a perfect detector would give.
        most_regions: of a picture, the best ones.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "captions", "references", "boxes", "box_labels", "regions")
    to_measure: ClassVar[tuple[str, ...]] = ("references",)
    fact_names: ClassVar[tuple[str, ...]] = (
        *Scenes.fact_names,
        *("vocabulary", "max_words", "resize_mode"),
        *region_source.FACTS,
    )

    def __init__(
        self,
        *,
        objects: Sequence[int] = (1, MOST),
        regions: str | None = None,
        most_regions: int = 4,
        **scenes: Any,
    ) -> None:
        super().__init__(objects=objects, **scenes)
        if most_regions < 1:
            raise ConfigError(f"data.most_regions: {most_regions}; expected at least 1")
        self.regions = regions
        self.most_regions = most_regions
        if not 1 <= self.world.objects[0] <= self.world.objects[1] <= MOST:
            raise ConfigError(f"data.objects: {list(objects)}; expected [least, most] within 1..{MOST}")
        world = self.world
        self.world = CaptionWorld(world.seed, world.objects, world.colors_by_kind)

    @property
    def facts(self) -> dict[str, object]:
        """The vocabulary is that of the language, whichever pictures were drawn."""
        own = {"vocabulary": self._vocabulary, "max_words": self._longest[0], "resize_mode": "stretch"}
        found = self.region_source.facts if self.region_source else dict.fromkeys(region_source.FACTS)
        return super().facts | own | found

    @cached_property
    def region_source(self) -> Source | None:
        if self.regions is None or self.regions == _OBJECTS:
            return Source() if self.regions else None
        source = source_of(self.regions, self.most_regions, self.known_facts)
        if source.files:
            raise ConfigError(
                f"data.regions: {self.regions} has boxes of files, and these pictures are in none; expected "
                f"a run of detection, or {_OBJECTS}"
            )
        return source

    @property
    def offers(self) -> tuple[str, ...]:
        there = self.region_source.offers if self.region_source else ()
        return tuple(name for name in self.fields if name in there or name not in region_source.FIELDS)

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        if "regions" not in fields:
            return super().load(split, fields)
        detector = self.region_source.detector if self.region_source else None
        needed = "images" if detector else "boxes"
        rendered = tuple({needed, *fields} - {"regions"})
        found = super().load(split, rendered).fields
        if detector:
            images = found["images"]
            assert isinstance(images, Tensor)
            found["regions"] = regions_of(detector, images, f"regions of {split}")
        else:
            found["regions"] = found["boxes"]
        return TensorSamples(**{name: found[name] for name in fields})

    @cached_property
    def _vocabulary(self) -> list[str]:
        materials = {"any", *(kind.material for kind in KINDS)}
        colors = (color for material in sorted(materials) for color in MATERIALS[material].colors)
        texts = (*TEMPLATES, *PLACES, *(kind.name for kind in KINDS), *colors, "a", "an", "and")
        return vocabulary_of(words_of(text.format("")) for text in texts)

    @property
    def _longest(self) -> tuple[int, int]:
        """Words and bytes of the longest sentence."""
        longest = (max(names, key=len) for names in (COLORS, [kind.name for kind in KINDS], PLACES))
        text = TEMPLATES[1].format(" and ".join([f"an {' '.join(longest)}"] * MOST))
        return len(words_of(text)), len(text)

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        words = [words_of(text) for text in sentences(scene)]
        most, size = self._longest
        rows, own = MOST * len(TEMPLATES), as_bytes(words).numpy()
        references = np.zeros((rows, size), np.uint8)
        references[: own.shape[0], : own.shape[1]] = own
        boxes, labels = np.zeros((MOST, 4), np.float32), np.full(MOST, -1, np.int64)
        for row, (kind, box) in enumerate(visible_boxes(scene, picture)):
            boxes[row], labels[row] = box, kind
        return {
            "images": picture.image,
            "captions": encoded(words, numbered(self._vocabulary), rows, most).numpy(),
            "references": references,
            "boxes": boxes,
            "box_labels": labels,
        }


@dataclass(frozen=True)
class CaptionWorld(World):
    """Scenes of which can be said where each object is: in one of nine places that are equally likely, no two
    in the same, and no centre near a border between them."""

    def _things(self, rng: np.random.Generator) -> tuple[Thing, ...]:
        count = int(rng.integers(self.objects[0], self.objects[1], endpoint=True))
        things: list[Thing] = []
        for place in rng.permutation(len(PLACES))[:count]:
            row, column = divmod(int(place), 3)
            radius = rng.uniform(*RADIUS)
            # the freest of ten points: an object may lie at the border of the next place
            points = [(_within(rng, column, radius), _within(rng, row, radius)) for _ in range(10)]
            room = [min((np.hypot(x - o.x, y - o.y) for o in things), default=0.0) for x, y in points]
            x, y = points[int(np.argmax(room))]
            kind = int(rng.integers(len(KINDS)))
            things.append(
                Thing(
                    kind,
                    surface(rng, KINDS[kind].material if self.colors_by_kind else "any"),
                    x,
                    y,
                    radius=radius,
                    aspect=float(np.exp(rng.uniform(-0.3, 0.3))),
                    angle=rng.uniform(-KINDS[kind].tilt, KINDS[kind].tilt),
                )
            )
        return tuple(sorted(things, key=lambda thing: thing.radius))


def _within(rng: np.random.Generator, third: int, radius: float) -> float:
    """A coordinate in this third of the picture: inside the picture with the whole object, and `MARGIN` from
    the next third."""
    low = max(third / 3 + MARGIN * (third > 0), 1.1 * radius)
    high = min((third + 1) / 3 - MARGIN * (third < 2), 1 - 1.1 * radius)
    return float(rng.uniform(low, high))


def sentences(scene: Scene) -> Iterator[str]:
    """Every sentence that is right of a scene with one or two objects, each once."""
    told = dict.fromkeys(" and ".join(order) for order in permutations(map(description, scene.things)))
    for text in told:
        for template in TEMPLATES:
            yield template.format(text)


def description(thing: Thing) -> str:
    """Such as ``an orange star in the top left``."""
    color = list(MATERIALS[thing.surface.material].colors)[thing.surface.color]
    article = "an" if color[0] in "aeiou" else "a"
    return f"{article} {color} {KINDS[thing.kind].name} {PLACES[3 * int(3 * thing.y) + int(3 * thing.x)]}"
