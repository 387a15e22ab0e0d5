"""The generated world as a data set: nothing to download, nothing stored, any number of samples."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from vision_apps.core.data import Split, TensorSamples, VisionData
from vision_apps.core.errors import ConfigError, require_no
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.render import Picture, render
from vision_apps.data.scenes.world import Scene, World

MOST_OBJECTS = 8  # more do not fit without hiding each other
LEAST_PIXELS = 16  # below, shapes can no longer be told apart
MEASURED = 256  # training pictures from which mean and std are taken: enough for two digits


class Scenes(VisionData):
    """Pictures of `scenes.world`, rendered into memory when a split is first used (about 1 ms each at 64 px).

    Offers ``images`` uint8 [3, S, S]; ``labels`` int64, the kind of the main object; ``materials`` int16
    [S, S], each pixel's row of `scenes.colors.palette`, from which the exact truth about its colour
    follows.

    Args:
        image_size: side of the pictures, px.
        objects: the least and greatest number of objects, 0..8; labels need at least one.
        colors_by_kind: whether a kind has its own colours, or every kind any colour.
        world_seed: of the pictures; apart from ``seed``, so that runs with different seeds see the same ones.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "labels", "materials")
    fact_names: ClassVar[tuple[str, ...]] = ("num_classes", "class_names", "image_size", "mean", "std")

    def __init__(
        self,
        image_size: int = 64,
        train_images: int = 4000,
        val_images: int = 500,
        test_images: int = 500,
        objects: Sequence[int] = (1, 3),
        colors_by_kind: bool = True,
        world_seed: int = 0,
        **loader: Any,
    ) -> None:
        super().__init__(**loader)
        counts: dict[Split, int] = {"train": train_images, "val": val_images, "test": test_images}
        problems = [f"data.{split}_images: {n}; expected at least 1" for split, n in counts.items() if n < 1]
        if image_size < LEAST_PIXELS:
            problems.append(f"data.image_size: {image_size} px; expected at least {LEAST_PIXELS}")
        if len(objects) != 2 or not 0 <= objects[0] <= objects[1] <= MOST_OBJECTS:
            problems.append(f"data.objects: {list(objects)}; expected [least, most] within 0..{MOST_OBJECTS}")
        if not 0 <= world_seed < 2**63:
            problems.append(f"data.world_seed: {world_seed}; expected 0 to 2^63 - 1")
        require_no(problems)
        self.image_size = image_size
        self.counts = counts
        self.world = World(world_seed, (objects[0], objects[1]), colors_by_kind)

    @property
    def facts(self) -> dict[str, object]:
        mean, std = self._statistics
        return {
            "num_classes": len(KINDS),
            "class_names": [kind.name for kind in KINDS],
            "image_size": self.image_size,
            "mean": mean,
            "std": std,
        }

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        if "labels" in fields and self.world.objects[0] == 0:
            raise ConfigError(
                f"data.objects: {list(self.world.objects)} allows empty pictures, which have no label; "
                f"try data.objects=[1,{max(1, self.world.objects[1])}]"
            )
        count, arrays = self.counts[split], dict[str, NDArray[np.generic]]()
        for index, (scene, picture) in enumerate(self.pictures(split, count)):
            sample = self.fields_of(scene, picture)
            for name in fields:
                if index == 0:
                    arrays[name] = np.empty((count, *sample[name].shape), sample[name].dtype)
                arrays[name][index] = sample[name]
        return TensorSamples(**{name: torch.from_numpy(arrays[name]) for name in fields})

    def pictures(self, split: Split, count: int) -> Iterator[tuple[Scene, Picture]]:
        """The first scenes of a split, with what they look like."""
        for index in range(count):
            scene = self.world.scene(split, index)
            yield scene, render(scene, self.image_size)

    @classmethod
    def fake(cls, root: Path) -> dict[str, object]:
        """Nothing is on disk: these arguments make a tiny world."""
        return {"image_size": 32, "train_images": 16, "val_images": 8, "test_images": 8}

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        """What a scene is as a sample."""
        label = scene.things[-1].kind if scene.things else -1
        return {"images": picture.image, "labels": np.array(label, np.int64), "materials": picture.materials}

    @cached_property
    def _statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of the channels, in [0, 1] units."""
        some = self.pictures("train", min(MEASURED, self.counts["train"]))
        images = torch.from_numpy(np.stack([picture.image for _, picture in some]))
        std, mean = torch.std_mean(images.double() / 255, dim=(0, 2, 3))
        return [round(value, 3) for value in mean.tolist()], [round(value, 3) for value in std.tolist()]
