"""``metrics.csv``: every logged number of a run, one per line. The long form needs no header that changes,
loses at most a line when the process is killed, and is one pivot away from a table."""

import csv
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


def summary(path: Path) -> dict[str, dict[str, float]]:
    """Per metric its last, least and greatest value."""
    result: dict[str, dict[str, float]] = {}
    for _, _, name, value in read(path):
        seen = result.setdefault(name, {"last": value, "min": value, "max": value})
        seen["last"], seen["min"], seen["max"] = value, min(seen["min"], value), max(seen["max"], value)
    return result
