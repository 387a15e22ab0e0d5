"""From places on a disk to runs that can be compared."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vision_apps.core import metrics_file, run_list, run_names
from vision_apps.core.command import command
from vision_apps.core.errors import CheckpointError, ConfigError, some
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.run_list import Listed

_NAMED = 2  # problems of a run


@dataclass
class Run(Listed):
    """A run whose files can be read."""

    config: Config
    label: str  # of all runs that are compared only this one has it

    @property
    def task(self) -> str:
        return str(self.config["task"]["name"])

    @property
    def seed(self) -> object:
        return self.config.get("seed")

    @property
    def folds(self) -> int | None:
        """How many folds the samples were cut into; none without cross-validation."""
        return (self.config.get("data") or {}).get("folds")

    @property
    def fold(self) -> int:
        """The one that the run held out; 0 without cross-validation."""
        return (self.config.get("data") or {}).get("fold") or 0

    @property
    def repeat(self) -> str:
        """What makes the run one of several with the same settings: its seed, or the fold it held out."""
        if not self.folds:
            return str(self.seed)
        return f"fold {self.fold} of {self.folds}, split_seed {self.config['data'].get('split_seed', 0)}"

    @property
    def finished(self) -> bool:
        return self.status == "finished"

    @property
    def monitor(self) -> str | None:
        """The metric that chose the best weights."""
        return self.metrics.get("monitor") or self.config["task"].get("monitor")

    @property
    def mode(self) -> str:
        """``min`` or ``max``: which values of the monitored metric are good."""
        return str(self.metrics.get("mode") or self.config["task"].get("mode") or "max")

    @property
    def best(self) -> float | None:
        """The best value of the monitored metric; of an unfinished run the best so far."""
        if self.finished:
            return super().best
        return metrics_file.best(self.folder.path / "metrics.csv", self.monitor, self.mode)

    @property
    def final(self) -> dict[str, float]:
        """The last values that were logged, among them those of the test."""
        return self.metrics.get("final") or {}

    @property
    def sweep(self) -> Path | None:
        """The folder of the sweep that the run belongs to."""
        if not self.record.get("group"):
            return None
        return next((path for path in self.folder.path.parents if (path / "sweep.json").is_file()), None)


class Gathered(NamedTuple):
    runs: list[Run]
    left_out: list[tuple[Path, str]]  # folder, and why it cannot be read


def gather(places: Sequence[str], last: int | None = None) -> Gathered:
    """The runs at and below some places, or the ``last`` so many of them, the newest first. ``places``:
    folders of runs, of sweeps, or with runs below; or checkpoints of runs. `CheckpointError` where a place
    has no run or no run can be read, `ConfigError` where the runs are of different tasks."""
    listed = {run.folder.path.resolve(): run for place in places for run in _at(place)}
    newest = sorted(listed.values(), key=lambda run: str(run.record.get("started", "")), reverse=True)[:last]
    read = [(one.folder.path, _read(one)) for one in newest]
    runs = [run for _, run in read if isinstance(run, Run)]
    left_out = [(path, reason) for path, reason in read if isinstance(reason, str)]
    if not runs:
        told = "\n  ".join(f"{path}: {reason}" for path, reason in left_out)
        raise CheckpointError(f"none of these runs can be read; name others\n  {told}")
    _require_one_task(runs)
    counts = Counter(run.label for run in runs)
    for run in runs:
        if counts[run.label] > 1:  # titles and names that two runs share become paths
            run.label = str(run.folder.path)
    return Gathered(runs, left_out)


def _at(place: str) -> list[Listed]:
    path = run_names.named(place) if run_names.is_name(place) else Path(place)
    if path.is_file():
        path = RunFolder.find(path)[0].path
    found = run_list.runs(path)
    if not found:
        what = "has no run in it" if path.is_dir() else "does not exist"
        raise CheckpointError(
            f"{place} {what}: expected a run folder (runs/<task>/<number>-<words>), a sweep "
            f"(runs/sweeps/<number>-<words>) or a folder with runs below; {command('runs')} lists them"
        )
    return found


def _read(listed: Listed) -> Run | str:
    """The run, or why it cannot be read."""
    folder = listed.folder
    if not (folder.path / "config.yaml").is_file():
        return "has no config.yaml: it was stopped while the folder was made"
    if listed.problems:
        return some(listed.problems, _NAMED, "; ")
    try:
        config = folder.read_config()
    except CheckpointError as error:
        return str(error).removeprefix(f"{folder.path}/")
    if not (config.get("task") or {}).get("name"):
        return "config.yaml names no task"
    counts = [(config.get("data") or {}).get(name) for name in ("folds", "fold")]
    if not all(count is None or type(count) is int for count in counts):
        return f"config.yaml: data.folds and data.fold are {counts}, expected whole numbers"
    return Run(folder, listed.record, listed.metrics, listed.status, listed.problems, config, listed.title)


def _require_one_task(runs: Sequence[Run]) -> None:
    tasks = Counter(run.task for run in runs)
    if len(tasks) > 1:
        of = {run.task: run.folder.path.parent for run in reversed(runs)}
        told = ", ".join(f"{count} of {task}" for task, count in tasks.most_common())
        raise ConfigError(
            f"runs of different tasks cannot be compared, and these are {told}; name the runs of one task, "
            f"as in {command('compare', of[tasks.most_common(1)[0][0]])}"
        )


def fingerprint(run: Run, split: str) -> object:
    """What ``data.json`` says of a split, the same where the samples are; None where it is unknown."""
    return run.folder.mapping("data.json").get(split)
