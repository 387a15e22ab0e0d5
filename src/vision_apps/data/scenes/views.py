"""The generated world as other applications see it: kinds, boxes around objects, each pixel's class."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vision_apps.data.scenes.data import Scenes
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.render import Picture
from vision_apps.data.scenes.world import Scene

LEAST_VISIBLE = 16  # px: an object of which less can be seen, behind others, is none

# Parts in the order of `Picture.parts`: the sky, its clouds, the ridges, the things.
_SKY, _CLOUD, FIRST_RIDGE = 0, 1, 2

_SURROUNDINGS = {"sky": (124, 176, 224), "cloud": (238, 242, 246), "ground": (122, 152, 92)}
# One colour a kind, far from each other and from the surroundings.
_KIND_COLORS = (
    (230, 25, 75),
    (60, 70, 200),
    (255, 225, 25),
    (245, 130, 48),
    (145, 30, 180),
    (0, 128, 128),
    (240, 50, 230),
    (250, 190, 190),
    (128, 0, 0),
    (20, 20, 20),
    (170, 110, 40),
    (210, 245, 60),
)


class SceneBoxes(Scenes):
    """The world with a box around what can be seen of each object.

    Offers ``images`` uint8 [3, S, S]; ``boxes`` float32 [M, 4] (x1, y1, x2, y2 in px, the second corner
    exclusive, zero rows past the objects), ``box_labels`` int64 [M] (the kind, -1 past the objects),
    ``ignored`` bool [M] (nothing is), ``sizes`` int64 [2] and ``proposals`` float32 [0, 4]; M is the greatest
    number of objects. The nearest object comes last.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "boxes", "box_labels", "ignored", "sizes", "proposals")
    fact_names: ClassVar[tuple[str, ...]] = (*Scenes.fact_names, "resize_mode", "proposals")

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {"resize_mode": "letterbox", "proposals": None}

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        most = max(1, self.world.objects[1])
        boxes, labels = np.zeros((most, 4), np.float32), np.full(most, -1, np.int64)
        for row, (kind, box) in enumerate(visible_boxes(scene, picture)):
            boxes[row], labels[row] = box, kind
        return {
            "images": picture.image,
            "boxes": boxes,
            "box_labels": labels,
            "ignored": np.zeros(most, bool),
            "sizes": np.full(2, self.image_size, np.int64),
            "proposals": np.zeros((0, 4), np.float32),
        }


class SceneLabels(Scenes):
    """The world with the kinds of all objects of which enough can be seen.

    Offers ``images`` uint8 [3, S, S] and ``multi_hot`` uint8 [K], 1 where the kind is there.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "multi_hot")

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        multi_hot = np.zeros(len(KINDS), np.uint8)
        multi_hot[[kind for kind, _ in visible_boxes(scene, picture)]] = 1
        return {"images": picture.image, "multi_hot": multi_hot}


class SceneMasks(Scenes):
    """The world with the class of every pixel: sky, cloud, ground, or the kind of the object.

    Offers ``images`` uint8 [3, S, S] and ``masks`` uint8 [S, S].
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "masks")
    fact_names: ClassVar[tuple[str, ...]] = (*Scenes.fact_names, "palette")

    @property
    def facts(self) -> dict[str, object]:
        names = [*_SURROUNDINGS, *(kind.name for kind in KINDS)]
        palette = [list(color) for color in (*_SURROUNDINGS.values(), *_KIND_COLORS)]
        return super().facts | {"num_classes": len(names), "class_names": names, "palette": palette}

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        return {"images": picture.image, "masks": class_mask(scene, picture)}


def visible_boxes(scene: Scene, picture: Picture) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Kind and tight box (x1, y1, x2, y2 in px) of each object of which enough can be seen."""
    for number, box in visible(scene, picture).items():
        yield scene.things[number].kind, box


def visible(scene: Scene, picture: Picture) -> dict[int, tuple[int, int, int, int]]:
    """The number among the scene's things and the tight box (x1, y1, x2, y2 in px) of each object of which
    enough can be seen."""
    first = FIRST_RIDGE + len(scene.ridges)
    found = {}
    for number in range(len(scene.things)):
        rows, columns = np.nonzero(picture.parts == first + number)
        if len(rows) >= LEAST_VISIBLE:
            found[number] = (
                *(int(columns.min()), int(rows.min())),
                *(int(columns.max()) + 1, int(rows.max()) + 1),
            )
    return found


def class_mask(scene: Scene, picture: Picture) -> NDArray[np.uint8]:
    """uint8 [S, S]: 0 sky, 1 cloud, 2 ground, then the kinds."""
    kinds = [len(_SURROUNDINGS) + thing.kind for thing in scene.things]
    classes = np.array([_SKY, _CLOUD, *[2] * len(scene.ridges), *kinds], dtype=np.uint8)
    return classes[picture.parts]
