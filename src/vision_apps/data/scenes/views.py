"""The generated world as other applications see it: boxes around its objects, the class of every pixel."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from vision_apps.core.data import Split
from vision_apps.data.scenes.data import Scenes
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.render import Picture
from vision_apps.data.scenes.world import Scene

LEAST_VISIBLE = 16  # px: an object of which less can be seen, behind others, is none

# Parts in the order of `Picture.parts`: the sky, its clouds, the ridges, the things.
_SKY, _CLOUD, _FIRST_RIDGE = 0, 1, 2

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

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {"resize_mode": "letterbox", "proposals": None}

    def _render(self, split: Split, count: int, fields: tuple[str, ...]) -> dict[str, torch.Tensor]:
        size, most = self.image_size, max(1, self.world.objects[1])
        images = np.empty((count, 3, size, size), dtype=np.uint8)
        boxes = np.zeros((count, most, 4), dtype=np.float32)
        labels = np.full((count, most), -1, dtype=np.int64)
        for index, (scene, picture) in enumerate(self.pictures(split, count)):
            images[index] = picture.image
            for row, (kind, box) in enumerate(visible_boxes(scene, picture)):
                boxes[index, row], labels[index, row] = box, kind
        offered = {
            "images": torch.from_numpy(images),
            "boxes": torch.from_numpy(boxes),
            "box_labels": torch.from_numpy(labels),
            "ignored": torch.zeros(count, most, dtype=torch.bool),
            "sizes": torch.full((count, 2), size),
            "proposals": torch.zeros(count, 0, 4),
        }
        return {name: offered[name] for name in fields}


class SceneMasks(Scenes):
    """The world with the class of every pixel: sky, cloud, ground, or the kind of the object.

    Offers ``images`` uint8 [3, S, S] and ``masks`` uint8 [S, S].
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "masks")

    @property
    def facts(self) -> dict[str, object]:
        names = [*_SURROUNDINGS, *(kind.name for kind in KINDS)]
        palette = [list(color) for color in (*_SURROUNDINGS.values(), *_KIND_COLORS)]
        return super().facts | {"num_classes": len(names), "class_names": names, "palette": palette}

    def _render(self, split: Split, count: int, fields: tuple[str, ...]) -> dict[str, torch.Tensor]:
        size = self.image_size
        images = np.empty((count, 3, size, size), dtype=np.uint8)
        masks = np.empty((count, size, size), dtype=np.uint8)
        for index, (scene, picture) in enumerate(self.pictures(split, count)):
            images[index], masks[index] = picture.image, class_mask(scene, picture)
        offered = {"images": torch.from_numpy(images), "masks": torch.from_numpy(masks)}
        return {name: offered[name] for name in fields}


def visible_boxes(scene: Scene, picture: Picture) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Kind and tight box (x1, y1, x2, y2 in px) of each object of which enough can be seen."""
    first = _FIRST_RIDGE + len(scene.ridges)
    for number, thing in enumerate(scene.things):
        rows, columns = np.nonzero(picture.parts == first + number)
        if len(rows) >= LEAST_VISIBLE:
            yield (
                thing.kind,
                (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1),
            )


def class_mask(scene: Scene, picture: Picture) -> NDArray[np.uint8]:
    """uint8 [S, S]: 0 sky, 1 cloud, 2 ground, then the kinds."""
    kinds = [len(_SURROUNDINGS) + thing.kind for thing in scene.things]
    classes = np.array([_SKY, _CLOUD, *[2] * len(scene.ridges), *kinds], dtype=np.uint8)
    return classes[picture.parts]
