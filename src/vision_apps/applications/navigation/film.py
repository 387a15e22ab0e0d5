"""Episodes as moving pictures: the way that was gone so far, and the words that this step heeds."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.applications.navigation.pictures import INK, charted
from vision_apps.applications.navigation.types import NavigationAnswer, NavigationInputs
from vision_apps.applications.navigation.world import World
from vision_apps.core.marks import PAPER

SIDE = 288  # px of the map's longer side
TEXT = 300  # px of the column of words
HEED = (255, 176, 32)
_LINE, _GAP = 22, 6  # px of a line of words, and between two of them
_STEP, _LAST = 600, 1800  # ms that a step is shown, and the last one of an episode


def heeded(words: Sequence[str], attention: Sequence[float], width: int = TEXT) -> Image.Image:
    """The words in lines of ``width`` px, each the darker the more it is heeded, as a share of the most that
    one is."""
    font = ImageFont.load_default(size=14)
    most = max([*attention, 1e-6])
    places, left, top = [], float(_GAP), _GAP
    for word in words:
        needed = font.getlength(word) + 2 * _GAP
        if left + needed > width and left > _GAP:
            left, top = float(_GAP), top + _LINE
        places.append((left, top, left + needed))
        left += needed
    strip = Image.new("RGB", (width, top + _LINE + _GAP), PAPER)
    pen = ImageDraw.Draw(strip)
    for word, share, (start, upper, end) in zip(words, attention, places, strict=True):
        color = tuple(round(p + (h - p) * share / most) for p, h in zip(PAPER, HEED, strict=True))
        pen.rounded_rectangle((start, upper, end - 2, upper + _LINE - 3), 4, color)
        pen.text((start + _GAP, upper + _LINE / 2 - 1), word, INK, font, anchor="lm")
    return strip


def frames(
    background: Tensor,
    points: Tensor,
    words: Sequence[str],
    attention: Tensor,
    actions: Sequence[object],
    goal: Tensor | None = None,
) -> Iterator[Image.Image]:
    """A picture before each action, and one where the episode has ended.

    Args:
        background: map, uint8 [3, h, w].
        points: float [n, 2], x and y in px of it, the start first.
        attention: float [T, L], of each action on the words.
        actions: T of them, as people call them.
        goal: float [G, 2], where it should have ended.
    """
    font = ImageFont.load_default(size=14)
    nothing = [0.0] * len(words)
    room = (
        heeded(words, nothing).height + 2 * _LINE
    )  # the same for all, as frames of one film are of one size
    for step in range(len(actions) + 1):
        over = step == len(actions)
        chart = charted(background, points[: step + 1], goal, SIDE)
        page = Image.new("RGB", (chart.width + TEXT, max(chart.height, room)), PAPER)
        page.paste(chart, (0, 0))
        pen = ImageDraw.Draw(page)
        shares = nothing if over else attention[step, : len(words)].tolist()
        page.paste(heeded(words, shares), (chart.width, 0))
        told = "ended" if over else f"{step + 1}: {actions[step]}"
        pen.text((chart.width + _GAP, page.height - _LINE), told, INK, font)
        yield page


def film(
    world: World[Any],
    vocabulary: Sequence[str],
    inputs: NavigationInputs,
    answer: NavigationAnswer,
    goals: Tensor | None = None,
) -> list[Image.Image]:
    """One episode, of batches of one.

    Args:
        goals: int64 [1, G], what is marked; -1: nothing.
    """
    background = world.background(inputs)
    if background is None:
        assert inputs.images is not None
        background = inputs.images
    taken = answer.actions[0, answer.actions[0] >= 0].tolist()
    places = answer.places[0]
    told = [number for number in inputs.instructions[0].tolist() if number]
    return list(
        frames(
            background[0].cpu(),
            world.on_background(places[places[:, 0] >= 0]).cpu(),
            [vocabulary[number] for number in told],
            answer.attention[0, : len(taken), : len(told)].float().cpu(),
            [world.action_names[action] if world.action_names else action for action in taken],
            None if goals is None else world.marks(goals[0].cpu()),
        )
    )


def gif(episodes: Sequence[Sequence[Image.Image]]) -> bytes:
    """Episodes after each other, in as much room as the largest needs; the last picture of each stays
    longer."""
    every = [(frame, step == len(own) - 1) for own in episodes for step, frame in enumerate(own)]
    size = (max(frame.width for frame, _ in every), max(frame.height for frame, _ in every))
    pages = []
    for frame, _ in every:
        page = Image.new("RGB", size, PAPER)
        page.paste(frame, (0, 0))
        pages.append(page.quantize(128, dither=Image.Dither.NONE))
    content = io.BytesIO()
    pages[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=pages[1:],
        duration=[_LAST if last else _STEP for _, last in every],
        loop=0,
    )
    return content.getvalue()
