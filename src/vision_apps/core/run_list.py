"""The runs below a folder, cheaply: a thousand of them are listed without parsing one configuration."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vision_apps.core.plain import Best, Metrics, Record
from vision_apps.core.run_folder import RunFolder


@dataclass
class Listed:
    """A run as its small files tell."""

    folder: RunFolder
    record: Record
    metrics: Metrics  # empty until the run has finished
    status: str
    problems: list[str]  # of what its files say and should not

    @property
    def title(self) -> str:
        """What differs within its sweep, else the folder's name."""
        return str(self.record.get("title") or self.folder.name)

    @property
    def best(self) -> float | None:
        """The best value of the monitored metric; None until the run has finished."""
        best: Best | None = self.metrics.get("best")
        return best.get("value") if best else None


def runs(root: Path) -> list[Listed]:
    """Every run at or below ``root`` once, whatever links lead to it, the newest first."""
    found = [_listed(RunFolder(path)) for path in _folders(root)]
    return sorted(found, key=lambda run: str(run.record.get("started", "")), reverse=True)


def _folders(root: Path) -> Iterator[Path]:
    """Run folders, also half-written ones; what is inside of one is not looked through. A folder comes before
    the links to it."""
    seen: set[str] = set()
    waiting = [root]  # no recursion: a stranger's folders may be nested as deep as a path is long
    while waiting:
        folder = waiting.pop()
        place = os.path.realpath(folder)
        if place in seen:
            continue
        seen.add(place)
        try:
            entries = {entry.name: entry for entry in os.scandir(folder)}
        except OSError:
            continue
        if "run.json" in entries or "config.yaml" in entries:
            yield folder
            continue
        names = sorted(entries, key=lambda name: (entries[name].is_symlink(), name), reverse=True)
        waiting += [folder / name for name in names if not name.startswith(".") and _is_folder(entries[name])]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _listed(folder: RunFolder) -> Listed:
    return Listed(folder, folder.record, folder.metrics, folder.status, folder.problems)
