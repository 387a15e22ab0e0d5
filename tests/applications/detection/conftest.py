"""Random pictures with objects and answers that are right in part: what the tests of the measures share."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable


@pytest.fixture(scope="session")
def random_tables() -> Callable[..., tuple[DetectionTable, GroundTruthTable]]:
    return make_tables


def make_tables(
    seed: int, images: int = 12, classes: int = 3, objects: int = 6, answers: int = 15, size: float = 200
) -> tuple[DetectionTable, GroundTruthTable]:
    """Some pictures without objects, some without answers, crowds, tied scores, small and large boxes."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    found, truths = [], []
    for image in range(images):
        count = int(rand(1) * (objects + 1)) if image % 4 else 0
        corner, side = rand(count, 2) * size, rand(count, 2) ** 2 * 0.8 * size + 4
        boxes = torch.cat([corner, corner + side], 1).round(decimals=1)
        labels = (rand(count) * classes).long()
        truths.append((boxes, labels, rand(count) < 0.2, torch.full((count,), image)))
        if image % 5 == 1:
            continue
        number = int(rand(1) * (answers + 1))
        near = boxes[(rand(number) * count).long()] if count else rand(number, 4) * size
        moved = near + (rand(number, 4) - 0.5) * 0.3 * size * rand(number, 1)
        moved = torch.cat([moved[:, :2], torch.maximum(moved[:, 2:], moved[:, :2] + 2)], 1)
        own = labels[(rand(number) * count).long()] if count else (rand(number) * classes).long()
        other = (rand(number) * classes).long()
        scores = (rand(number) * 8).ceil() / 8  # ties
        marks = torch.where(rand(number) < 0.6, own, other)
        found.append((moved.round(decimals=1), scores, marks, torch.full((number,), image)))
    join = [torch.cat(columns) for columns in zip(*found, strict=True)]
    return DetectionTable(*join), GroundTruthTable(
        *(torch.cat(columns) for columns in zip(*truths, strict=True))
    )
