"""The runs below a folder, cheaply: a thousand of them are listed without parsing one configuration."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vision_apps.core.run_folder import RunFolder


class Listed(NamedTuple):
    """A run as its small files tell."""

    folder: RunFolder
    record: dict[str, Any]  # run.json
    metrics: dict[str, Any]  # metrics.json, empty until the run has finished
    status: str

    @property
    def title(self) -> str:
        """What differs within its sweep, else the folder's name."""
        return str(self.record.get("title") or self.folder.name)


def runs(root: Path) -> list[Listed]:
    """Every run at or below ``root``, the newest first."""
    found = [_listed(RunFolder(path)) for path in _folders(root)]
    return sorted(found, key=lambda run: str(run.record.get("started", "")), reverse=True)


def _folders(root: Path) -> Iterator[Path]:
    """Run folders, also half-written ones; what is inside of one is not looked through."""
    try:
        entries = {entry.name: entry for entry in os.scandir(root)}
    except OSError:
        return
    if "run.json" in entries or "config.yaml" in entries:
        yield root
        return
    for name in sorted(entries):
        if not name.startswith(".") and entries[name].is_dir():
            yield from _folders(root / name)


def _listed(folder: RunFolder) -> Listed:
    record = folder.record
    if "started" not in record:  # of a version that kept less
        record = {"started": _json(folder, "environment.json").get("started", ""), **record}
    return Listed(folder, record, _json(folder, "metrics.json"), folder.status)


def _json(folder: RunFolder, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder.path / name).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
