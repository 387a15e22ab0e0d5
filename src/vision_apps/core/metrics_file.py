"""``metrics.csv``: every logged number of a run, one per line. The long form needs no header that changes,
loses at most a line when the process is killed, and is one pivot away from a table."""

import csv
import io
import logging
import math
from pathlib import Path

from vision_apps.core import plain_files

log = logging.getLogger(__name__)

Row = tuple[int, int, str, float]
COLUMNS = ("step", "epoch", "name", "value")


def read(path: Path) -> list[Row]:
    """The rows of a ``metrics.csv``; lines that are none are left out, such as one that a kill cut off."""
    return _parsed(path)[0]


def _parsed(path: Path) -> tuple[list[Row], int]:
    """The rows, and how many lines are none."""
    if not path.is_file():
        return [], 0
    rows: list[Row] = []
    broken = 0
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file):
            # by lines: one bad quotation mark would hide all that follow
            try:
                step, epoch, name, value = next(csv.reader([line]))
                if not line.endswith("\n"):  # of 0.1234 the beginning is a number, too
                    raise ValueError
                rows.append((int(step), int(epoch), name, float(value)))
            except (ValueError, StopIteration, csv.Error):
                broken += number > 0 or not line.startswith(COLUMNS[0])
    return rows, broken


def forget_after(path: Path, step: int) -> None:
    """Drop what was logged after ``step``: a resumed run logs it again."""
    rows, broken = _parsed(path)
    if broken:
        log.warning("%s: %d lines cannot be read and are left out", path, broken)
    kept = [row for row in rows if row[0] < step]
    if path.is_file():
        text = io.StringIO()
        csv.writer(text).writerows([COLUMNS, *kept])
        plain_files.write_whole(path, text.getvalue())


def series(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Metric to its steps and values, in the order of logging."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for step, _, name, value in read(path):
        steps, values = found.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)
    return found


def best(path: Path, metric: str | None, mode: str) -> float | None:
    """The best value so far, by ``min`` or ``max``; None before the first. NaN is never the best."""
    _, values = series(path).get(str(metric), ([], []))
    return (min if mode == "min" else max)(_numbers(values), default=None)


def summary(path: Path) -> dict[str, dict[str, float]]:
    """Metric to its ``last``, ``min`` and ``max`` value; the latter two are NaN where all are."""
    return {
        name: {
            "last": values[-1],
            "min": min(_numbers(values), default=math.nan),
            "max": max(_numbers(values), default=math.nan),
        }
        for name, (_, values) in series(path).items()
    }


def _numbers(values: list[float]) -> list[float]:
    """Without NaN, next to which Python's least and greatest depend on the order."""
    return [value for value in values if not math.isnan(value)]
