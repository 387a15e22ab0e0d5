"""What walking draws: the way on the map, and the words that each step heeded."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.marks import PAPER
from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil

SIDE = 256  # px of the map's longer side
WORD, STEP, ACTION = 44, 18, 88  # px of a word's column, a step's row, and the name of an action
WAY, END, INK, HEED = (214, 60, 48), (43, 160, 80), (33, 37, 41), (31, 119, 180)


def way(
    background: Tensor, points: Tensor, words: Sequence[str], attention: Tensor, actions: Sequence[str | int]
) -> Tensor:
    """A map uint8 [3, h, w] with a way through ``points`` float [n, 2], x and y in px of it, and beside it a
    row for each action with how much it heeded each word: uint8 [3, H, W].

    Args:
        attention: float [T, L], at least 0.
        actions: T of them.
    """
    enlarged = SIDE / max(background.shape[-2:])
    chart = scaled(to_pil(background), enlarged)
    pen = ImageDraw.Draw(chart)
    line = [(float(x) * enlarged, float(y) * enlarged) for x, y in points]
    if len(line) > 1:
        pen.line(line, fill=WAY, width=3)
    for place, color in ((line[:1], WAY), (line[-1:], END)):
        for x, y in place:
            pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=color)
    height = max(chart.height, STEP * (len(actions) + 1) + 8)
    page = Image.new("RGB", (chart.width + ACTION + WORD * max(1, len(words)) + 16, height), PAPER)
    page.paste(chart, (0, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    left = chart.width + 8
    for column, word in enumerate(words):
        pen.text((left + ACTION + column * WORD, 4), shortened(word, font, WORD - 2), INK, font)
    for row, action in enumerate(actions):
        top = STEP * (row + 1) + 4
        pen.text((left, top + 2), shortened(str(action), font, ACTION - 4), INK, font)
        for column in range(len(words)):
            share = float(attention[row, column])
            shade = tuple(round(255 + (ink - 255) * share) for ink in HEED)
            corner = left + ACTION + column * WORD
            pen.rectangle((corner, top, corner + WORD - 4, top + STEP - 4), fill=shade)
    return from_pil(page)
