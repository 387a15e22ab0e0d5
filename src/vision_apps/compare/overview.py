"""``vision-apps runs``: the runs below a folder, the newest first."""

import contextlib
import datetime
import operator
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from vision_apps.compare.settings import MISSING
from vision_apps.compare.tables import aligned, number
from vision_apps.core import metrics_file, run_list
from vision_apps.core.config.suggest import instead_of, nearest
from vision_apps.core.errors import CheckpointError, ConfigError, some
from vision_apps.core.neutral import csv_text
from vision_apps.core.plain import Config
from vision_apps.core.run_list import Listed

KEYS = ("task", "model", "data", "status", "group", "seed", "fold")
STATUSES = ("finished", "running", "stopped", "pruned", "failed")
_TITLES = ("run", "started", "status", "task", "model", "data", "seed", "monitor", "best", "seconds")
_NAMED = 2  # problems of a run
_COMPARISON = re.compile(r"([^<>=!]+)(<=|>=|==|!=|<|>)(.*)")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Line(NamedTuple):
    """A run as the list shows it."""

    listed: Listed
    told: dict[str, str]  # by `KEYS`; `MISSING` where the run does not tell
    monitor: str | None
    best: float | None

    @property
    def seconds(self) -> float | None:
        return self.listed.metrics.get("seconds")

    def metric(self, name: str) -> float | None:
        """Of the monitored metric the best value, of others the last."""
        if name == self.monitor:
            return self.best
        return (self.listed.metrics.get("final") or {}).get(name)


def is_filter(word: str) -> bool:
    """A filter, and no folder."""
    return bool(re.search(r"[<>=]", word)) and not Path(word).exists()


def overview(folder: str, filters: Sequence[str], last: int | None = None) -> list[Line]:
    """The runs that pass all filters, the newest first; `CheckpointError` where there is no run below the
    folder, `ConfigError` where a filter asks for what no run has."""
    found = run_list.runs(Path(folder))
    if not found:
        what = "has no run below it" if Path(folder).is_dir() else "does not exist"
        raise CheckpointError(f"{folder} {what}; a run makes its folder in runs/, or where run.root says")
    lines = [_line(listed) for listed in found]
    for word in filters:
        lines = _filtered(lines, word)
    return [_with_progress(line) for line in lines[:last]]


def _line(listed: Listed) -> Line:
    known: dict[str, object] = {**(listed.record.get("choices") or {}), "status": listed.status}
    known |= {name: listed.record.get(name) for name in ("group", "seed", "fold")}
    told = {key: MISSING if known.get(key) is None else str(known[key]) for key in KEYS}
    return Line(listed, told, listed.metrics.get("monitor"), listed.best)


def _with_progress(line: Line) -> Line:
    """A run that has not finished tells the best value that it reached."""
    if line.listed.metrics:
        return line
    config: Config = {}
    with contextlib.suppress(CheckpointError):  # it is being made
        config = line.listed.folder.read_config()
    task = config.get("task") or {}
    monitor = None if task.get("monitor") is None else str(task["monitor"])
    best = metrics_file.best(line.listed.folder.path / "metrics.csv", monitor, str(task.get("mode")))
    return line._replace(monitor=monitor, best=best)


def _filtered(lines: Sequence[Line], word: str) -> list[Line]:
    key, equals, text = word.partition("=")
    if equals and key in KEYS:
        return [line for line in lines if _is_one_of(line, key, text.split(","))]
    match = _COMPARISON.fullmatch(word)
    if match is None:
        raise ConfigError(
            f"{word}: no such filter{nearest(key, KEYS)}; there are "
            f"{', '.join(f'{name}=' for name in KEYS)}, and metrics with <, <=, >, >=, == or != and a "
            "number, as in 'test/accuracy>0.9'"
        )
    name, sign, text = match.groups()
    try:
        bound = float(text)
    except ValueError:
        raise ConfigError(f"{word}: expected a number after {sign}, as in '{name}{sign}0.5'") from None
    values = [line.metric(name) for line in lines]
    if lines and all(value is None for value in values):
        finals = [line.listed.metrics.get("final") or {} for line in lines]
        known = set().union(*finals, (line.monitor for line in lines if line.monitor))
        raise ConfigError(
            f"{word}: none of these runs has a metric {name}{nearest(name, known)}; they have "
            f"{', '.join(sorted(known)) or 'none, because none has finished'}"
        )
    pairs, holds = zip(lines, values, strict=True), _OPERATORS[sign]
    return [line for line, value in pairs if value is not None and holds(value, bound)]


def _is_one_of(line: Line, key: str, wanted: Sequence[str]) -> bool:
    for text in wanted if key == "status" else ():
        if text not in STATUSES:
            raise ConfigError(f"status={text}: no such status{instead_of(text, STATUSES)}")
    known = line.told[key]
    # model=unet where the task is known, as when training
    short = known.removeprefix(f"{line.told['task']}_")
    return known in wanted or (key in ("model", "data") and short in wanted)


def _cells(line: Line) -> list[str]:
    started = str(line.listed.record.get("started", ""))
    with_zone = datetime.datetime.fromisoformat(started).astimezone() if started else None
    begun = f"{with_zone:%Y-%m-%d %H:%M}" if with_zone else MISSING
    own = [line.told[name] for name in ("status", "task", "model", "data", "seed")]
    seconds = MISSING if line.seconds is None else f"{line.seconds:.0f}"
    monitored = line.monitor or MISSING, number(line.best)
    return [str(line.listed.folder.path), begun, *own, *monitored, seconds]


def to_text(lines: Sequence[Line]) -> str:
    """Aligned columns, and how many runs there are."""
    return f"{aligned([list(_TITLES), *map(_cells, lines)])}\nruns: {len(lines)}\n"


def problems(lines: Sequence[Line]) -> list[str]:
    """A line for each run of which not all can be read."""
    bad = [line.listed for line in lines if line.listed.problems]
    return [f"{run.folder.path}: {some(run.problems, _NAMED, '; ')}" for run in bad]


def to_csv(lines: Sequence[Line]) -> str:
    """A line per run, numbers in full precision, ``started`` in UTC."""
    rows = [
        {name: text.replace(MISSING, "") for name, text in line.told.items()}
        | {name: getattr(line, name) for name in ("monitor", "best", "seconds")}
        | {"run": line.listed.folder.path, "started": line.listed.record.get("started")}
        for line in lines
    ]
    return csv_text((*_TITLES, "group", "fold"), rows)
