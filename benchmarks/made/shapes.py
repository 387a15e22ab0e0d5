"""Small pictures whose truth is exact, made to tell a right detector or segmenter from a wrong one.

The class is a shape and never a colour, shapes are elongated, and the lines of `Thin` are lost by any network
that answers from coarse features alone.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from vision_apps.core.data import Split, TensorSamples, VisionData

NOISE = 18.0  # standard deviation of the noise, of 255
KINDS = ("circle", "square", "triangle")
_SPLIT = {"train": 0, "val": 1, "test": 2}


class _Made(VisionData):
    """Picture i of a split is a function of (split, i)."""

    fact_names: ClassVar[tuple[str, ...]] = ("num_classes", "class_names", "image_size", "mean", "std")
    class_names: ClassVar[tuple[str, ...]]

    def __init__(self, image_size: int, train_images: int, test_images: int, **loader: Any) -> None:
        super().__init__(**loader)
        self.image_size = image_size
        self.counts = {"train": train_images, "val": 16, "test": test_images}

    @property
    def facts(self) -> dict[str, Any]:
        names = list(self.class_names)
        return {
            "num_classes": len(names),
            "class_names": names,
            "image_size": self.image_size,
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
        }

    @classmethod
    def fake(cls, root: Path) -> dict[str, Any]:
        return {"image_size": 32, "train_images": 8, "test_images": 8}

    def draws(self, split: Split) -> list[np.random.Generator]:
        return [np.random.default_rng([_SPLIT[split], index]) for index in range(self.counts[split])]


class Shapes(_Made):
    """A few noisy shapes of random colours before a gradient, with their boxes."""

    fields: ClassVar[tuple[str, ...]] = ("images", "boxes", "box_labels", "ignored", "sizes", "proposals")
    fact_names = (*_Made.fact_names, "resize_mode", "proposals")
    class_names = KINDS

    def __init__(
        self,
        image_size: int = 96,
        train_images: int = 800,
        test_images: int = 200,
        objects: tuple[int, int] | list[int] = (1, 4),
        radius: tuple[float, float] | list[float] = (7.0, 20.0),
        stretch: float = 0.0,
        proposals: str | None = None,
        **loader: Any,
    ) -> None:
        super().__init__(image_size, train_images, test_images, **loader)
        self.objects, self.radius, self.stretch = objects, radius, stretch
        self.proposals = proposals

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"resize_mode": "letterbox", "proposals": self.proposals}

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        count, most, size = self.counts[split], max(1, self.objects[1]), self.image_size
        images = np.empty((count, 3, size, size), dtype=np.uint8)
        boxes = np.zeros((count, most, 4), dtype=np.float32)
        labels = np.full((count, most), -1, dtype=np.int64)
        for index, rng in enumerate(self.draws(split)):
            images[index] = self._picture(rng, boxes[index], labels[index])
        offered = {
            "images": torch.from_numpy(images),
            "boxes": torch.from_numpy(boxes),
            "box_labels": torch.from_numpy(labels),
            "ignored": torch.zeros(count, most, dtype=torch.bool),
            "sizes": torch.full((count, 2), size),
            "proposals": torch.zeros(count, 0, 4),
        }
        if "proposals" in fields and self.proposals is not None:
            offered["proposals"] = self._searched(offered["images"], split)
        return TensorSamples(**{name: offered[name] for name in fields})

    def _searched(self, images: torch.Tensor, split: Split) -> torch.Tensor:
        from vision_apps.data.boxes.proposal_cache import proposals_of

        assert self.proposals is not None
        keys = [f"picture {number}" for number in range(len(images))]
        cache = Path("runs/correctness/proposals") / split
        found = proposals_of(keys, lambda number: images[number], self.proposals, 256, cache)
        return torch.stack([found.of(number, image) for number, image in enumerate(images)])

    def _picture(
        self, rng: np.random.Generator, boxes: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        size = self.image_size
        y, x = np.mgrid[:size, :size] + 0.5
        ends, direction = rng.uniform(0, 255, (2, 3, 1, 1)), rng.uniform(-1, 1, 2)
        along = (direction[0] * x + direction[1] * y) / size
        along = (along - along.min()) / max(float(np.ptp(along)), 1e-6)
        picture = ends[0] + (ends[1] - ends[0]) * along
        placed = 0
        for _ in range(int(rng.integers(self.objects[0], self.objects[1], endpoint=True))):
            kind = int(rng.integers(len(KINDS)))
            radius, aspect = rng.uniform(*self.radius), np.exp(rng.uniform(-self.stretch, self.stretch))
            wide, high = radius * np.sqrt(aspect), radius / np.sqrt(aspect)
            centre = rng.uniform((wide, high), (size - wide, size - high))
            inside = _inside(kind, (x - centre[0]) / wide, (y - centre[1]) / high)
            rows, columns = np.nonzero(inside)
            box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float32)
            if placed and _covered(boxes[:placed], box):
                continue
            picture = np.where(inside, rng.uniform(0, 255, (3, 1, 1)), picture)
            boxes[placed], labels[placed] = box, kind
            placed += 1
        return np.clip(picture + rng.normal(0, NOISE, picture.shape), 0, 255).astype(np.uint8)


class Thin(_Made):
    """Lines one or two pixels wide that wander over the picture among blobs of the same colour. Only the
    lines are the object: about 3 % of the pixels."""

    fields: ClassVar[tuple[str, ...]] = ("images", "masks")
    fact_names = (*_Made.fact_names, "palette")
    class_names = ("background", "line")

    def __init__(
        self, image_size: int = 64, train_images: int = 1600, test_images: int = 200, **loader: Any
    ) -> None:
        super().__init__(image_size, train_images, test_images, **loader)

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"palette": [[0, 0, 0], [255, 200, 0]]}

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        made = [self._picture(rng) for rng in self.draws(split)]
        images, masks = (torch.from_numpy(np.stack(part)) for part in zip(*made, strict=True))
        offered = {"images": images, "masks": masks}
        return TensorSamples(**{name: offered[name] for name in fields})

    def _picture(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        size = self.image_size
        y, x = np.mgrid[:size, :size] + 0.5
        lines, blobs = np.zeros((size, size), dtype=bool), np.zeros((size, size), dtype=bool)
        for _ in range(int(rng.integers(3, 6))):
            place, angle = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
            thick = rng.random() < 0.3
            for _ in range(int(rng.integers(35, 70))):
                if place.min() < 0 or place.max() >= size:
                    break
                row, column = place.astype(int)
                lines[row, column] = True
                if thick:
                    lines[row, min(column + 1, size - 1)] = True
                angle += rng.normal(0, 0.25)
                place = place + np.array((np.sin(angle), np.cos(angle)))
        for _ in range(int(rng.integers(2, 5))):
            centre, radius = rng.uniform(0, size, 2), rng.uniform(3, 8)
            blobs |= np.hypot(x - centre[0], y - centre[1]) < radius
        colors = rng.uniform(0, 255, (2, 3, 1, 1))
        colors[1] = (colors[0] + rng.choice((-1, 1)) * rng.uniform(70, 120)) % 256
        picture = np.where(lines | blobs, colors[1], colors[0])
        picture = np.clip(picture + rng.normal(0, NOISE, picture.shape), 0, 255).astype(np.uint8)
        return picture, (lines & ~blobs).astype(np.uint8)


def _inside(kind: int, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the shape is, in units of its half axes, v downwards."""
    if KINDS[kind] == "circle":
        return np.hypot(u, v) <= 1
    if KINDS[kind] == "square":
        return np.maximum(abs(u), abs(v)) <= 1
    return (v <= 1) & (2 * abs(u) <= 1 + v)


def _covered(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Whether a new box would hide more than a fifth of one that is there, or of itself."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0, None).prod(1)
    smaller = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(1), (box[2:] - box[:2]).prod())
    return bool((shared > 0.2 * smaller).any())
