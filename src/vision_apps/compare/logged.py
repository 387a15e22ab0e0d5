"""``metrics.csv`` by metric, read without loading torch or lightning."""

import csv
from pathlib import Path

Series = tuple[list[int], list[float]]  # steps and values, in the order of logging


def series(path: Path) -> dict[str, Series]:
    """Metric to what was logged of it. A line that was cut off by a kill is left out."""
    if not path.is_file():
        return {}
    found: dict[str, Series] = {}
    with open(path, newline="") as file:
        for row in csv.reader(file):
            try:
                step, value = int(row[0]), float(row[3])
            except (ValueError, IndexError):  # the titles, and a line that is not whole
                continue
            steps, values = found.setdefault(row[2], ([], []))
            steps.append(step)
            values.append(value)
    return found


def best(path: Path, metric: str | None, mode: str) -> float | None:
    """The best value so far, by ``min`` or ``max``."""
    _, values = series(path).get(str(metric), ([], []))
    return (min if mode == "min" else max)(values, default=None)
