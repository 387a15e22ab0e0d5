"""A comparison as text, CSV and Markdown."""

import csv
import datetime
import io
import math
import re
from collections.abc import Sequence

from vision_apps.compare.comparison import BEST, Comparison, Row, value
from vision_apps.compare.settings import MISSING, choices, in_short
from vision_apps.core.statistics import Summary

Cells = list[list[str]]  # rows, the first of them the titles

BROKEN, PRUNED = "Not finished, and in no mean", "Pruned, and in no mean"
_MANY = 6  # metrics; of more only the monitored one is tested on paper, the page has all
_ERROR = 100  # characters of an error that a table shows


def number(known: float | None) -> str:
    """Four digits."""
    return MISSING if known is None else f"{known:.4g}"


def spread(summary: Summary | None) -> str:
    """``mean ± std [low, high]``"""
    return MISSING if summary is None else summary.spread


def memory(size: int | None) -> str:
    """Bytes in MiB."""
    return MISSING if size is None else f"{size / 2**20:,.0f} MiB"


def time(seconds: float | None) -> str:
    """``hours:minutes:seconds``"""
    return MISSING if seconds is None else str(datetime.timedelta(seconds=round(seconds)))


def seeds(row: Row) -> str:
    """How many are finished, and of how many."""
    return str(len(row.runs)) if len(row.runs) == row.started else f"{len(row.runs)} of {row.started}"


def results(comparison: Comparison) -> Cells:
    """A row per configuration, then the baselines."""
    titles = [in_short(name, "")[0] for name in comparison.settings]
    cells = [["run", *titles, "seeds", *comparison.metrics, "time", "peak memory", "parameters"]]
    for row in comparison.rows:
        cells.append(
            [
                row.label,
                *_values(row.settings),
                seeds(row),
                *(spread(row.summaries.get(metric)) for metric in comparison.metrics),
                time(row.seconds),
                memory(row.largest("peak_memory")),
                MISSING if (count := row.largest("parameters")) is None else f"{count:,}",
            ]
        )
    for name, values in comparison.baselines.items():
        numbers = [number(values[metric]) if metric in values else "" for metric in comparison.metrics]
        if any(numbers):
            cells.append([f"baseline {name}", *[""] * (len(comparison.settings) + 1), *numbers, "", "", ""])
    return cells


def _values(of: dict[str, str]) -> list[str]:
    return [in_short(key, value)[1] for key, value in of.items()]


def unfinished(comparison: Comparison, pruned: bool = False) -> Cells:
    """What is in no mean: the failures first, or what was given up; the titles alone where there is none."""
    titles = [in_short(name, "")[0] for name in comparison.settings]
    own = {id(run): one for run, one in zip(comparison.runs, comparison.of_runs, strict=True)}
    cells = [["run", "status", *titles, "seed", f"{BEST}{comparison.monitor} so far", "error"]]
    for run in comparison.unfinished:
        if (run.status == "pruned") != pruned:
            continue
        error = " ".join(str(run.record.get("error", "")).split())
        best = number(run.best)
        cells.append([run.label, run.status, *_values(own[id(run)]), str(run.seed), best, cut(error, _ERROR)])
    if not any(row[-1] for row in cells[1:]):
        cells = [row[:-1] for row in cells]
    return cells


def tested(comparison: Comparison, metrics: Sequence[str]) -> Cells:
    """The configurations against the best one."""
    several = len(comparison.rows) > 2
    titles = ["metric", "run", "seeds", "difference", "95 % interval", "p", *(["p, Holm"] if several else [])]
    cells = [titles]
    for metric in metrics:
        for label, pair in comparison.tests.get(metric, {}).items():
            interval = MISSING if pair.low is None else f"[{pair.low:+.3g}, {pair.high:+.3g}]"
            p = [pair.p, pair.holm] if several else [pair.p]
            told = ["no spread" if known is None else f"{known:.2g}" for known in p]
            cells.append([metric, label, str(pair.n), f"{pair.difference:+.3g}", interval, *told])
    return cells


def on_paper(comparison: Comparison) -> list[str]:
    """The metrics whose tests text and Markdown show."""
    if len(comparison.metrics) <= _MANY:
        return comparison.metrics
    alike = {comparison.by, f"test/{comparison.by.rpartition('/')[2]}"}
    return [metric for metric in comparison.metrics if metric in alike] or comparison.metrics[:_MANY]


def summary_line(comparison: Comparison) -> str:
    finished = sum(run.finished for run in comparison.runs)
    spent = sum(run.metrics.get("seconds") or 0 for run in comparison.runs)
    return (
        f"{comparison.task} · {len(comparison.runs)} runs, {finished} finished, {len(comparison.rows)} "
        f"configurations · monitors {comparison.monitor} ({comparison.mode}) · {time(spent)} in total"
    )


# ---- forms -------------------------------------------------------------------------------------------------


def text(comparison: Comparison, width: int) -> str:
    """Aligned columns, in blocks of at most ``width`` characters where a single line can be."""
    parts = [summary_line(comparison)]
    broken, pruned = unfinished(comparison), unfinished(comparison, pruned=True)
    if len(broken) > 1:
        parts.append(f"{BROKEN.lower()}\n" + aligned(broken, width))
    if comparison.left_out:
        parts.append("\n".join(f"left out: {path} {reason}" for path, reason in comparison.left_out))
    if comparison.rows:
        cells = results(comparison)
        upright = len(cells[0]) > 2 * len(cells)  # few configurations and many metrics read better as columns
        columns = [list(column) for column in zip(*cells, strict=True)]
        parts.append(aligned(columns if upright else cells, width))
    if len(pruned) > 1:
        parts.append(f"{PRUNED.lower()}\n" + aligned(pruned, width))
    tests = tested(comparison, on_paper(comparison))
    if len(tests) > 1:
        parts.append(f"{_against(comparison)}\n" + aligned(tests, width))
    parts += [f"note: {note}" for note in comparison.notes]
    return "\n\n".join(parts)


def markdown(comparison: Comparison) -> str:
    parts = [summary_line(comparison)]
    broken, pruned = unfinished(comparison), unfinished(comparison, pruned=True)
    if len(broken) > 1:
        parts += [f"{BROKEN}:", _piped(broken)]
    if comparison.left_out:
        told = [_plain(f"{path} {reason}") for path, reason in comparison.left_out]
        parts.append("\n".join(f"- left out: {text}" for text in told))
    if comparison.rows:
        parts.append(_piped(results(comparison)))
    if len(pruned) > 1:
        parts += [f"{PRUNED}:", _piped(pruned)]
    tests = tested(comparison, on_paper(comparison))
    if len(tests) > 1:
        parts += [_against(comparison) + ":", _piped(tests)]
    if comparison.notes:
        parts.append("\n".join(f"- {_plain(note)}" for note in comparison.notes))
    return "\n\n".join(parts) + "\n"


def _against(comparison: Comparison) -> str:
    return f"Paired by seed, each minus {_plain(comparison.rows[0].label)}, the best by {comparison.by}"


def csv_of_rows(comparison: Comparison) -> str:
    """A line per configuration, numbers in full precision."""
    titles = ["run", *comparison.settings, "seeds"]
    for metric in comparison.metrics:
        titles += [metric, *(f"{metric} {part}" for part in ("std", "low", "high", "n"))]
    lines: list[list[object]] = [[*titles, "seconds", "peak_memory", "parameters"]]
    for row in comparison.rows:
        line: list[object] = [row.label, *row.settings.values(), len(row.runs)]
        for metric in comparison.metrics:
            known = row.summaries.get(metric)
            line += [known.mean, known.std, known.low, known.high, known.n] if known else [""] * 5
        lines.append([*line, row.seconds, row.largest("peak_memory"), row.largest("parameters")])
    for name, values in comparison.baselines.items():
        line = [f"baseline {name}", *[""] * (len(comparison.settings) + 1)]
        for metric in comparison.metrics:
            line += [values.get(metric, ""), "", "", "", ""]
        lines.append([*line, "", "", ""])
    return csv_text(lines)


def csv_of_runs(comparison: Comparison) -> str:
    """A line per run, unfinished ones too, with everything that was tested: all tables can be made of it."""
    best = dict.fromkeys(f"{BEST}{run.monitor}" for run in comparison.runs)
    tests = dict.fromkeys(name for run in comparison.runs for name in run.final if name.startswith("test/"))
    metrics = [*best, *tests, *(name for name in comparison.metrics if name not in (*best, *tests))]
    chosen = choices(comparison.runs)
    names = [*(chosen[0]), *(name for name in comparison.settings if name not in chosen[0])]
    first = ["run", "label", "status", "error", "task", "started", "group", "trial", "seed"]
    lines: list[list[object]] = [[*first, *names, *metrics, "seconds", "peak_memory", "parameters"]]
    for run, choice, own in zip(comparison.runs, chosen, comparison.of_runs, strict=True):
        known, cost = choice | own, ("seconds", "peak_memory", "parameters")
        recorded = [run.record.get(name) for name in ("started", "group", "trial")]
        lines.append(
            [
                *(
                    run.folder.path,
                    run.label,
                    run.status,
                    run.record.get("error"),
                    run.task,
                    *recorded,
                    run.seed,
                ),
                *(known[name] for name in names),
                *(value(run, metric) for metric in metrics),
                *(run.metrics.get(name) for name in cost),
            ]
        )
    return csv_text(lines)


def csv_text(lines: Sequence[Sequence[object]]) -> str:
    """Rows as CSV."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(lines)
    return file.getvalue()


def cut(text: str, most: int) -> str:
    """At most so many characters, the last of them … where some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(text: str) -> str:
    """In Markdown: neither a column's end, nor a line's, nor HTML."""
    text = " ".join(text.split())
    return re.sub(r"[\\|`*_]", r"\\\g<0>", text).replace("<", "&lt;")


def _piped(cells: Cells) -> str:
    lines = ["| " + " | ".join(map(_plain, row)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def aligned(cells: Cells, width: float = math.inf) -> str:
    """Columns in blocks of at most ``width`` characters, the first column repeated before each block."""
    cells = [[" ".join(cell.splitlines()) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        needed = widths[0] + sum(widths[i] + 2 for i in [*blocks[-1], column])
        if blocks[-1] and needed > width:
            blocks.append([])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row[i].ljust(widths[i]) for i in (0, *block)).rstrip() for row in cells)
        for block in blocks
    )
