"""What detection draws: boxes on pictures that are large enough to be read."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.applications.detection.errors import DROPPED, KINDS, Split
from vision_apps.applications.detection.errors import RIGHT as NO_ERROR
from vision_apps.applications.detection.overlaps import GroundTruthTable
from vision_apps.applications.detection.types import Detections
from vision_apps.core.pictures import from_pil, shortened, to_pil

SIDE = 360  # px of the longer side: room for a class and a score on a small object
PAPER, INK, FAINT = (255, 255, 255), (33, 37, 41), (130, 138, 146)
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

Color = tuple[int, int, int]


class Mark(NamedTuple):
    """A box as it is drawn."""

    box: Sequence[float]  # x1, y1, x2, y2 in pixels of the picture
    text: str
    color: Color
    dashed: bool = False


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


def marked(image: Tensor, marks: Sequence[Mark], caption: str = "") -> Tensor:
    """A picture uint8 [3, H, W] with boxes and their texts, the last ones on top: uint8 [3, h, w], whose size
    follows from H and W. Small pictures are enlarged by a whole factor, large ones made smaller.

    Args:
        caption: stands in the upper left corner.
    """
    page, scale = _sized(image)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=12)
    boxes = [_scaled(mark.box, scale, page.size) for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        _outline(pen, box, mark)
    taken: list[tuple[int, int, int, int]] = []
    for mark, box in zip(reversed(marks), reversed(boxes), strict=True):
        _tag(pen, box, mark, font, page.size, taken)
    if caption:
        _tag(pen, (0, 0, 0, 0), Mark((0, 0, 0, 0), caption, FAINT), font, page.size, taken)
    return from_pil(page)


def _sized(image: Tensor) -> tuple[Image.Image, float]:
    page = to_pil(image)
    longer = max(page.size)
    scale = max(1, round(SIDE / longer)) if longer <= 2 * SIDE else 2 * SIDE / longer
    size = (max(1, round(page.width * scale)), max(1, round(page.height * scale)))
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return page.resize(size, way), scale


def _scaled(box: Sequence[float], scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Inside the page and never empty."""
    x1, y1, x2, y2 = (round(value * scale) for value in box)
    x1, y1 = min(max(0, x1), size[0] - 1), min(max(0, y1), size[1] - 1)
    return x1, y1, min(max(x1, x2 - 1), size[0] - 1), min(max(y1, y2 - 1), size[1] - 1)


def _outline(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], mark: Mark) -> None:
    if not mark.dashed:
        # a light line around it: no colour is seen on every ground
        pen.rectangle((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), outline=PAPER)
        pen.rectangle(box, outline=mark.color, width=3)
        return
    x1, y1, x2, y2 = box
    dash, gap = 7, 5
    for start in range(x1, x2 + 1, dash + gap):
        for y in (y1, y2):
            pen.line((start, y, min(start + dash, x2), y), fill=mark.color, width=2)
    for start in range(y1, y2 + 1, dash + gap):
        for x in (x1, x2):
            pen.line((x, start, x, min(start + dash, y2)), fill=mark.color, width=2)


def _tag(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    mark: Mark,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
    taken: list[tuple[int, int, int, int]],
) -> None:
    """The text on its colour: above the box, else in or below it, where no other text stands."""
    text = shortened(mark.text, font, size[0] - 8)
    if not text:
        return
    width, height = round(font.getlength(text)) + 6, 15
    left = min(box[0], size[0] - width)
    places = []
    for top in (box[1] - height, box[1], box[3] + 1, box[3] - height):
        top = min(max(0, top), size[1] - height)
        places.append((left, top, left + width, top + height))
    place = next((p for p in places if not any(_touch(p, other) for other in taken)), places[0])
    taken.append(place)
    pen.rectangle(place, fill=mark.color)
    pen.text((place[0] + 3, place[1] + height / 2), text, PAPER, font, anchor="lm")


def _touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def beside(*columns: Tensor) -> Tensor:
    """Pictures of one size with a white line between them."""
    line = columns[0].new_full((3, columns[0].shape[1], 6), 255)
    parts = [part for column in columns for part in (line, column)][1:]
    return torch.cat(parts, dim=2)
