"""From run folders into a dashboard, bit by bit while the runs train.

Every run writes ``metrics.csv`` and ``images/`` whatever logger it has. Reading those shows every run, also
old and finished ones, and training neither knows of the dashboard nor waits for it.
"""

import contextlib
import hashlib
import json
import logging
import re
from pathlib import Path
from typing import NamedTuple, Protocol, TypedDict

from vision_apps.core import metrics_file
from vision_apps.core.errors import CheckpointError
from vision_apps.core.plain import Config
from vision_apps.core.run_list import Listed, runs

log = logging.getLogger(__name__)

_METRICS = "metrics.csv"
_PICTURE = re.compile(r"(?P<name>.+?)-(epoch-(?P<epoch>\d+)|best)\.png")
_END_OF_PNG = b"IEND\xaeB`\x82"


class Shown(NamedTuple):
    """A run as a dashboard names it."""

    project: str
    name: str  # no other run of the project has it
    group: str | None
    config: Config
    live: bool  # it is being trained


class Point(NamedTuple):
    """What was logged at one step."""

    step: int
    values: dict[str, float]  # by metric


class Picture(NamedTuple):
    """A file of a run's ``images/``."""

    step: int
    name: str
    caption: str
    path: Path
    drawn: int  # ns, when the file was changed


class Board(Protocol):
    """A dashboard that runs are brought into."""

    def open(self, port: int | None) -> str:
        """Start to serve it, at the first free port when none is named; returns its address. `RunError` where
        the port is in use."""

    def add(self, run: Shown, points: list[Point], pictures: list[Picture]) -> None:
        """Show more of a run; both lists are in order of steps and may be empty."""

    def forget(self, project: str, name: str) -> None:
        """Show nothing of a run any more."""

    def close(self) -> None:
        """Serve it no more."""


class _Done(TypedDict):
    """What has been brought over of a run."""

    project: str
    name: str
    rows: int  # of metrics.csv
    digest: str  # of those
    pictures: dict[str, int]  # file's name to when it was changed, ns


class Mirror:
    """Keeps a dashboard equal to the runs below ``root``.

    What has been brought over stands in ``journal``, one line per change, so that a dashboard that is started
    again goes on there. A run whose file no longer begins with what was brought over (it was resumed from an
    earlier step, or another one has taken its place) is forgotten and shown anew.
    """

    def __init__(self, root: Path, journal: Path, board: Board) -> None:
        self.root = root
        self.journal = journal
        self.board = board
        self._done = _read_journal(journal)  # run's path below root to what has been brought over
        self._told: set[str] = set()  # runs whose files cannot be read
        self._seen: dict[str, tuple[int, ...]] = {}  # to the state of its files when nothing was left to do

    def update(self) -> list[str]:
        """Bring over what is new; returns the names of the runs that were not shown before."""
        listed = {str(run.folder.path.relative_to(self.root)): run for run in runs(self.root)}
        for key in [key for key in self._done if key not in listed]:
            self._forget(key)
        new = []
        for key, run in listed.items():
            state = _state(run)
            if self._seen.get(key) == state:
                continue
            known = key in self._done
            if self._bring(key, run):
                self._seen[key] = state
            if not known and key in self._done:
                new.append(self._done[key]["name"])
        return new

    def _bring(self, key: str, run: Listed) -> bool:
        """Whether nothing of the run is left to bring over."""
        rows = metrics_file.read(run.folder.path / _METRICS)
        done = self._done.get(key)
        if done and _digest(rows[: done["rows"]]) != done["digest"]:
            self._forget(key)
            done = None
        pictures, waiting = _pictures(run, rows, done["pictures"] if done else {})
        points = _points(rows[done["rows"] if done else 0 :])
        if done and not points and not pictures:
            return not waiting
        try:
            config = run.folder.read_config()
        except CheckpointError as error:  # the run is being made, or lost its configuration
            if run.status != "running":
                self._tell(key, str(error))
            return False
        for problem in run.problems:
            self._tell(key, f"{run.folder.path}: {problem}")
        if done is None:
            project = str((config.get("task") or {}).get("name") or "unnamed")
            done = _Done(project=project, name=self._name(project, key, run), rows=0, digest="", pictures={})
        live = run.status == "running"
        shown = Shown(done["project"], done["name"], run.record.get("group"), config, live)
        self.board.add(shown, points, pictures)
        drawn = done["pictures"] | {picture.path.name: picture.drawn for picture in pictures}
        self._note(key, {**done, "rows": len(rows), "digest": _digest(rows), "pictures": drawn})
        return not waiting

    def _tell(self, key: str, problem: str) -> None:
        """Once of each run."""
        if key not in self._told:
            self._told.add(key)
            log.warning("%s", problem)

    def _name(self, project: str, key: str, run: Listed) -> str:
        """The run's title or folder; where another run has that name already, its path as well."""
        taken = {done["name"] for done in self._done.values() if done["project"] == project}
        name = _legal(run.title)
        if name in taken:
            name = _legal(f"{name} ({key})" if run.record.get("title") else key)
        return name

    def _forget(self, key: str) -> None:
        self.board.forget(self._done[key]["project"], self._done[key]["name"])
        self._seen.pop(key, None)
        self._note(key, None)

    def _note(self, key: str, done: _Done | None) -> None:
        if done is None:
            del self._done[key]
        else:
            self._done[key] = done
        with open(self.journal, "a", encoding="utf-8") as file:
            file.write(json.dumps({"run": key, "done": done}) + "\n")


def _read_journal(path: Path) -> dict[str, _Done]:
    """The last line of each run; the file is shortened to those."""
    if not path.is_file():
        return {}
    last: dict[str, _Done | None] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # cut off by a kill
            entry = json.loads(line)
            last[entry["run"]] = entry["done"]
    done = {key: value for key, value in last.items() if value is not None}
    path.write_text(
        "".join(json.dumps({"run": key, "done": value}) + "\n" for key, value in done.items()),
        encoding="utf-8",
    )
    return done


def _legal(name: str) -> str:
    """Without what a dashboard, which makes folders of names, cannot have in one."""
    return re.sub(r"[/\\\x00-\x1f]+", "-", name)


def _state(run: Listed) -> tuple[int, ...]:
    """Differs when a run has more to show."""
    state = [hash(run.status)]
    # metrics.json is written after the last picture, which may have taken the place of an older one
    for name in (_METRICS, "images", "config.yaml", "metrics.json"):
        try:
            stat = (run.folder.path / name).stat()
            state += [stat.st_size, stat.st_mtime_ns]
        except OSError:
            state += [0, 0]
    return tuple(state)


def _digest(rows: list[tuple[int, int, str, float]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _points(rows: list[tuple[int, int, str, float]]) -> list[Point]:
    points: list[Point] = []
    for step, epoch, name, value in rows:
        if not points or points[-1].step != step:
            points.append(Point(step, {"epoch": epoch}))
        points[-1].values[name] = value
    return points


def _pictures(
    run: Listed, rows: list[tuple[int, int, str, float]], brought: dict[str, int]
) -> tuple[list[Picture], bool]:
    """Pictures that were drawn since, at the step that their epoch ended with, and whether more are to come
    of what is there."""
    ends = {epoch: step for step, epoch, _, _ in rows}
    last = rows[-1][0] if rows else 0
    live, waiting = run.status == "running", False
    pictures = []
    for path in filter(Path.is_file, sorted(run.folder.images.glob("*.png"))):
        match, drawn = _PICTURE.fullmatch(path.name), path.stat().st_mtime_ns
        if match is None or brought.get(path.name) == drawn:
            continue
        epoch = None if match["epoch"] is None else int(match["epoch"])
        logged = bool(rows) if epoch is None else epoch in ends
        if not _complete(path) or (live and not logged):
            waiting |= live
            continue
        step = last if epoch is None else ends.get(epoch, last)
        caption = "best weights" if epoch is None else f"epoch {epoch + 1}"
        pictures.append(Picture(step, match["name"].replace("-", "/", 1), caption, path, drawn))
    return sorted(pictures, key=lambda picture: picture.step), waiting


def _complete(path: Path) -> bool:
    """Whether the writer of a PNG has come to its end."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - len(_END_OF_PNG)))
        return file.read() == _END_OF_PNG
