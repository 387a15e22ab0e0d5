"""Figures of a whole evaluation, drawn by matplotlib without a display and without anything global."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:  # it takes a second to import, and most commands draw nothing
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
LETTER = 0.085  # inches of a letter of 9 points
NAMED, NUMBERED = 40, 25  # the largest confusion matrices with names, and with numbers


def page(width: float, height: float, left: float | None = None, bottom: float = 0.0) -> tuple[Figure, Axes]:
    """A figure and its axes. With ``left`` the axes have ``width`` x ``height`` inches, with so much room
    beside and below them for names; without, the figure has, and its layout engine finds the room by drawing
    everything several times."""
    from matplotlib.figure import Figure

    if left is None:
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        return figure, figure.add_subplot()
    whole, tall = left + width + 0.3, bottom + height + 0.45
    figure = Figure(figsize=(whole, tall), dpi=DPI)
    return figure, figure.add_axes((left / whole, bottom / tall, width / whole, height / tall))


def pixels(figure: Figure) -> Tensor:
    """What was drawn: uint8 [3, h, w]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = torch.from_numpy(np.array(canvas.buffer_rgba()))  # uint8 [h, w, 4]
    return drawn[..., :3].permute(2, 0, 1).contiguous()


def short(name: str) -> str:
    """A class name as it stands at an axis: at most 18 letters."""
    return name if len(name) <= 18 else name[:16] + "..."


def confusion(
    counts: Tensor,
    class_names: Sequence[str],
    title: str,
    others: tuple[str, str] | None = None,
    numbers: Literal["percent", "counts"] = "percent",
) -> Tensor:
    """Which classes were taken for which, uint8 [3, h, w]: the shade is the share of a true class (a row)
    that was given a class (a column). Up to 25 classes have numbers in the cells, up to 40 names.

    Args:
        counts: int64 [K, K], or [K + 1, K + 1] with ``others``.
        others: names of the last row and of the last column where these are no classes.
        numbers: shares of the row in per cent, from 0.5 on, or counts.
    """
    rows, columns = ([*class_names, *others[i : i + 1]] if others else class_names for i in (0, 1))
    classes, size = len(class_names), len(rows)
    shares = (counts.double() / counts.sum(1, keepdim=True).clamp_min(1)).numpy()
    side = min(9.0, max(3.2, 0.42 * size))
    letters = max(len(short(name)) for name in (*rows, *columns)) if classes <= NAMED else 0
    figure, axes = page(side, side, 0.5 + LETTER * letters, 0.5 + LETTER * letters * 0.75)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlabel="answer", ylabel="truth", title=title)
    axes.spines[:].set_visible(False)
    if others:
        axes.axhline(classes - 0.5, color="black", linewidth=1)
        axes.axvline(classes - 0.5, color="black", linewidth=1)
    if classes <= NAMED:
        axes.set_xticks(
            range(size), [short(name) for name in columns], rotation=45, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(size), [short(name) for name in rows])
        axes.tick_params(length=0, labelsize=9 if classes <= 20 else 6)
    else:
        axes.set(xticks=[], yticks=[])
    for row, column in torch.nonzero(counts).tolist() if classes <= NUMBERED else ():
        share = shares[row, column]
        text = f"{counts[row, column]:,}" if numbers == "counts" else f"{100 * share:.0f}"
        if text != "0":
            shade = "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=shade)
    return pixels(figure)
