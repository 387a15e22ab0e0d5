"""The comparison as one HTML file that asks for nothing else."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from vision_apps.compare import charts, pictures, tables
from vision_apps.compare.comparison import BEST, Comparison
from vision_apps.compare.importances import importances
from vision_apps.compare.reading import Run, fingerprint
from vision_apps.compare.settings import differing_in_full, in_short
from vision_apps.compare.writing import MARK

_HERE = Path(__file__).parent


class _Part(NamedTuple):
    name: str  # its address within the page
    title: str
    body: str


def page(comparison: Comparison) -> str:
    from plotly.offline import get_plotlyjs

    figures: dict[str, Any] = {"curves": {}, "others": {}}
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
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
        summary=escape(tables.summary_line(comparison)),
        contents=" ".join(f'<a href="#{part.name}">{part.title}</a>' for part in there),
        body="\n".join(
            f'<section aria-labelledby="{part.name}">\n<h2 id="{part.name}">{part.title}</h2>\n'
            f"{part.body}\n</section>"
            for part in there
        ),
        figures=data,
        plotly=get_plotlyjs(),
    )


def _table(cells: tables.Cells, title: str) -> str:
    """The first row is titles, the first cell of each its name."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells[0])
    body = "".join(_row(row) for row in cells[1:])
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    kind = ' class="baseline"' if cells[0].startswith("baseline ") else ""
    rest = "".join(f"<td>{_spread(cell)}</td>" for cell in cells[1:])
    return f'<tr{kind}><th scope="row">{escape(cells[0])}</th>{rest}</tr>'


def _spread(cell: str) -> str:
    """Mean and deviation above, interval below."""
    above, bracket, below = cell.partition(" [")
    if not bracket or "±" not in above:
        return escape(cell)
    return f"{escape(above)}<small>[{escape(below)}</small>"


def _listed(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _results(comparison: Comparison) -> _Part:
    body = []
    if comparison.unfinished:
        body.append('<h3 class="failed">Not finished, and in no mean</h3>')
        body.append(_table(tables.unfinished(comparison), "Runs that did not finish"))
    if comparison.left_out:
        body.append("<h3>Left out</h3>" + _listed(f"{path} {reason}" for path, reason in comparison.left_out))
    if comparison.rows:
        body.append(
            '<p class="about">A row for each configuration, the best by the monitored metric first: mean ± standard '
            "deviation over seeds, below it the bootstrap 95 % interval of the mean. Time is the mean, peak memory "
            "the largest of its runs.</p>"
        )
        body.append(_table(tables.results(comparison), "Settings that differ, results and cost"))
    if comparison.notes:
        body.append(_listed(comparison.notes))
    return _Part("results", "Results and cost", "\n".join(body))


def _tests(comparison: Comparison) -> _Part | None:
    cells = tables.tested(comparison, comparison.metrics)
    if len(cells) == 1:
        return None
    about = (
        f'<p class="about">Each configuration minus <b>{escape(comparison.rows[0].label)}</b>, the best by '
        f"{escape(str(comparison.monitor))}, over the seeds that both have: mean difference, its bootstrap interval, "
        "and Student's paired t-test, with Holm's correction for the number of configurations.</p>"
    )
    return _Part("tests", "Paired tests", about + _table(cells, "Paired tests"))


def _curves(comparison: Comparison, figures: dict[str, Any]) -> _Part | None:
    look = charts.looks(comparison)
    order = {id(run): index for index, row in enumerate(comparison.rows) for run in row.runs}
    pairs = sorted(
        zip(comparison.runs, look, strict=True), key=lambda pair: order.get(id(pair[0]), len(order))
    )
    pairs = pairs[: charts.MOST_RUNS]
    runs, look = [run for run, _ in pairs], [own for _, own in pairs]
    made = charts.curves(runs, look)
    if not made.figures:
        return None
    figures["curves"] = made.figures
    names = sorted(made.figures, key=lambda name: name != comparison.monitor)
    choose = "".join(f"<option>{escape(name)}</option>" for name in names)
    smooth = "".join(
        f'<option value="{level}">{name}</option>' for level, name in enumerate(charts.SMOOTHING)
    )
    css = {"dash": "dashed", "dot": "dotted", "dashdot": "double"}
    boxes = "".join(
        f'<label><input type="checkbox" value="{index}" checked><span class="swatch" '
        f'style="border-color:{own.colour};border-top-style:{css.get(own.dash, "solid")}"></span>{escape(run.label)}</label>'
        for index, (run, own) in enumerate(pairs)
    )
    about = []
    if made.thinned:
        about.append(f"Long curves are thinned to {made.points} points, after smoothing.")
    if len(pairs) < len(comparison.runs):
        about.append(f"The {len(pairs)} best of {len(comparison.runs)} runs.")
    return _Part(
        "curves",
        "Curves",
        f'<div class="controls"><label>metric <select id="metric">{choose}</select></label>'
        f'<label>smoothing <select id="smoothing">{smooth}</select></label></div>'
        f'<fieldset id="chosen"><legend>runs <button type="button" value="all">all</button> '
        f'<button type="button" value="none">none</button></legend>{boxes}</fieldset>'
        f'<div class="chart" id="curves-chart"></div><p class="about">{" ".join(about)}</p>',
    )


def _parallel(comparison: Comparison, figures: dict[str, Any]) -> _Part | None:
    figure = charts.parallel(comparison)
    if figure is None:
        return None
    figures["others"]["parallel-chart"] = figure
    return _Part(
        "parallel",
        "Settings against the metric",
        '<p class="about">A line for each finished run. Drag along an axis to keep only the runs that pass there. '
        "The same numbers are in the table of results.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Parallel coordinates">'
        f'<div class="chart" id="parallel-chart" style="min-width:{140 * len(figure["data"][0]["dimensions"])}px"></div></div>',
    )


def _importances(comparison: Comparison, figures: dict[str, Any]) -> _Part | None:
    sweeps = dict.fromkeys(path for run in comparison.runs if (path := run.sweep) is not None)
    body = []
    for number, sweep in enumerate(sweeps):
        found = importances(sweep)
        body.append(f"<h3>{escape(sweep.name)}</h3>")
        if isinstance(found, str):
            body.append(f'<p class="about">No importances: {escape(found)}.</p>')
            continue
        for index, (objective, shares) in enumerate(found.items()):
            place = f"importances-{number}-{index}"
            figures["others"][place] = charts.importances(objective, shares)
            body.append(f'<div class="chart" id="{place}"></div>')
    return _Part("importances", "Importance of the settings", "\n".join(body)) if body else None


def _pictures(comparison: Comparison) -> _Part | None:
    runs: Sequence[Run] = [run for row in comparison.rows for run in row.runs]
    sheets = [(run, path) for run in runs if (path := pictures.sheet(run)) is not None]
    shown = sheets[: pictures.MOST]
    body = []
    for run, path in shown:
        encoded = pictures.encode(path, len(shown))
        if encoded is None:
            body.append(
                f"<figure><figcaption>{escape(run.label)}: {escape(path.name)} cannot be read</figcaption></figure>"
            )
            continue
        address, width, height = encoded
        best = f" · {BEST}{run.monitor} {tables.number(run.best)}"
        body.append(
            f"<figure><figcaption>{escape(run.label)}{escape(best)}</figcaption>"
            f'<img src="{address}" width="{width}" height="{height}" loading="lazy" '
            f'alt="{escape(path.stem)} of {escape(run.label)}"></figure>'
        )
    if not body:
        return None
    about = ["The same samples in every run, below each other; the runs side by side, the best first."]
    known = {json.dumps(fingerprint(run, "test")) for run, _ in shown}
    if len(known) > 1:
        about[0] = (
            "The runs were tested on different data: the samples of one sheet are not those of another."
        )
    if len(shown) < len(sheets):
        about.append(f"The {len(shown)} best of {len(sheets)} runs with pictures.")
    return _Part(
        "pictures",
        "Pictures",
        f'<p class="about">{" ".join(about)}</p>'
        f'<div class="sheets" tabindex="0" role="region" aria-label="Pictures">{"".join(body)}</div>',
    )


def _differences(comparison: Comparison) -> _Part | None:
    """Every key that differs, a column for each configuration."""
    first = [row.runs[0] for row in comparison.rows]
    columns = differing_in_full(first)
    if not columns:
        return None
    cells = [["setting", *(row.label for row in comparison.rows)]]
    cells += [[key, *(in_short(key, value)[1] for value in values)] for key, values in columns.items()]
    about = '<p class="about">Every key that differs between the configurations, also those that follow from a choice.</p>'
    return _Part("differences", "Differences of the configurations", about + _table(cells, "Differences"))
