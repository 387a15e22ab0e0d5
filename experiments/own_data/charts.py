"""Figures of this experiment: what few pictures give, and how a run comes to its figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 4.2, 3.2  # inches of a panel
_DPI = 110
_FALLING = ("box_mse",)  # the smaller the better, and drawn by orders of magnitude


class Few(NamedTuple):
    """What is known of a metric when so many pictures are learned from."""

    pictures: int
    seeds: Sequence[float]
    baselines: Mapping[str, float]


class Curve(NamedTuple):
    """A validation figure, step by step, of runs that differ in their seed."""

    title: str
    metric: str
    runs: Sequence[Sequence[tuple[int, float]]]  # step and value
    bar: float | None  # what was to be reached


def few(metrics: Mapping[str, Sequence[Few]], title: str, file: Path) -> None:
    """A panel for each metric: every seed a point, their median a line, a broken line for each baseline."""
    figure, panels = _panels(len(metrics))
    for axes, (metric, rows) in zip(panels, metrics.items(), strict=True):
        _scale(axes, metric)
        numbers = [row.pictures for row in rows]
        axes.set(xscale="log", xlabel="pictures", title=metric)
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
        middle = [sorted(row.seeds)[len(row.seeds) // 2] for row in rows]
        (line,) = axes.plot(numbers, middle, label="the first command")
        for row in rows:
            axes.plot([row.pictures] * len(row.seeds), row.seeds, ".", color=line.get_color())
        for name in dict.fromkeys(name for row in rows for name in row.baselines):
            known = [(row.pictures, row.baselines[name]) for row in rows if name in row.baselines]
            axes.plot(*zip(*known, strict=True), "--", label=name)
        axes.legend(fontsize="x-small")
    figure.suptitle(title)
    figure.savefig(file, dpi=_DPI)
    plt.close(figure)


def curves(drawn: Sequence[Curve], file: Path) -> None:
    """A panel for each set: a line for each run, and the bar across."""
    figure, panels = _panels(len(drawn))
    for axes, curve in zip(panels, drawn, strict=True):
        _scale(axes, curve.metric)
        for run in curve.runs:
            axes.plot(*zip(*run, strict=True), marker=".", linewidth=1)
        if curve.bar is not None:
            axes.axhline(curve.bar, color="black", linestyle=":", label=f"bar {curve.bar:g}")
            axes.legend(fontsize="x-small")
        axes.set(xlabel="step", ylabel=curve.metric, title=curve.title)
    figure.savefig(file, dpi=_DPI)
    plt.close(figure)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure, panels = plt.subplots(
        1, count, figsize=(_WIDTH * count, _HEIGHT), layout="constrained", squeeze=False
    )
    return figure, list(panels[0])


def _scale(axes: Axes, metric: str) -> None:
    if metric.rpartition("/")[2] in _FALLING:
        axes.set_yscale("log")
