"""Boxes with texts, drawn on pictures that are large enough to be read."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil

SIDE = 360  # px of the longer side: room for a class and a score on a small object
PAPER, FAINT = (255, 255, 255), (130, 138, 146)

Color = tuple[int, int, int]


class Mark(NamedTuple):
    """A box as it is drawn."""

    box: Sequence[float]  # x1, y1, x2, y2 in pixels of the picture
    text: str
    color: Color
    dashed: bool = False


def marked(
    image: Tensor,
    marks: Sequence[Mark],
    caption: str = "",
    taken: list[tuple[int, int, int, int]] | None = None,
) -> Tensor:
    """A picture uint8 [3, H, W] with boxes and their texts, the last ones on top: uint8 [3, h, w], whose size
    follows from H and W. Small pictures are enlarged by a whole factor, large ones made smaller.

    Args:
        caption: stands in the upper left corner.
        taken: gets the places of the texts, x1, y1, x2, y2 in pixels of the result.
    """
    page, scale = _sized(image)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=12)
    boxes = [_scaled(mark.box, scale, page.size) for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        _outline(pen, box, mark)
    taken = [] if taken is None else taken
    for mark, box in zip(reversed(marks), reversed(boxes), strict=True):
        _tag(pen, box, mark, font, page.size, taken)
    if caption:
        _tag(pen, (0, 0, 0, 0), Mark((0, 0, 0, 0), caption, FAINT), font, page.size, taken)
    return from_pil(page)


def _sized(image: Tensor) -> tuple[Image.Image, float]:
    page = to_pil(image)
    longer = max(page.size)
    scale = max(1, round(SIDE / longer)) if longer <= 2 * SIDE else 2 * SIDE / longer
    return scaled(page, scale), scale


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
