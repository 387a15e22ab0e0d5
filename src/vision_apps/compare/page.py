"""The comparison as one HTML file that asks for nothing else."""

import itertools
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple

from vision_apps.compare import charts, pictures, tables
from vision_apps.compare.comparison import BEST, Comparison
from vision_apps.compare.importances import importances
from vision_apps.compare.reading import Run, fingerprint
from vision_apps.compare.settings import differing_in_full, in_short
from vision_apps.core import pages

MARK = '<meta name="generator" content="vision-apps compare">'  # a page that may be written over has it
_HERE = Path(__file__).parent
_BORDERS = {"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "double"}  # of CSS, by dash
_Figures = dict[str, dict[str, charts.Figure]]  # for the page's script: curves by metric, others by place


class _Part(NamedTuple):
    name: str  # its address within the page
    title: str
    body: str


def page(comparison: Comparison) -> str:
    """HTML with styles, scripts, figures and pictures inside."""
    from plotly.offline import get_plotlyjs

    figures: _Figures = {"curves": {}, "others": {}}
    parts = [
        _results(comparison),
        _tests(comparison),
        _curves(comparison, figures),
        _parallel(comparison, figures),
        _importances(comparison, figures),
        _pictures(comparison),
        _differences(comparison),
    ]
    there = [part for part in parts if part is not None]
    # "<" would let a text of a run end the script
    data = json.dumps(figures, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Template((_HERE / "page.html").read_text(encoding="utf-8")).substitute(
        mark=MARK,
        title=escape(f"{comparison.task}: {len(comparison.runs)} runs compared"),
        style=pages.style(_HERE / "page.css"),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
        summary=escape(tables.summary_line(comparison)),
        contents=" ".join(f'<a href="#{part.name}">{part.title}</a>' for part in there),
        body="\n".join(
            f'<section aria-labelledby="{part.name}">\n<h2 id="{part.name}">{part.title}</h2>\n{part.body}\n'
            "</section>"
            for part in there
        ),
        figures=data,
        plotly=get_plotlyjs(),
    )


def _table(cells: tables.Cells, title: str) -> str:
    """The first row is titles, the first cell of each its name."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells[0])
    body = "".join(_row(row) for row in cells[1:])
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return _region("scroll", title, table)


def _row(cells: Sequence[str]) -> str:
    kind = ' class="baseline"' if cells[0].startswith("baseline ") else ""
    rest = "".join(f"<td>{_spread(cell)}</td>" for cell in cells[1:])
    return f'<tr{kind}><th scope="row">{escape(cells[0])}</th>{rest}</tr>'


def _spread(cell: str) -> str:
    """Mean and deviation above, interval below."""
    above, bracket, below = cell.partition(" [")
    if not bracket or "±" not in above:
        return escape(cell)
    return f"<span>{escape(above)}</span><small>[{escape(below)}</small>"


def _about(*sentences: str) -> str:
    return f'<p class="about">{escape(" ".join(sentences))}</p>'


def _region(kind: str, title: str, body: str) -> str:
    """Something wider than the page, which the keyboard can scroll."""
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{title}">{body}</div>'


def _listed(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _results(comparison: Comparison) -> _Part:
    body = []
    broken, pruned = tables.unfinished(comparison), tables.unfinished(comparison, pruned=True)
    if len(broken) > 1:
        title = f'<h3 class="failed">{tables.BROKEN.capitalize()}</h3>'
        body.append(title + _table(broken, "Runs that did not finish"))
    if comparison.left_out:
        body.append("<h3>Left out</h3>" + _listed(f"{path} {reason}" for path, reason in comparison.left_out))
    if comparison.rows:
        about = _about(
            f"A row for each configuration, the best by {comparison.by} first: mean ± standard deviation",
            f"over {comparison.unit}s, below it the 95 % interval of the mean. Time is the mean, peak memory",
            "the largest of its runs.",
        )
        body.append(about + _table(tables.results(comparison), "Settings that differ, results and cost"))
    if len(pruned) > 1:
        body.append(f"<h3>{tables.PRUNED.capitalize()}</h3>" + _table(pruned, "Runs that were given up"))
    if comparison.notes:
        body.append(_listed(comparison.notes))
    return _Part("results", "Results and cost", "\n".join(body))


def _tests(comparison: Comparison) -> _Part | None:
    cells = tables.tested(comparison, comparison.metrics)
    if len(cells) == 1:
        return None
    about = _about(
        f"Each configuration minus {comparison.rows[0].label}, the best by {comparison.by}, over the",
        f"{comparison.unit}s that both have: mean difference, interval and paired t-test"
        f"{tables.corrected(comparison)}.",
    )
    return _Part("tests", "Paired tests", about + _table(cells, "Paired tests"))


def _curves(comparison: Comparison, figures: _Figures) -> _Part | None:
    order = {id(run): index for index, row in enumerate(comparison.rows) for run in row.runs}
    pairs = list(zip(comparison.runs, charts.looks(comparison), strict=True))
    pairs.sort(key=lambda pair: order.get(id(pair[0]), len(order)))
    pairs = pairs[: charts.MOST_RUNS]
    made = charts.curves([run for run, _ in pairs], [look for _, look in pairs])
    if not made.figures:
        return None
    figures["curves"] = made.figures
    metrics = sorted(made.figures, key=lambda name: name != comparison.monitor)
    about = []
    if made.thinned:
        about.append(f"Long curves are thinned to {made.points} points, after smoothing.")
    if len(pairs) < len(comparison.runs):
        about.append(f"The {len(pairs)} best of {len(comparison.runs)} runs.")
    buttons = "".join(f' <button type="button" value="{name}">{name}</button>' for name in ("all", "none"))
    boxes = "".join(_box(index, run, look) for index, (run, look) in enumerate(pairs))
    return _Part(
        "curves",
        "Curves",
        f'<div class="controls">{_select("metric", metrics, metrics)}'
        f"{_select('smoothing', charts.SMOOTHING, range(len(charts.SMOOTHING)))}</div>"
        f'<fieldset id="chosen"><legend>runs{buttons}</legend>{boxes}</fieldset>'
        f'<div class="chart" id="curves-chart"></div>{_about(*about) if about else ""}',
    )


def _select(name: str, titles: Iterable[str], values: Iterable[object]) -> str:
    options = "".join(
        f'<option value="{escape(str(value))}">{escape(title)}</option>'
        for title, value in zip(titles, values, strict=True)
    )
    return f'<label>{name} <select id="{name}">{options}</select></label>'


def _box(index: int, run: Run, look: charts.Look) -> str:
    """A run of the legend, which chooses the curves that are drawn."""
    style = f"border-color:{look.color};border-top-style:{_BORDERS[look.dash]}"
    return (
        f'<label><input type="checkbox" value="{index}" checked>'
        f'<span class="swatch" style="{style}"></span>{escape(run.label)}</label>'
    )


def _parallel(comparison: Comparison, figures: _Figures) -> _Part | None:
    figure = charts.parallel(comparison)
    if figure is None:
        return None
    figures["others"]["parallel-chart"] = figure
    about = _about(
        "A line for each finished run. Drag along an axis to keep only the runs that pass there. The same",
        "numbers are in the table of results.",
    )
    width = 140 * len(figure["data"][0]["dimensions"]) + 160  # px
    chart = f'<div class="chart" id="parallel-chart" style="min-width:{width}px"></div>'
    body = about + _region("scroll", "Parallel coordinates", chart)
    return _Part("parallel", "Settings against the metric", body)


def _importances(comparison: Comparison, figures: _Figures) -> _Part | None:
    sweeps = dict.fromkeys(path for run in comparison.runs if (path := run.sweep) is not None)
    body = []
    for number, sweep in enumerate(sweeps):
        found = importances(sweep)
        body.append(f"<h3>{escape(sweep.name)}</h3>")
        if isinstance(found, str):
            body.append(_about(f"No importances: {found}."))
            continue
        for index, (objective, shares) in enumerate(found.items()):
            place = f"importances-{number}-{index}"
            figures["others"][place] = charts.importances(objective, shares)
            body.append(f'<div class="chart" id="{place}"></div>')
    return _Part("importances", "Importance of the settings", "\n".join(body)) if body else None


def _pictures(comparison: Comparison) -> _Part | None:
    # one run of each configuration, the best first, before the second of any
    rounds = itertools.zip_longest(*(row.runs for row in comparison.rows))
    runs = [run for one_of_each in rounds for run in one_of_each if run is not None]
    sheets = [(run, path) for run in runs if (path := pictures.sheet(run)) is not None]
    shown = sheets[: pictures.MOST]
    if not shown:
        return None
    splits = [(run, path.name.partition("-")[0]) for run, path in shown]
    samples = [(split, fingerprint(run, split)) for run, split in splits]
    about = ["The same samples below each other; a run of each configuration side by side."]
    if any(one != samples[0] for one in samples):
        about = ["Not of the same data: the samples of one sheet are not those of another."]
    if len(shown) < len(sheets):
        about.append(f"{len(shown)} of {len(sheets)} runs with pictures.")
    body = "".join(_figure(run, path, len(shown)) for run, path in shown)
    return _Part("pictures", "Pictures", _about(*about) + _region("sheets", "Pictures", body))


def _figure(run: Run, path: Path, count: int) -> str:
    caption = escape(f"{run.label} · {BEST}{run.monitor} {tables.number(run.best)}")
    encoded = pictures.encode(path, count)
    if encoded is None:
        return f"<figure><figcaption>{caption}: {escape(path.name)} cannot be read</figcaption></figure>"
    address, width, height = encoded
    return (
        f'<figure><figcaption>{caption}</figcaption><img src="{address}" width="{width}" height="{height}" '
        f'decoding="async" alt="{escape(path.stem)} of {escape(run.label)}"></figure>'
    )


def _differences(comparison: Comparison) -> _Part | None:
    """Every key that differs, a column for each configuration."""
    columns = differing_in_full([row.runs[0] for row in comparison.rows])
    if not columns:
        return None
    cells = [["setting", *(row.label for row in comparison.rows)]]
    cells += [[key, *(in_short(key, value)[1] for value in values)] for key, values in columns.items()]
    about = _about("Every key that differs between the configurations, also those that follow from a choice.")
    return _Part("differences", "Differences of the configurations", about + _table(cells, "Differences"))
