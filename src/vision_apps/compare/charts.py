"""The figures of the page, made by Plotly. Texts are escaped, because Plotly takes some HTML in them."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.colors import qualitative

from vision_apps.compare.comparison import Comparison, value
from vision_apps.compare.reading import Run
from vision_apps.compare.settings import in_short
from vision_apps.compare.tables import cut
from vision_apps.core import metrics_file

SMOOTHING = {"none": 0.0, "a little": 0.6, "medium": 0.9, "strong": 0.97}  # weight of what came before
POINTS = 500  # of a curve
_TICK = 24  # characters of a value on an axis
MOST_RUNS = 100  # with curves
_BYTES = 2_200_000  # of all curves together
_BYTES_OF_NUMBER, _BYTES_OF_TRACE = 5.4, 250  # 32 bits in base64; name, line and the rest
_FEWEST_POINTS = 60
_COLORS = qualitative.D3  # readable on white and on black
_DASHES = ("solid", "dash", "dot", "dashdot")
_RANGE_OF_LOG = 20.0  # a positive setting whose largest value is so many times its least: logarithmic axis

Figure = dict[str, Any]  # as Plotly's JSON


class Look(NamedTuple):
    """Of a run's curve: runs that differ only in the seed or fold share it."""

    color: str
    dash: str


class Curves(NamedTuple):
    figures: dict[str, Figure]  # by metric
    points: int  # of the longest curve
    thinned: bool


def looks(comparison: Comparison) -> list[Look]:
    """The look of each run of a comparison, in their order."""
    groups: dict[tuple[str, ...], int] = {}
    indices = [groups.setdefault(tuple(own.values()), len(groups)) for own in comparison.of_runs]
    return [Look(_COLORS[i % len(_COLORS)], _DASHES[i // len(_COLORS) % len(_DASHES)]) for i in indices]


def smoothed(values: np.ndarray, weight: float) -> np.ndarray:
    """Exponential moving average of finite values [N] without the pull towards zero at its beginning: what
    ``pandas.Series.ewm(alpha=1 - weight).mean()`` gives."""
    from scipy.signal import lfilter

    total, count = (lfilter([1.0], [1.0, -weight], each) for each in (values, np.ones(len(values))))
    smooth: np.ndarray = total / count
    return smooth


def curves(runs: Sequence[Run], look: Sequence[Look]) -> Curves:
    """A figure per metric that was logged more than once, with a curve per run and degree of smoothing; of
    each at most `POINTS` points, evenly spaced, the first and the last among them."""
    of_runs = [_logged(run) for run in runs]
    lengths = [len(steps) for of_run in of_runs for steps, _ in of_run.values()]
    points = POINTS
    while points > _FEWEST_POINTS and _size(lengths, points) > _BYTES:
        points = points * 3 // 4
    names = list(dict.fromkeys(name for of_run in of_runs for name in of_run))
    figures = {}
    for name in names:
        traces = []
        for index, (run, own, of_run) in enumerate(zip(runs, look, of_runs, strict=True)):
            if name not in of_run:
                continue
            steps, values = of_run[name]
            kept = np.unique(np.linspace(0, len(steps) - 1, min(points, len(steps))).round().astype(int))
            for level, weight in enumerate(SMOOTHING.values()):
                trace = {
                    "type": "scatter",
                    "x": steps[kept].astype(np.int32),
                    "y": smoothed(values, weight)[kept].astype(np.float32),
                    "name": html.escape(run.label),
                    "mode": "lines" if len(steps) > 2 else "lines+markers",
                    "line": own._asdict(),
                    "meta": {"run": index, "level": level},
                }
                traces.append(trace)
        titles = {"xaxis_title": "step", "yaxis_title": html.escape(name)}
        figure = go.Figure(traces).update_layout(**titles, height=440, showlegend=False, hovermode="closest")
        figures[name] = _plain(figure)
    return Curves(figures, points, any(length > points for length in lengths))


def _logged(run: Run) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metric to steps and finite values, of what is no single number."""
    found = {}
    for name, (steps, values) in metrics_file.series(run.folder.path / "metrics.csv").items():
        finite = np.isfinite(values)
        if finite.sum() > 1 and not name.startswith("test/"):
            found[name] = (np.array(steps)[finite], np.array(values)[finite])
    return found


def _size(lengths: Sequence[int], points: int) -> float:
    """About how many bytes of the page the curves take."""
    numbers = 2 * sum(min(length, points) for length in lengths)
    return len(SMOOTHING) * (numbers * _BYTES_OF_NUMBER + len(lengths) * _BYTES_OF_TRACE)


def parallel(comparison: Comparison) -> Figure | None:
    """Parallel coordinates: a line per finished run through its settings to its metrics, coloured by the
    one that judges; None with fewer than three such runs or nothing that differs."""
    by = comparison.by
    shown = [by, *(name for name in comparison.metrics if name != by)][:3]
    runs = [
        (run, own)
        for run, own in zip(comparison.runs, comparison.of_runs, strict=True)
        if (known := value(run, by)) is not None and math.isfinite(known)
    ]
    if len(runs) < 3 or not comparison.settings:
        return None
    dimensions = [_dimension(name, [own[name] for _, own in runs]) for name in comparison.settings]
    columns = {name: [value(run, name) for run, _ in runs] for name in shown}
    measured = {
        name: numbers
        for name, numbers in columns.items()
        if all(known is not None and math.isfinite(known) for known in numbers)
    }
    dimensions += [{"label": html.escape(name), "values": numbers} for name, numbers in measured.items()]
    line = {
        "color": measured[by],
        "colorscale": "Viridis",
        "showscale": True,
        "reversescale": comparison.by_mode == "min",
        "colorbar": {"title": {"text": html.escape(by), "side": "right"}, "x": 1.05},
    }
    drawn = go.Parcoords(dimensions=dimensions, line=line, labelangle=-12, labelside="top")
    margin = {"l": 150, "r": 30, "t": 90, "b": 30}
    return _plain(go.Figure(drawn).update_layout(height=440, margin=margin))


def _dimension(name: str, values: Sequence[str]) -> dict[str, object]:
    """A numeric axis where all values are numbers, otherwise one with the values in their order."""
    numbers = _numeric(values)
    label = html.escape(in_short(name, "")[0])
    if numbers is None or len(set(numbers)) < 2:
        texts = list(dict.fromkeys(values))
        return {
            "label": label,
            "values": [texts.index(text) for text in values],
            "tickvals": list(range(len(texts))),
            "ticktext": [html.escape(cut(in_short(name, text)[1], _TICK)) for text in texts],
        }
    if min(numbers) > 0 and max(numbers) / min(numbers) >= _RANGE_OF_LOG:
        low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
        decades = [10.0**power for power in range(low, high + 1)]
        ticks = sorted(set(numbers)) if len(set(numbers)) <= 8 else decades
        return {
            "label": label,
            "values": [math.log10(number) for number in numbers],
            "tickvals": [math.log10(tick) for tick in ticks],
            "ticktext": [f"{tick:.4g}" for tick in ticks],
        }
    return {"label": label, "values": numbers}


def _numeric(values: Sequence[str]) -> list[float] | None:
    try:
        numbers = [float(text) for text in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def importances(of_objective: str, shares: Mapping[str, float]) -> Figure:
    """Bars with the share that each setting has in an objective, together 1, the largest above."""
    names = sorted(shares, key=shares.__getitem__)
    bars = go.Bar(
        x=[shares[name] for name in names],
        y=[html.escape(name) for name in names],
        orientation="h",
        marker_color=_COLORS[0],
        texttemplate="%{x:.2f}",
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    figure = go.Figure(bars).update_layout(
        height=120 + 34 * len(names),
        xaxis_title=f"share of the importance for {html.escape(of_objective)}",
        yaxis_automargin=True,
    )
    return _plain(figure)


def _plain(figure: go.Figure) -> Figure:
    """Without a template: the page adds its colours."""
    figure.update_layout(template="none")
    if not figure.layout.margin.l:
        figure.update_layout(margin={"l": 70, "r": 20, "t": 20, "b": 50})
    return json.loads(figure.to_json())
