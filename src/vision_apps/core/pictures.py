"""Pictures uint8 [3, h, w], laid out on sheets."""

from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate, pad

_MARGIN = 4
_HEADER = 22
_LEAST_WIDTH = 110  # px of one column, so that its title can be read
_LEGEND, _SQUARE, _FONT = 20, 12, 13  # px of a legend's line, of a colour and of a letter

Color = tuple[int, int, int]  # red, green, blue, 0..255


def to_pil(picture: Tensor) -> Image.Image:
    """uint8 [3, h, w] as a PIL image."""
    return Image.fromarray(picture.cpu().permute(1, 2, 0).contiguous().numpy())


def from_pil(image: Image.Image) -> Tensor:
    """A PIL image as uint8 [3, h, w]."""
    return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)


def scaled(picture: Image.Image, scale: float) -> Image.Image:
    """Larger, where pixels stay visible as squares, or smaller; never less than a pixel."""
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """The text, or as much of its beginning as fits ``room`` px with dots behind it."""
    most = max(1, int(room))  # signs, none of which is narrower than a pixel
    if len(text) <= most and font.getlength(text) <= room:
        return text
    fits = bisect_right(
        range(min(len(text), most)), room, key=lambda n: font.getlength(text[: n + 1] + "...")
    )
    return text[:fits] + "..."


def sheet(
    rows: list[Tensor],
    titles: tuple[str, ...] = (),
    per_line: int = 1,
    legend: Mapping[str, Color] | None = None,
) -> Tensor:
    """Pictures uint8 [3, h, w] below each other, ``per_line`` of them side by side, with the columns' titles
    above and what their colours stand for below; small pictures are enlarged by whole factors so that a
    person can see them, and white fills up to the size of the largest."""
    height, width = (max(row.shape[axis] for row in rows) for axis in (1, 2))
    rows = [pad(row, (0, width - row.shape[2], 0, height - row.shape[1]), value=255) for row in rows]
    columns = max(1, len(titles))
    factor = max(1, -(-_LEAST_WIDTH * columns // rows[0].shape[-1]))
    large = [interpolate(row[None].float(), scale_factor=factor)[0].to(torch.uint8) for row in rows]
    framed = [pad(row, (_MARGIN, _MARGIN, _MARGIN, _MARGIN), value=255) for row in large]
    blank = torch.full_like(framed[0], 255)
    lines = [framed[i : i + per_line] for i in range(0, len(framed), per_line)]
    body = torch.cat([torch.cat(line + [blank] * (per_line - len(line)), 2) for line in lines], 1)
    above = [_header(body.shape[2], titles * per_line)] if titles else []
    below = [_colors(body.shape[2], legend)] if legend else []
    return torch.cat([*above, body, *below], 1)


def _header(width: int, titles: tuple[str, ...]) -> Tensor:
    image = Image.new("RGB", (width, _HEADER), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=_FONT)
    for index, title in enumerate(titles):
        middle = ((index + 0.5) * width / len(titles), _HEADER / 2 + 2)
        pen.text(middle, title, fill="black", font=font, anchor="mm")
    return from_pil(image)


def _colors(width: int, legend: Mapping[str, Color]) -> Tensor:
    """What each colour stands for, in as many lines as it takes."""
    font = ImageFont.load_default(size=_FONT)
    entries: list[tuple[int, int, str, Color]] = []
    left, line = _MARGIN, 0
    for name, color in legend.items():
        text = shortened(name, font, width - _SQUARE - 4 * _MARGIN)
        needed = _SQUARE + 4 * _MARGIN + round(font.getlength(text))
        if left + needed > width and left > _MARGIN:
            left, line = _MARGIN, line + 1
        entries.append((left, line * _LEGEND, text, color))
        left += needed
    image = Image.new("RGB", (width, (line + 1) * _LEGEND), "white")
    pen = ImageDraw.Draw(image)
    for left, top, text, color in entries:
        pen.rectangle((left, top + 2, left + _SQUARE, top + 2 + _SQUARE), fill=color, outline="black")
        pen.text(
            (left + _SQUARE + _MARGIN, top + 2 + _SQUARE / 2), text, fill="black", font=font, anchor="lm"
        )
    return from_pil(image)
