"""A sweep from its words to its last line: begun, or gone on with after it was stopped."""

import dataclasses
import datetime
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from vision_apps.core import hardware, side_files, storages
from vision_apps.core.config import check, compose, targets
from vision_apps.core.config.allowing import CONFIGURED, allow_targets
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.neutral import visible
from vision_apps.core.plain_files import refuse_links, write_whole
from vision_apps.core.run_folder import new_folder
from vision_apps.sweeps import foreign, outcome, processes, settings, space, studies, trial
from vision_apps.sweeps.controller import Sweep
from vision_apps.sweeps.settings import CHANGEABLE, Settings
from vision_apps.sweeps.space import Space
from vision_apps.sweeps.table import follow

_FILE = "sweep.json"


class Record(TypedDict):
    """``sweep.json``: what it takes to go on."""

    name: str
    started: str  # ISO 8601, UTC
    command: list[str]
    task: str
    first_seed: int
    objectives: dict[str, str]  # metric to min or max
    fixed: list[str]
    space: dict[str, str]  # key to values, as they were written
    config_dirs: list[str]
    settings: dict[str, object]


def begin(chosen: Settings, searched: Space, place: str | None) -> Sweep:
    """Search from the start, in the folder ``place``, by default ``<run.root>/sweeps/<number>-<words>``.
    `ConfigError` where a configuration of the space or a setting does not fit, `RunError` where the folder
    exists already."""
    config = compose.compose([*searched.fixed, *searched.samples()[0]], searched.dirs)
    folder = _make(Path(place)) if place else new_folder(Path(config.run.root) / "sweeps")
    record = Record(
        name=folder.name,
        started=datetime.datetime.now(datetime.UTC).isoformat(),
        command=[sys.executable, *map(_without_password, sys.argv)],
        task=str(config.task.name),
        first_seed=int(config.seed),
        objectives=dict(chosen.objectives or {str(config.task.monitor): str(config.task.mode)}),
        fixed=searched.fixed,
        space={axis.key: axis.text for axis in searched.axes},
        config_dirs=[str(path.absolute()) for path in searched.dirs],
        settings=dataclasses.asdict(dataclasses.replace(chosen, storage=None)),  # may hold a password
    )
    try:
        return _run(folder, record, storage=chosen.storage)
    finally:
        if not any(folder.glob("trials/*")):  # nothing began
            shutil.rmtree(folder, ignore_errors=True)


def go_on(folder: Path, changes: Sequence[str]) -> Sweep:
    """Search on in the folder of a sweep that was stopped or killed; ``changes`` are ``setting=value``,
    ``allow_targets=[PACKAGE]``, for which the folder's own word is not taken, and what of the folder's words
    is trusted (`foreign`). `ConfigError` where a setting cannot be changed, `RunError` where the folder is no
    sweep's."""
    changes = allow_targets(changes)
    refuse_links(folder)
    try:
        record: Record = side_files.read_json(folder / _FILE)
    except (OSError, ValueError) as error:
        raise RunError(
            f"resume: {folder} is no sweep ({_FILE}: {error}); a sweep is a folder such as "
            "runs/sweeps/0001-lively-heron"
        ) from None
    trusted = foreign.named(record["fixed"], changes)
    changes = [word for word in changes if word not in trusted]
    for word in changes:
        name = word.partition("=")[0].split(".")[0]
        if name not in CHANGEABLE:
            raise ConfigError(
                f"{word}: a sweep that goes on keeps its {name}{nearest(name, CHANGEABLE)}; "
                f"changed can be: {', '.join(CHANGEABLE)}. Leave resume= out to begin a new one"
            )
    record["settings"] = foreign.without_submitting(record["settings"], changes, folder)
    storage = settings.read({**record["settings"], "storage": None}, changes).storage
    return _run(folder, record, storage or studies.recalled(folder), changes, trusted)


def _run(
    folder: Path,
    record: Record,
    storage: str | None,
    changes: Sequence[str] = (),
    trusted: Sequence[str] | None = None,
) -> Sweep:
    """``trusted``: of a stored sweep, the words of it that were named by hand; None of one that begins."""
    chosen = settings.read(record["settings"], changes)
    dirs = [Path(path) for path in record["config_dirs"]]
    searched = space.parse(record["fixed"], record["space"], dirs, chosen.several)
    if searched.varies_seed and chosen.seeds != 1:
        raise ConfigError(
            f"seeds: {chosen.seeds} are asked for each trial, and seed itself varies; leave one of them out: "
            "runs of one trial are averaged (seeds=3), trials are compared (seed=0,1,2)"
        )
    if chosen.folds and (word := searched.of_folds()):
        raise ConfigError(
            f"{word}: folds={chosen.folds} cuts the samples and trains all folds; leave one out"
        )
    needed: list[str] = []  # by who goes on
    notes: dict[str, None] = {}
    run = trial.folder_of(folder, 0, None, None)
    for sample in searched.samples():
        config = compose.compose([*searched.fixed, *sample], searched.dirs)
        if chosen.folds:
            config.data.folds, config.data.fold = chosen.folds, 0
        who = CONFIGURED if trusted is None else f"{folder}, as it was saved,"
        targets.require_allowed(config.allow_targets, who)
        check.check(config)
        needed += foreign.needed(config, searched.fixed, folder, run)
        if trusted is not None:
            notes |= dict.fromkeys(
                foreign.require_inside(config, [*searched.fixed, *sample], folder, run, trusted)
            )
    if chosen.launcher == "processes":
        hardware.require(config)
    objectives, first_seed = record["objectives"], record["first_seed"]
    seeds = chosen.seeds_from(first_seed)
    identity: dict[str, object] = {"task": record["task"], "space": record["space"], "objectives": objectives}
    identity |= {"seeds": seeds, "folds": chosen.folds}
    storage, name = storage or studies.place(folder / "study.db"), chosen.study or record["name"]
    study = studies.open_study(storage, name, chosen, objectives, identity, first_seed)
    gpus = processes.visible_gpus() if chosen.launcher == "processes" else []
    per_trial = processes.devices_of(config.trainer) if gpus else 0
    sweep = Sweep(folder, searched, chosen, study, objectives, first_seed, gpus, per_trial, trusted)
    sweep.needed = list(dict.fromkeys(needed))
    for note in notes:
        print(note.partition(";")[0])
    studies.remember(folder, storage, name)
    record["settings"] = dataclasses.asdict(dataclasses.replace(chosen, storage=None))
    write_whole(folder / _FILE, json.dumps(record, indent=2) + "\n")
    done = len(studies.ended(study.trials))
    print(
        f"sweep     {visible(folder, kept='')} · {sweep.count} trials, {done} ended before · "
        f"{sweep.of_each} · {sweep.slots} at a time\n"
        f"study     {visible(f'{name} in {storages.shown(storage)}', kept='')}",
        flush=True,
    )
    with studies.explained(storage), studies.named(storage):
        try:
            follow(sweep)
        finally:
            outcome.write(sweep)
    outcome.tell(sweep)
    return sweep


def _without_password(word: str) -> str:
    key, equals, value = word.partition("=")
    return f"{key}={storages.shown(value)}" if key == "storage" and equals else word


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise RunError(
            f"dir: {folder} exists already and a sweep never overwrites another; choose another folder, or "
            f"go on with it: vision-apps sweep resume={folder}"
        ) from None
    return folder
