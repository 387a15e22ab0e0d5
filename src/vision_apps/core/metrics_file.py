"""``metrics.csv``: every logged number of a run, one per line, whatever other logger is used."""

import csv
import os
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

COLUMNS = ("step", "epoch", "name", "value")


class MetricsFile(Logger):
    """Appends ``step,epoch,name,value`` lines. The long form needs no header that changes, loses at most a
    line when the process is killed, and is one pivot away from a table."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        epoch = int(metrics.get("epoch", -1))
        new = not self.path.is_file()
        with open(self.path, "a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(COLUMNS)
            writer.writerows(
                (step, epoch, name, f"{value:.8g}") for name, value in metrics.items() if name != "epoch"
            )


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
