"""Masks that teach nothing are told with their share and what mends them."""

import torch
from torch import Tensor

from vision_apps.applications.segmentation.learnable import count_classes, findings

NAMES = ["ground", "road", "tree"]


def masks(*values: list[int]) -> Tensor:
    """A mask of a row of pixels each."""
    return torch.tensor(values, dtype=torch.uint8)[:, None]


def told(*values: list[int]) -> list[str]:
    return [*findings(count_classes(masks(*values), len(NAMES)), NAMES)]


def test_pixels_of_each_class_are_counted_without_ignored_ones() -> None:
    assert count_classes(masks([0, 0, 2, 255], [1, 1, 1, 1]), 3).tolist() == [[2, 0, 1], [0, 4, 0]]


def test_right_masks_are_left_in_peace() -> None:
    assert told([0, 1, 2], [0, 0, 255], [2, 2, 1]) == []


def test_masks_of_one_class() -> None:
    (line,) = told([0, 0, 255], [0, 0, 0])
    assert line.startswith("masks: all pixels of 2 masks (100%) are of one class, ground")
    assert "data.values={255:1}" in line


def test_masks_that_are_one_class_each() -> None:
    (line,) = told([0, 0], [1, 1], [2, 2])
    assert "3 of 3 (100%) are of one class everywhere" in line and "module.class_weights=balanced" in line


def test_masks_that_are_ignored_everywhere() -> None:
    (line,) = told([255, 255, 255], [0, 1, 2], [0, 1, 2], [0, 1, 2])
    assert line.startswith("masks: 1 of 4 (25%) are ignored everywhere")


def test_classes_that_no_mask_has() -> None:
    (line,) = told([0, 1], [1, 0])
    assert (
        "none of 2 training masks" in line and "1 of 3 classes (tree)" in line and "data.split_seed" in line
    )
