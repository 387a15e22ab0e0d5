"""What is drawn: the right marks in the right colours, of a size that follows from the picture's."""

from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch

from vision_apps.applications.detection import curves, pictures
from vision_apps.applications.detection.coco_ap import coco_figures
from vision_apps.applications.detection.errors import split_errors
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable
from vision_apps.applications.detection.pictures import MISSED, RIGHT, WRONG, Mark
from vision_apps.applications.detection.types import Detections

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
        ("a dog, ignored", pictures.FAINT, True),
    }
    answer = [(mark.text, mark.color) for mark in pictures.answer_marks(split, NAMES)]
    assert answer == [  # the best on top, so last; below the threshold nothing is drawn
        ("a dog 0.70", pictures.FAINT),
        ("a cat 0.80 wrong class", WRONG),
        ("a cat 0.90", RIGHT),
    ]


def test_found_marks_have_a_color_for_each_class() -> None:
    split, _ = one_split()
    marks = pictures.found_marks(Detections(*split.found[:3]), NAMES)
    assert [mark.text for mark in marks] == ["a dog 0.70", "a cat 0.80", "a cat 0.90"]
    assert marks[1].color == marks[2].color != marks[0].color


@pytest.mark.parametrize(
    ("size", "expected"),
    [((96, 96), (384, 384)), ((30, 60), (180, 360)), ((500, 375), (500, 375)), ((1440, 2160), (480, 720))],
)
def test_pictures_are_large_enough_to_be_read(size: tuple[int, int], expected: tuple[int, int]) -> None:
    drawn = pictures.marked(torch.zeros(3, *size, dtype=torch.uint8), [])
    assert drawn.dtype == torch.uint8 and tuple(drawn.shape[1:]) == expected and not drawn.any()


def test_a_box_is_drawn_where_it_is() -> None:
    image = torch.zeros(3, 90, 90, dtype=torch.uint8)
    drawn = pictures.marked(image, [Mark((10, 20, 50, 60), "", RIGHT)])  # four times as large
    of_color = (drawn == torch.tensor(RIGHT)[:, None, None]).all(0).nonzero()
    assert of_color.amin(0).tolist() == [80, 40] and of_color.amax(0).tolist() == [239, 199]


@pytest.mark.parametrize(
    "box", [(0, 0, 90, 90), (-20, -5, 200, 95), (88, 88, 90, 90), (5, 5, 5, 5), (200, 200, 300, 300)]
)
@pytest.mark.parametrize("dashed", [True, False])
def test_boxes_at_and_past_the_edges_are_drawn(box: tuple[int, ...], dashed: bool) -> None:
    image = torch.zeros(3, 90, 90, dtype=torch.uint8)
    mark = Mark(box, "a very long name of a class that does not fit into it at all, ever", WRONG, dashed)
    drawn = pictures.marked(image, [mark] * 5, "nothing found")
    assert drawn.shape == (3, 360, 360)
    assert (drawn == torch.tensor(WRONG)[:, None, None]).all(0).any()


def test_columns_stand_side_by_side() -> None:
    column = torch.zeros(3, 10, 20, dtype=torch.uint8)
    both = pictures.beside(column, column + 7)
    assert both.shape == (3, 10, 46) and (both[..., 20:26] == 255).all() and (both[..., 26:] == 7).all()


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
