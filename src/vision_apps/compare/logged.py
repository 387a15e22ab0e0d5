"""``metrics.csv`` by metric."""

from pathlib import Path

from vision_apps.core import metrics_file

Series = tuple[list[int], list[float]]  # steps and values, in the order of logging


def series(path: Path) -> dict[str, Series]:
    """Metric to what was logged of it."""
    found: dict[str, Series] = {}
    for step, _, name, value in metrics_file.read(path):
        steps, values = found.setdefault(name, ([], []))
        steps.append(step)
        values.append(value)
    return found


def best(path: Path, metric: str | None, mode: str) -> float | None:
    """The best value so far, by ``min`` or ``max``."""
    _, values = series(path).get(str(metric), ([], []))
    return (min if mode == "min" else max)(values, default=None)
