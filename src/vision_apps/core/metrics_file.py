"""``metrics.csv``: every logged number of a run, one per line. The long form needs no header that changes,
loses at most a line when the process is killed, and is one pivot away from a table."""

import csv
import math
import os
from pathlib import Path

COLUMNS = ("step", "epoch", "name", "value")


def read(path: Path) -> list[tuple[int, int, str, float]]:
    """The rows of a ``metrics.csv``; a line that was cut off by a kill is left out."""
    if not path.is_file():
        return []
    rows = []
    with open(path, newline="") as file:
        for row in list(csv.reader(file))[1:]:
            try:
                rows.append((int(row[0]), int(row[1]), row[2], float(row[3])))
            except (ValueError, IndexError):
                continue
    return rows


def forget_after(path: Path, step: int) -> None:
    """Drop what was logged after ``step``: a resumed run logs it again."""
    kept = [row for row in read(path) if row[0] < step]
    if path.is_file():
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *kept])
        temporary.replace(path)


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
