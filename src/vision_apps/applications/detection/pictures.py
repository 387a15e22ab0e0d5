"""What detection draws at its boxes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vision_apps.applications.detection.errors import DROPPED, KINDS, Split
from vision_apps.applications.detection.errors import RIGHT as NO_ERROR
from vision_apps.applications.detection.overlaps import GroundTruthTable
from vision_apps.applications.detection.types import Detections
from vision_apps.core.marks import FAINT, Mark

RIGHT, WRONG, MISSED = (30, 140, 75), (206, 42, 42), (232, 124, 0)
COLORS = (  # of classes, dark enough for white letters
    (31, 105, 175), (196, 62, 26), (30, 130, 60), (132, 70, 160), (166, 30, 90), (0, 122, 128),
    (140, 90, 20), (80, 80, 200), (96, 120, 20), (190, 50, 140), (60, 90, 110), (150, 40, 40),
)  # fmt: skip
WORDS = {  # what is drawn at a wrong box
    "localization": "misplaced",
    "classification": "wrong class",
    "duplicate": "duplicate",
    "background": "nothing there",
    "both": "wrong class, misplaced",
}


def truth_marks(split: Split, ignored: GroundTruthTable, class_names: Sequence[str]) -> list[Mark]:
    """The objects of one picture: green where found, orange where not; what does not count is dashed."""
    marks = [
        Mark(box, f"{class_names[label]}, ignored", FAINT, dashed=True)
        for box, label in zip(ignored.boxes.tolist(), ignored.labels.tolist(), strict=True)
    ]
    found = set(split.matched.tolist())
    rows = zip(split.truths.boxes.tolist(), split.truths.labels.tolist(), strict=True)
    for row, (box, label) in enumerate(rows):
        name = class_names[label]
        marks.append(Mark(box, name, RIGHT) if row in found else Mark(box, f"{name}, not found", MISSED))
    return marks


def answer_marks(split: Split, class_names: Sequence[str]) -> list[Mark]:
    """What was found in one picture, the best on top: green where right, red with the reason where wrong."""
    marks = []
    for box, score, label, kind in zip(
        *(field.tolist() for field in split.found[:3]), split.kinds.tolist(), strict=True
    ):
        text = f"{class_names[label]} {score:.2f}"
        if kind == NO_ERROR:
            marks.append(Mark(box, text, RIGHT))
        elif kind == DROPPED:
            marks.append(Mark(box, text, FAINT, dashed=True))
        else:
            marks.append(Mark(box, f"{text} {WORDS[KINDS[kind]]}", WRONG))
    return marks[::-1]


def found_marks(found: Detections, class_names: Sequence[str]) -> list[Mark]:
    """What was found in one picture, the best on top, a colour for each class."""
    rows = zip(*(field.tolist() for field in found), strict=True)
    return [
        Mark(box, f"{class_names[label]} {score:.2f}", COLORS[label % len(COLORS)])
        for box, score, label in rows
    ][::-1]


def beside(*columns: Tensor) -> Tensor:
    """Pictures of one size with a white line between them."""
    line = columns[0].new_full((3, columns[0].shape[1], 6), 255)
    parts = [part for column in columns for part in (line, column)][1:]
    return torch.cat(parts, dim=2)
