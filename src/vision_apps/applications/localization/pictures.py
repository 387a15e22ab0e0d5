"""What localization draws: a picture with its true and its found box."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.marks import PAPER, Mark, marked
from vision_apps.core.pictures import from_pil, shortened, to_pil
from vision_apps.core.presentation import Row

PANEL = 190  # px of text beside the picture
INK = (33, 37, 41)
TRUTH, FOUND = (43, 160, 80), (235, 94, 40)


def beside_truth(image: Tensor, row: Row, truth: Sequence[float], name: str | None, overlap: float) -> Tensor:
    """A picture uint8 [3, H, W] with the true box in green and the answer's in orange, and a panel of text
    beside it: uint8 [3, h, w]; the size follows from H and W.

    Args:
        row: what the answer is described by.
        truth: x1, y1, x2, y2 in pixels of the true box.
        name: of the true class; none: the picture is empty.
        overlap: IoU of the two boxes.
    """
    marks = [Mark(truth, "", TRUTH)] if name is not None else []
    if row["object"]:
        marks.append(Mark(row["box"], "", FOUND))
    picture = to_pil(marked(image, marks))
    page = Image.new("RGB", (picture.width + PANEL, max(picture.height, 150)), PAPER)
    page.paste(picture, (0, 0))
    lines = [(name or "no object", TRUTH), (_text(row), FOUND), (f"object {row['presence']:.0%}", INK)]
    if name is not None:
        lines.append((f"IoU {overlap:.2f}", INK))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=15)
    for number, (text, color) in enumerate(lines):
        pen.text((picture.width + 12, 12 + 26 * number), shortened(text, font, PANEL - 20), color, font)
    return from_pil(page)


def answered(image: Tensor, row: Row) -> Tensor:
    """A picture uint8 [3, H, W] with the answer's box and its class, or with the words that there is no
    object: uint8 [3, h, w]."""
    if row["object"]:
        return marked(image, [Mark(row["box"], _text(row), FOUND)])
    return marked(image, [], _text(row))


def _text(row: Row) -> str:
    return f"{row['class']} {row['probability']:.0%}" if row["object"] else "no object"
