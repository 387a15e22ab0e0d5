"""Figures of a whole evaluation: the IoU of every class, and which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DPI = 110
_LETTER = 0.085  # inches of a letter of 9 points


def class_ious(counts: Tensor, class_names: Sequence[str], palette: Sequence[Sequence[int]]) -> Tensor:
    """A bar for the IoU of every class, the best at the top, beside its share of the true pixels: uint8 [3,
    h, w].

    Args:
        counts: int64 [K, K], rows are the truth.
    """
    counts = counts.double()
    right, of_truth = counts.diagonal(), counts.sum(1)
    either = of_truth + counts.sum(0) - right
    ious = (right / either.clamp_min(1)).tolist()
    shares = (of_truth / counts.sum().clamp_min(1)).tolist()
    there = (either > 0).tolist()
    order = sorted(range(len(class_names)), key=lambda k: (there[k], ious[k]))  # barh goes upwards
    longest = max(len(_short(name)) for name in class_names) + 9
    figure, axes = _figure(4.5, 0.3 * len(order), 0.2 + _LETTER * longest, 0.6)
    axes.barh(
        range(len(order)),
        [100 * ious[k] for k in order],
        color=[np.array(palette[k]) / 255 for k in order],
        edgecolor="black",
        linewidth=0.6,
    )
    for place, k in enumerate(order):
        text = f"{100 * ious[k]:.1f}" if there[k] else "none"
        axes.text(100 * ious[k] + 1, place, text, va="center", fontsize=8)
    axes.set_yticks(range(len(order)), [f"{_short(class_names[k])}  ({shares[k]:.1%})" for k in order])
    present = sum(there)
    mean = sum(ious) / max(1, present)
    axes.axvline(100 * mean, color="black", linewidth=0.8, linestyle="--", zorder=0)
    axes.set(
        xlim=(0, 108),
        ylim=(-0.6, len(order) - 0.4),
        xlabel="IoU, % (beside the name: share of the true pixels)",
        title=f"mean IoU {mean:.1%} over {present} classes",
    )
    axes.tick_params(axis="y", length=0, labelsize=9 if len(order) <= 40 else 7)
    axes.spines[["top", "right"]].set_visible(False)
    return _drawn(figure)


def confusion(counts: Tensor, class_names: Sequence[str]) -> Tensor:
    """Which share of each true class (a row) was given each class, in per cent where there is room for it:
    uint8 [3, h, w].

    Args:
        counts: int64 [K, K].
    """
    classes = len(class_names)
    shares = (counts.double() / counts.sum(1, keepdim=True).clamp_min(1)).numpy()
    side = min(9.0, max(2.5, 0.42 * classes))
    letters = max(len(_short(name)) for name in class_names) if classes <= 40 else 0
    figure, axes = _figure(side, side, 0.5 + _LETTER * letters, 0.5 + _LETTER * letters * 0.75)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlabel="answer", ylabel="truth", title=f"{int(counts.sum()):,} pixels")
    axes.spines[:].set_visible(False)
    if classes <= 40:
        names = [_short(name) for name in class_names]
        axes.set_xticks(range(classes), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), names)
        axes.tick_params(length=0, labelsize=9 if classes <= 20 else 6)
    else:
        axes.set(xticks=[], yticks=[])
    if classes <= 25:
        for row, column in torch.nonzero(counts).tolist():
            share = shares[row, column]
            if share >= 0.01:
                axes.text(
                    column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8,
                    color="white" if share > 0.5 else "black",
                )  # fmt: skip
    return _drawn(figure)


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:16] + "..."


def _figure(width: float, height: float, left: float, bottom: float) -> tuple[Any, Any]:
    """A figure, and axes of so many inches with so much room beside and below them for names. (Layout engines
    draw everything several times to find the room.)"""
    from matplotlib.figure import Figure

    whole, tall = left + width + 0.3, bottom + height + 0.45
    figure = Figure(figsize=(whole, tall), dpi=_DPI)
    return figure, figure.add_axes((left / whole, bottom / tall, width / whole, height / tall))


def _drawn(figure: Any) -> Tensor:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)  # no pyplot: nothing global, no display
    canvas.draw()
    pixels = torch.from_numpy(np.array(canvas.buffer_rgba()))  # uint8 [h, w, 4]
    return pixels[..., :3].permute(2, 0, 1).contiguous()
