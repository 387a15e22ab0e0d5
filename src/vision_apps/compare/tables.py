"""A comparison as text, CSV and Markdown."""

import datetime
import math
import re
from collections.abc import Callable, Sequence
from typing import Literal

from vision_apps.compare.comparison import BEST, Comparison, Row, value
from vision_apps.compare.settings import MISSING, choices, in_short
from vision_apps.core.neutral import csv_text, visible
from vision_apps.core.statistics import Summary

Cells = list[list[str]]  # rows, the first of them the titles

BROKEN, PRUNED = "not finished, and in no mean", "pruned, and in no mean"
_MANY = 6  # metrics; of more only the monitored one is tested on paper, the page has all
_ERROR = 100  # characters of an error that a table shows
_COST: tuple[Literal["peak_memory", "parameters"], ...] = ("peak_memory", "parameters")


def number(known: float | None) -> str:
    """Four digits."""
    return MISSING if known is None else f"{known:.4g}"


def time(seconds: float | None) -> str:
    """``hours:minutes:seconds``"""
    return MISSING if seconds is None else str(datetime.timedelta(seconds=round(seconds)))


def results(comparison: Comparison) -> Cells:
    """A row per configuration, then the baselines."""
    titles = [in_short(name, "")[0] for name in comparison.settings]
    cells = [
        ["run", *titles, f"{comparison.unit}s", *comparison.metrics, "time", "peak memory", "parameters"]
    ]
    for row in comparison.rows:
        memory, count = row.largest("peak_memory"), row.largest("parameters")
        known = [_told(row.summaries.get(metric), row.repeats) for metric in comparison.metrics]
        cells.append(
            [
                row.label,
                *_values(row.settings),
                _runs(row),
                *known,
                time(row.seconds),
                MISSING if memory is None else f"{memory / 2**20:,.0f} MiB",
                MISSING if count is None else f"{count:,}",
            ]
        )
    for name, values in comparison.baselines.items():
        numbers = [number(values[metric]) if metric in values else "" for metric in comparison.metrics]
        if any(numbers):
            cells.append([f"baseline {name}", *[""] * (len(comparison.settings) + 1), *numbers, "", "", ""])
    return cells


def _runs(row: Row) -> str:
    """How many seeds or folds there are, and of how many."""
    every = max(row.started, row.folds or 0)
    of_seeds = f" of {every}" if len(row.runs) < every else ""
    if not row.folds:
        return f"{len(row.runs)}{of_seeds}"
    seeds = len({run.seed for run in row.runs})
    return f"{row.repeats}" + (f" × {seeds} seeds" if seeds > 1 else of_seeds)


def _told(summary: Summary | None, repeats: int) -> str:
    """With its own n where it is not that of the row."""
    if summary is None:
        return MISSING
    return summary.spread if summary.n == repeats else str(summary)


def _values(of: dict[str, str]) -> list[str]:
    return [in_short(key, value)[1] for key, value in of.items()]


def unfinished(comparison: Comparison, pruned: bool = False) -> Cells:
    """What is in no mean: the failures first, or what was given up; the titles alone where there is none."""
    titles = [in_short(name, "")[0] for name in comparison.settings]
    own = {id(run): one for run, one in zip(comparison.runs, comparison.of_runs, strict=True)}
    cells = [["run", "status", *titles, comparison.unit, f"{BEST}{comparison.monitor} so far", "error"]]
    for run in comparison.unfinished:
        if (run.status == "pruned") != pruned:
            continue
        error = " ".join(str(run.record.get("error", "")).split())
        best = number(run.best)
        which = str(run.fold if run.folds else run.seed)
        cells.append([run.label, run.status, *_values(own[id(run)]), which, best, cut(error, _ERROR)])
    if not any(row[-1] for row in cells[1:]):
        cells = [row[:-1] for row in cells]
    return cells


def tested(comparison: Comparison, metrics: Sequence[str]) -> Cells:
    """The configurations against the best one."""
    several = len(comparison.rows) > 2
    titles = [
        "metric",
        "run",
        f"{comparison.unit}s",
        "difference",
        "95 % interval",
        "p",
        *(["p, all pairs"] if several else []),
    ]
    cells = [titles]
    for metric in metrics:
        for label, pair in comparison.tests.get(metric, {}).items():
            interval = MISSING if pair.low is None else f"[{pair.low:+.3g}, {pair.high:+.3g}]"
            p = [pair.p, pair.holm] if several else [pair.p]
            told = ["no spread" if known is None else f"{known:.2g}" for known in p]
            cells.append([metric, label, str(pair.n), f"{pair.difference:+.3g}", interval, *told])
    return cells


def corrected(comparison: Comparison) -> str:
    """For what the tests are corrected; nothing where there is but one pair."""
    count = len(comparison.rows)
    pairs = count * (count - 1) // 2
    if pairs < 2:
        return ""
    return (
        "; intervals (Bonferroni) and the last p (Holm) are corrected, metric by metric, for all "
        f"{pairs} pairs of the {count} configurations, since any could have come out best"
    )


def on_paper(comparison: Comparison) -> list[str]:
    """The metrics whose tests text and Markdown show."""
    if len(comparison.metrics) <= _MANY:
        return comparison.metrics
    alike = {comparison.by, f"test/{comparison.by.rpartition('/')[2]}"}
    return [metric for metric in comparison.metrics if metric in alike] or comparison.metrics[:_MANY]


def summary_line(comparison: Comparison) -> str:
    finished = sum(run.finished for run in comparison.runs)
    spent = sum(run.metrics.get("seconds") or 0 for run in comparison.runs)
    return visible(
        f"{comparison.task} · {len(comparison.runs)} runs, {finished} finished, {len(comparison.rows)} "
        f"configurations · monitors {comparison.monitor} ({comparison.mode}) · {time(spent)} in total",
        kept="",
    )


def text(comparison: Comparison, width: int) -> str:
    """Aligned columns, in blocks of at most ``width`` characters where a single line can be."""

    def table(title: str, cells: Cells) -> str:
        if not title and len(cells[0]) > 2 * len(cells):
            # few configurations and many metrics read better as columns
            cells = [list(column) for column in zip(*cells, strict=True)]
        return f"{visible(title, kept='')}\n" * bool(title) + aligned(cells, width)

    return _document(comparison, table, lambda told: "\n".join(map(visible, told)))


def markdown(comparison: Comparison) -> str:
    def table(title: str, cells: Cells) -> str:
        return f"{_plain(title[:1].upper() + title[1:])}:\n\n" * bool(title) + _piped(cells)

    return _document(comparison, table, lambda told: "\n".join(f"- {_plain(line)}" for line in told)) + "\n"


def _document(
    comparison: Comparison, table: Callable[[str, Cells], str], lines: Callable[[list[str]], str]
) -> str:
    """What failed, the results, what was given up, the tests and the notes; what is empty is left out."""
    broken, pruned = unfinished(comparison), unfinished(comparison, pruned=True)
    tests = tested(comparison, on_paper(comparison))
    best = comparison.rows[0].label if comparison.rows else ""
    against = (
        f"paired by {comparison.unit}, each minus {best}, the best by {comparison.by}{corrected(comparison)}"
    )
    left_out = [f"left out: {visible(path, kept='')} {reason}" for path, reason in comparison.left_out]
    notes = [f"note: {note}" for note in comparison.notes]
    parts = [
        summary_line(comparison),
        table(BROKEN, broken) if len(broken) > 1 else "",
        lines(left_out),
        table("", results(comparison)) if comparison.rows else "",
        table(PRUNED, pruned) if len(pruned) > 1 else "",
        table(against, tests) if len(tests) > 1 else "",
        lines(notes),
    ]
    return "\n\n".join(part for part in parts if part)


def csv_of_rows(comparison: Comparison) -> str:
    """A line per configuration, numbers in full precision."""
    parts = ("std", "low", "high", "n")
    columns = [name for metric in comparison.metrics for name in (metric, *(f"{metric} {p}" for p in parts))]
    lines: list[dict[str, object]] = []
    for row in comparison.rows:
        line: dict[str, object] = {
            "run": row.label,
            **row.settings,
            "seeds": len({run.seed for run in row.runs}),
        }
        line |= {"folds": row.repeats} if row.folds else {}
        for metric, known in row.summaries.items():
            line |= {metric: known.mean, **{f"{metric} {part}": getattr(known, part) for part in parts}}
        lines.append(line | {"seconds": row.seconds} | {name: row.largest(name) for name in _COST})
    lines += [{"run": f"baseline {name}", **values} for name, values in comparison.baselines.items()]
    repeats = ["seeds", "folds"] if any(row.folds for row in comparison.rows) else ["seeds"]
    return csv_text(["run", *comparison.settings, *repeats, *columns, "seconds", *_COST], lines)


def csv_of_runs(comparison: Comparison) -> str:
    """A line per run, unfinished ones too, with everything that was tested: all tables can be made of it."""
    best = dict.fromkeys(f"{BEST}{run.monitor}" for run in comparison.runs)
    tests = dict.fromkeys(name for run in comparison.runs for name in run.final if name.startswith("test/"))
    metrics = [*best, *tests, *(name for name in comparison.metrics if name not in (*best, *tests))]
    chosen = choices(comparison.runs)
    fold = ["fold"] if any(run.folds for run in comparison.runs) else []
    first = ("run", "label", "status", "error", "task", "started", "group", "trial", "seed", *fold)
    names = [*first, *dict.fromkeys([*chosen[0], *comparison.settings]), *metrics, "seconds", *_COST]
    lines = [
        {"run": run.folder.path, "label": run.label, "status": run.status, "task": run.task}
        | {name: run.record.get(name) for name in ("error", "started", "group", "trial")}
        | {"seed": run.seed, "fold": run.fold if run.folds else None, **choice, **own}
        | {metric: value(run, metric) for metric in metrics}
        | {name: run.metrics.get(name) for name in ("seconds", *_COST)}
        for run, choice, own in zip(comparison.runs, chosen, comparison.of_runs, strict=True)
    ]
    return csv_text(names, lines)


def cut(text: str, most: int) -> str:
    """At most so many characters, the last of them … where some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(text: str) -> str:
    """In Markdown: neither a column's end, nor a line's, nor HTML."""
    text = visible(" ".join(text.split()))
    return re.sub(r"[\\|`*_]", r"\\\g<0>", text).replace("<", "&lt;")


def _piped(cells: Cells) -> str:
    lines = ["| " + " | ".join(map(_plain, row)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def aligned(cells: Cells, width: float = math.inf) -> str:
    """Columns in blocks of at most ``width`` characters, the first column repeated before each block."""
    rows = [[visible(" ".join(cell.splitlines()), kept="") for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        needed = widths[0] + sum(widths[i] + 2 for i in [*blocks[-1], column])
        if blocks[-1] and needed > width:
            blocks.append([])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row[i].ljust(widths[i]) for i in (0, *block)).rstrip() for row in rows)
        for block in blocks
    )
