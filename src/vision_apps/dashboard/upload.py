"""``vision-apps sync``: W&B runs that were logged offline, uploaded later."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.neutral import visible
from vision_apps.core.run_list import Listed, runs

_LAST_LINES = 3  # of what W&B said, beside a failure


class Waiting(NamedTuple):
    """A run with files that W&B does not have."""

    run: Listed
    files: list[Path]  # in the order in which they were written: a resumed run has one per start


def upload(places: list[Path], dry_run: bool) -> None:
    """Upload every offline W&B run below ``places``, one after the other; a failure does not stop the others.
    `ConfigError` where a place does not exist or there is no key, `RunError` with those that could not be
    uploaded."""
    waiting, training = find(places)
    for entry in waiting:
        print(f"upload    {visible(entry.run.folder.path, kept='')}")
    for run in training:
        print(f"later     {visible(run.folder.path, kept='')}: it is still being trained")
    if not waiting:
        print("nothing to upload: no offline W&B run is left")
        return
    if dry_run:
        print(f"{len(waiting)} would be uploaded; leave --dry-run out to do it")
        return
    from vision_apps.core.wandb_logger import has_key, server

    host, _ = server()
    if not has_key(host):  # `wandb sync` would ask for one, or give up with status 0
        raise ConfigError(
            f"no API key for {host}: set WANDB_API_KEY or run `wandb login`; "
            "`vision-apps sync --dry-run` only lists"
        )
    failures = {}
    for number, entry in enumerate(waiting, 1):
        print(f"[{number}/{len(waiting)}] {visible(entry.run.folder.path, kept='')}", flush=True)
        problem = _upload(entry)
        if problem:
            failures[entry.run.folder.path] = problem
            print(f"      failed: {visible(problem)}", flush=True)
    done = len(waiting) - len(failures)
    if failures:
        listed = "\n".join(f"  {path}: {problem}" for path, problem in failures.items())
        after = f"{done} uploaded; try the others again with the same command"
        raise RunError(f"{len(failures)} could not be uploaded:\n{listed}\n{after}")
    print(f"{done} uploaded")


def find(places: list[Path]) -> tuple[list[Waiting], list[Listed]]:
    """Runs with offline files that W&B does not have, oldest first, and those of them that still train: what
    they log after an upload would stay here."""
    found: dict[Path, Listed] = {}
    for place in places:
        if not place.is_dir():
            raise ConfigError(
                f"{place}: no such folder; name a run or a folder with runs, as in: vision-apps sync runs"
            )
        found |= {run.folder.path.resolve(): run for run in runs(place)}
    waiting, training = [], []
    for run in sorted(found.values(), key=lambda run: str(run.record.get("started", ""))):
        files = sorted(run.folder.path.glob("wandb/offline-run-*/*.wandb"))
        files = [file for file in files if not _mark(file).exists()]
        if files and run.status == "running":
            training.append(run)
        elif files:
            waiting.append(Waiting(run, files))
    return waiting, training


def _mark(file: Path) -> Path:
    """What ``wandb sync`` leaves beside a file that it has uploaded."""
    return file.with_suffix(".wandb.synced")


def _upload(entry: Waiting) -> str:
    """Why it failed, or nothing. Project, entity, group and id stand in the files themselves; those of one
    run go together, so that W&B takes them in order."""
    folders = [str(file.parent) for file in entry.files]
    # -P: a run's folder has a folder named wandb, which must not be taken for the package
    result = subprocess.run(
        [sys.executable, "-P", "-m", "wandb", "sync", *folders],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    # its status is 0 also where the server refused
    if result.returncode == 0 and all(_mark(file).exists() for file in entry.files):
        return ""
    said = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    return "; ".join(said[-_LAST_LINES:]) or f"wandb sync ended with status {result.returncode}"
