"""What walking draws: the way on the map, and the words that each step heeded."""

from collections.abc import Sequence
from math import ceil

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.core.marks import PAPER
from vision_apps.core.pictures import from_pil, scaled, shortened, to_pil

SIDE = 256  # px of the map's longer side
STEP, ACTION, MOST_WORD = 18, 88, 90  # px of a step's row, of the name of an action, of a long word
MOST_STEPS = 20  # rows: who never stops takes hundreds of steps
TABLE = 760  # px of words beside each other; more of them begin anew below
WAY, HERE, GOAL, INK, HEED = (214, 60, 48), (30, 100, 200), (43, 160, 80), (33, 37, 41), (31, 119, 180)


def way(
    background: Tensor,
    points: Tensor,
    words: Sequence[str],
    attention: Tensor,
    actions: Sequence[str | int],
    goals: Tensor | None = None,
) -> Tensor:
    """A map uint8 [3, h, w] with a way through ``points`` float [n, 2], x and y in px of it, and beside it a
    row for each of the first actions with how much it heeded each word: uint8 [3, H, W].

    Args:
        attention: float [T, L], at least 0.
        actions: T of them.
        goals: float [G, 2], px of the map, are marked by rings.
    """
    chart = charted(background, points, goals)
    font = ImageFont.load_default(size=11)
    widths = [min(MOST_WORD, ceil(font.getlength(word)) + 10) for word in words]
    tables = _beside(widths)
    shown, more = actions[:MOST_STEPS], len(actions) - MOST_STEPS
    height = STEP * (len(shown) + 1 + (more > 0)) + 8
    room = max((sum(widths[first:last]) for first, last in tables), default=0)
    size = (chart.width + ACTION + room + 16, max(chart.height, height * max(1, len(tables))))
    page = Image.new("RGB", size, PAPER)
    page.paste(chart, (0, 0))
    pen, left = ImageDraw.Draw(page), chart.width + 8
    for number, (first, last) in enumerate(tables or [(0, 0)]):
        upper = height * number + 4
        if more > 0:
            pen.text((left, upper + STEP * (len(shown) + 1) + 2), f"and {more} more", INK, font)
        for row, action in enumerate(shown, 1):
            pen.text((left, upper + STEP * row + 2), shortened(str(action), font, ACTION - 4), INK, font)
        start = left + ACTION
        for column in range(first, last):
            pen.text((start, upper), shortened(words[column], font, MOST_WORD), INK, font)
            for row in range(len(shown)):
                share = float(attention[row, column])
                shade = tuple(round(255 + (ink - 255) * share) for ink in HEED)
                top = upper + STEP * (row + 1)
                pen.rectangle((start, top, start + widths[column] - 4, top + STEP - 4), fill=shade)
            start += widths[column]
    return from_pil(page)


def charted(background: Tensor, points: Tensor, goals: Tensor | None = None, side: int = SIDE) -> Image.Image:
    """A map uint8 [3, h, w] enlarged to ``side`` px, with a way, a dot where it ends and rings at the goals,
    all in px of the map."""
    factor = side / max(background.shape[-2:])
    chart = scaled(to_pil(background), factor)
    pen = ImageDraw.Draw(chart)
    line = [(float(x) * factor, float(y) * factor) for x, y in points]
    for x, y in () if goals is None else (goals * factor).tolist():
        pen.ellipse((x - 8, y - 8, x + 8, y + 8), outline=GOAL, width=3)
    if len(line) > 1:
        pen.line(line, fill=WAY, width=3)
    for x, y in line[-1:]:
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), fill=HERE)
    return chart


def _beside(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Which words stand beside each other: the first of each table, and the one after its last."""
    tables, first, room = [], 0, 0
    for number, width in enumerate(widths):
        if number > first and room + width > TABLE:
            tables.append((first, number))
            first, room = number, 0
        room += width
    return [*tables, (first, len(widths))] if widths else []
