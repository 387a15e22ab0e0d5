"""One trial of a sweep: its runs, one for each seed and fold, and what they tell together."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vision_apps.core import engine, metrics_file
from vision_apps.core.config import compose
from vision_apps.core.config.overrides import rounded
from vision_apps.core.plain import Metrics
from vision_apps.core.run_folder import RunFolder
from vision_apps.sweeps import foreign
from vision_apps.sweeps.space import Space


@dataclass(frozen=True)
class Unit:
    """One run of a trial."""

    number: int
    seed: int
    fold: int | None  # none where the sweep is no cross-validation
    folder: RunFolder
    words: tuple[str, ...]  # that only this trial has

    @property
    def title(self) -> str:
        """Number and settings, as lists show it."""
        pairs = [word.lstrip("+").partition("=") for word in self.words]
        return " ".join((f"{self.number:04d}", *(f"{key}={rounded(text, 4)}" for key, _, text in pairs)))


def folder_of(sweep: Path, number: int, seed: int | None, fold: int | None) -> Path:
    """Of a run: ``trials/<number>`` of the sweep's folder; and in it ``seed-<n>``, ``fold-<n>`` or
    ``seed-<n>-fold-<n>`` where there are several."""
    parts = {"seed": seed, "fold": fold}
    own = "-".join(f"{name}-{value}" for name, value in parts.items() if value is not None)
    return sweep / "trials" / f"{number:04d}" / own


def prepare(
    unit: Unit,
    space: Space,
    sweep: Path,
    seeds: int,
    folds: int | None,
    pruning: Mapping[str, object] | None,
    trusted: Sequence[str] | None,
) -> None:
    """Write the run's folder. One that was left half written by a killed sweep is made anew.

    ``sweep``: its folder; ``seeds``, ``folds``: how many the trial has; ``pruning``: the node of the callback
    that may give the run up; ``trusted``: words of a stored sweep that were named, None of one that begins.
    """
    path = unit.folder.path
    if path.exists():
        shutil.rmtree(path)
    words = [*space.fixed, *unit.words]
    config, choices = compose.compose_with_choices(words, space.dirs)
    if trusted is not None:
        foreign.require_inside(config, words, sweep, path, trusted)
    config.run.dir = str(path)
    own = [] if space.varies_seed else [f"seed={unit.seed}"]
    if own:
        config.seed = unit.seed
    title = unit.title + (f" seed={unit.seed}" if seeds > 1 else "")
    if folds:
        config.data.folds, config.data.fold = folds, unit.fold
        own += [f"data.folds={folds}", f"data.fold={unit.fold}"]
        title += f" fold={unit.fold}"
    if pruning:
        config.callbacks.pruning = dict(pruning)
    engine.prepare(
        config,
        choices,
        title=title,
        group=sweep.name,
        trial=unit.number,
        command=[sys.executable, "-m", "vision_apps", "train", *words, *own],
    )


def values(folder: RunFolder, objectives: Sequence[str]) -> list[float]:
    """What a finished run is judged by: the monitored metric where it was best, any other validated one at
    that epoch, test figures, ``parameters``, ``seconds`` and ``peak_memory``. `KeyError` tells a metric that
    the run never logged, with those that it did."""
    metrics: Metrics = folder.read_json("metrics.json")
    seconds, memory = metrics.get("seconds"), metrics.get("peak_memory")
    cost = {"parameters": metrics.get("parameters"), "seconds": seconds, "peak_memory": memory}
    found: list[float] = []
    for name in objectives:
        if name in cost:
            value = cost[name]
        elif name == metrics["monitor"]:
            value = metrics["best"]["value"]
        else:
            value = _at_epoch(folder, name, metrics["best"]["epoch"], metrics)
        if value is None:
            known = sorted({*metrics["series"], *metrics["final"], *cost})
            raise KeyError(f"objectives: {name} was not logged; logged are: {', '.join(known)}")
        found.append(float(value))
    return found


def _at_epoch(folder: RunFolder, name: str, epoch: int | None, metrics: Metrics) -> float | None:
    logged = {row[1]: row[3] for row in metrics_file.read(folder.path / "metrics.csv") if row[2] == name}
    last = list(logged.values())[-1] if logged else metrics["final"].get(name)
    return logged.get(epoch, last) if epoch is not None else last


def progress(folder: RunFolder, metric: str) -> tuple[int, float] | None:
    """The newest epoch with a value of the metric, counted from 0, and the value; None before the first."""
    rows = [row for row in metrics_file.read(folder.path / "metrics.csv") if row[2] == metric and row[1] >= 0]
    return (rows[-1][1], rows[-1][3]) if rows else None
