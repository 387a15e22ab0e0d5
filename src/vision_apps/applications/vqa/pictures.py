"""What answering draws: a picture, and beside it its questions, answers and where the network looked."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

from vision_apps.core.marks import FAINT, PAPER
from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil

SIDE = 256  # px of the picture's longer side
THUMB = 56  # px of the longer side of what was looked at
PANEL = 300  # px of text
SMALL = 40  # px of the longer side of what was looked at by way of a word
INK, RIGHT, WRONG = (33, 37, 41), (43, 160, 80), (214, 60, 48)


class Line(NamedTuple):
    """One question as it is drawn."""

    question: str
    answer: str
    probability: float
    truth: str | None  # none: nobody knows it
    places: Tensor  # float [h, w], at least 0, over the network's input
    by_word: Sequence[tuple[str, Tensor]] = ()  # each word with the places that were looked at by way of it


def page(image: Tensor, seen: Tensor, lines: Sequence[Line]) -> Tensor:
    """A picture uint8 [3, H, W] with its questions beside it, each with the network's input, lit where it
    looked, and below that the same for as many of its first words as there is room for: uint8 [3, h, w],
    whose size follows from H, W, the input's size and the number of lines.

    Args:
        seen: the network's input, uint8 [3, S, T].
    """
    picture = scaled(to_pil(image), SIDE / max(image.shape[-2:]))
    step = THUMB + 4 + (SMALL + 18) * any(line.by_word for line in lines)
    sheet = Image.new(
        "RGB", (picture.width + THUMB + PANEL + 20, max(picture.height, step * len(lines))), PAPER
    )
    sheet.paste(picture, (0, 0))
    pen, font, left = ImageDraw.Draw(sheet), ImageFont.load_default(size=14), picture.width + 8
    small = ImageFont.load_default(size=10)
    for number, line in enumerate(lines):
        top = number * step
        sheet.paste(scaled(lit := to_pil(lit_up(seen, line.places)), THUMB / max(lit.size)), (left, top))
        answer, color = f"{line.answer} {line.probability:.0%}", INK
        if line.truth is not None:
            color = RIGHT if line.truth == line.answer else WRONG
            answer += "" if line.truth == line.answer else f" (true: {line.truth})"
        for below, text, ink in ((6, f"{line.question}?", FAINT), (28, answer, color)):
            place = (left + THUMB + 8, top + below)
            pen.text(place, shortened(text, font, PANEL), ink, font)
        for column, (word, places) in enumerate(line.by_word[: (THUMB + PANEL) // (SMALL + 4)]):
            corner = (left + column * (SMALL + 4), top + THUMB + 2)
            sheet.paste(scaled(lit := to_pil(lit_up(seen, places)), SMALL / max(lit.size)), corner)
            pen.text((corner[0], corner[1] + SMALL), shortened(word, small, SMALL), FAINT, small)
    return from_pil(sheet)


def lit_up(picture: Tensor, places: Tensor) -> Tensor:
    """A picture uint8 [3, H, W] darkened where ``places`` float [h, w] is low beside its greatest value."""
    greatest = float(places.max())
    share = places / greatest if greatest > 0 else torch.ones_like(places)
    share = interpolate(share[None, None].float(), picture.shape[-2:], mode="bilinear")[0]
    return (picture * (0.25 + 0.75 * share)).round().to(torch.uint8)
