"""Tiny seeded pictures with boxes, from which the fakes of all box formats are written."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

CLASS_NAMES = ("circle", "square")
COUNTS = (1, 2, 1, 0, 3, 1)  # objects of one picture after the other


class FakePicture(NamedTuple):
    """A made picture and its objects."""

    image: Image.Image
    boxes: list[list[int]]  # x1, y1, x2, y2
    labels: list[int]  # 0 or 1

    def objects(self, class_names: Sequence[str]) -> list[dict[str, object]]:
        """As `to_json` and `to_xml` take them; every second one is to be ignored."""
        found = enumerate(zip(self.labels, self.boxes, strict=True))
        return [
            {"class": class_names[label], "box": box, "ignored": number % 2 == 1}
            for number, (label, box) in found
        ]


def fake_pictures(count: int, size: int, seed: int) -> list[FakePicture]:
    """Pictures of random shapes around ``size`` px, under noise, with none to three bright objects."""
    rng = np.random.default_rng(seed)
    return [_picture(rng, size, COUNTS[number % len(COUNTS)]) for number in range(count)]


def _picture(rng: np.random.Generator, size: int, objects: int) -> FakePicture:
    height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
    pixels = rng.integers(0, 96, (height, width, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    boxes, labels = [], []
    for _ in range(objects):
        h, w = (int(rng.integers(side // 4, side // 2)) for side in (height, width))
        y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
        label = int(rng.integers(2))
        inside = (rows >= y) & (rows < y + h) & (columns >= x) & (columns < x + w)
        if label == 0:
            inside &= ((rows + 0.5 - y) / h - 0.5) ** 2 + ((columns + 0.5 - x) / w - 0.5) ** 2 <= 0.25
        pixels[inside] = pixels[inside] % 96 + 128
        boxes.append([x, y, x + w, y + h])
        labels.append(label)
    return FakePicture(Image.fromarray(pixels), boxes, labels)
