"""What localization draws: a picture with its true and its found box."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.pictures import from_pil, shortened, to_pil

SIDE = 224  # px: smaller pictures are enlarged to about this, so that a person can see them
PANEL = 190  # px of text beside the picture
PAPER, INK = (255, 255, 255), (33, 37, 41)
TRUTH, FOUND = (43, 160, 80), (235, 94, 40)


class Finding(NamedTuple):
    """What was answered about one picture."""

    box: tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels
    presence: float
    name: str  # of the most likely class
    probability: float  # of that class

    @property
    def text(self) -> str:
        return f"{self.name} {self.probability:.0%}" if self.presence >= 0.5 else "no object"


class Truth(NamedTuple):
    box: tuple[float, float, float, float]
    name: str | None  # none: the picture is empty
    overlap: float  # IoU of the answer's box


def beside_truth(image: Tensor, finding: Finding, truth: Truth) -> Tensor:
    """A picture uint8 [3, H, W] with the true box in green and the answer's in orange, and a panel of text
    beside it: uint8 [3, h, w]; the size follows from H and W."""
    picture, scale = enlarged(image)
    page = Image.new("RGB", (picture.width + PANEL, max(picture.height, 150)), PAPER)
    pen = ImageDraw.Draw(page)
    visible = ImageDraw.Draw(picture)
    if truth.name is not None:
        outline(visible, truth.box, scale, TRUTH)
    if finding.presence >= 0.5:
        outline(visible, finding.box, scale, FOUND)
    page.paste(picture, (0, 0))
    lines = [
        (truth.name or "no object", TRUTH),
        (finding.text, FOUND),
        (f"object {finding.presence:.0%}", INK),
    ]
    if truth.name is not None:
        lines.append((f"IoU {truth.overlap:.2f}", INK))
    font = ImageFont.load_default(size=15)
    for row, (text, color) in enumerate(lines):
        pen.text((picture.width + 12, 12 + 26 * row), shortened(text, font, PANEL - 20), color, font)
    return from_pil(page)


def answered(image: Tensor, finding: Finding) -> Tensor:
    """A picture uint8 [3, H, W] with the answer's box and its class, or with the words that there is no
    object."""
    picture, scale = enlarged(image)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(13, round(max(picture.size) / 28)))
    place = (0.0, 0.0)
    if finding.presence >= 0.5:
        outline(pen, finding.box, scale, FOUND)
        place = (finding.box[0] * scale, finding.box[1] * scale)
    tag(pen, place, shortened(finding.text, font, picture.width - 8), font, picture.size)
    return from_pil(picture)


def enlarged(image: Tensor) -> tuple[Image.Image, int]:
    """The picture, small ones by a whole factor (pixels stay visible as squares), and the factor."""
    picture = to_pil(image)
    scale = max(1, round(SIDE / max(picture.size)))
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST), scale


def outline(pen: ImageDraw.ImageDraw, box: Sequence[float], scale: int, color: tuple[int, int, int]) -> None:
    width = max(2, round(max(pen.im.size) / 150))  # to be seen on a large photograph as well
    x1, y1, x2, y2 = (round(scale * value) for value in box)
    pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color, width=width)


def tag(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """Text on a coloured ground, above ``place`` where there is room, and always inside the picture."""
    width, height = round(font.getlength(text)) + 8, round(getattr(font, "size", 12) * 1.4)
    left = min(max(0, round(place[0])), max(0, size[0] - width))
    top = round(place[1]) - height
    top = min(max(0, top), max(0, size[1] - height))
    pen.rectangle((left, top, left + width, top + height), FOUND)
    pen.text((left + 4, top + height / 2), text, PAPER, font, anchor="lm")
