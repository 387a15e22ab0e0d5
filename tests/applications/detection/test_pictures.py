"""What is drawn: the right marks in the right colours."""

from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch

from vision_apps.applications.detection import curves, pictures
from vision_apps.applications.detection.coco_ap import coco_figures
from vision_apps.applications.detection.errors import split_errors
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable
from vision_apps.applications.detection.pictures import MISSED, RIGHT, WRONG
from vision_apps.applications.detection.types import Detections
from vision_apps.core.marks import FAINT

NAMES = ["a cat", "a dog"]


def one_split() -> tuple[Any, GroundTruthTable]:
    truths = GroundTruthTable(
        torch.tensor([[0, 0, 40, 40], [50, 50, 90, 90], [0, 60, 20, 80.0]]),
        torch.tensor([0, 1, 1]),
        torch.tensor([False, False, True]),
        torch.zeros(3).long(),
    )
    found = DetectionTable(
        torch.tensor([[0, 0, 40, 38], [50, 50, 90, 88], [0, 60, 20, 80], [60, 0, 70, 10.0]]),
        torch.tensor([0.9, 0.8, 0.7, 0.2]),
        torch.tensor([0, 0, 1, 1]),
        torch.zeros(4).long(),
    )
    return split_errors(found, truths, 2, 0.3), GroundTruthTable(
        *(field[truths.ignored] for field in truths[:4])
    )


def test_marks_say_what_was_right_wrong_and_not_found() -> None:
    split, ignored = one_split()
    truth = {(mark.text, mark.color, mark.dashed) for mark in pictures.truth_marks(split, ignored, NAMES)}
    assert truth == {
        ("a cat", RIGHT, False),
        ("a dog, not found", MISSED, False),
        ("a dog, ignored", FAINT, True),
    }
    answer = [(mark.text, mark.color) for mark in pictures.answer_marks(split, NAMES)]
    assert answer == [  # the best on top, so last; below the threshold nothing is drawn
        ("a dog 0.70", FAINT),
        ("a cat 0.80 wrong class", WRONG),
        ("a cat 0.90", RIGHT),
    ]


def test_found_marks_have_a_color_for_each_class() -> None:
    split, _ = one_split()
    marks = pictures.found_marks(Detections(*split.found[:3]), NAMES)
    assert [mark.text for mark in marks] == ["a dog 0.70", "a cat 0.80", "a cat 0.90"]
    assert marks[1].color == marks[2].color != marks[0].color


def test_columns_stand_side_by_side() -> None:
    column = torch.zeros(3, 10, 20, dtype=torch.uint8)
    both = pictures.beside(column, column + 7)
    assert both.shape == (3, 10, 46) and (both[..., 20:26] == 255).all() and (both[..., 26:] == 7).all()


@pytest.mark.slow
@pytest.mark.parametrize("classes", [1, 3, 60])
def test_figures_of_any_number_of_classes(classes: int, random_tables: Any) -> None:
    found, truths = random_tables(4, classes=classes, images=30)
    coco = coco_figures(found, truths, classes)
    names = [f"a class with a long name {k}" for k in range(classes)]
    objects = torch.bincount(truths.labels, minlength=classes)
    drawn = [
        curves.precision_recall(coco.curve, coco.class_ap50, names),
        curves.class_table(coco.class_ap, coco.class_ap50, objects, names),
    ]
    for picture in drawn:
        assert picture.dtype == torch.uint8 and picture.ndim == 3 and len(picture) == 3
        assert picture.float().std() > 5


def test_figures_without_anything() -> None:
    nothing = torch.full((2,), torch.nan)
    names = ["a", "b"]
    for picture in (
        curves.precision_recall(nothing.expand(101, -1), nothing, names),
        curves.class_table(nothing, nothing, torch.zeros(2).long(), names),
    ):
        assert len(picture) == 3
