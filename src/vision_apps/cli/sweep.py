"""``vision-apps sweep``: from words to a search, and on with one."""

import dataclasses
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vision_apps.cli import arguments
from vision_apps.cli.output import announce
from vision_apps.core.config import options
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError, RunError

if TYPE_CHECKING:
    from vision_apps.sweeps.settings import Settings
    from vision_apps.sweeps.space import Space

_USAGE = """\
vision-apps sweep [sweep=NAME] [task=...] [key=value,value ...] [setting=value ...]
vision-apps sweep resume=FOLDER [setting=value ...]

  sweep=NAME         a space of conf/sweep
  key=a,b            try these; also as in Hydra 'key=choice(a,b)', 'range(1,9,2)', 'interval(0,1)',
                     'int(interval(1,64))', 'tag(log,interval(1e-4,1e-1))'
  key=value          what all runs have in common
  dir=FOLDER         of the sweep; by default runs/sweeps/<number>-<words>
  --config-dir DIR   a folder with more configurations

settings, which can stand in conf/sweep too
"""
_SPACE_KEYS = ("overrides", "space")
_FILE = "sweep.json"


def sweep(argv: Sequence[str]) -> None:
    words = arguments.parse(argv)
    if words.help:
        print(usage())
        return
    if words.hydra:
        raise ConfigError(f"{words.hydra[0]}: belongs to train; see vision-apps sweep --help")
    resumed = words.pop("resume")
    announce()
    if resumed is not None:
        _go_on(Path(resumed), words)
    else:
        _begin(words)


def usage() -> str:
    from vision_apps.sweeps.settings import Settings

    documented = (Settings.__doc__ or "").partition("Args:\n")[2]
    lines = [line[6:] for line in documented.splitlines()]
    dirs = options.conf_dirs()
    known = [
        f"  {name:<18} {options.description(path)}" for name, path in options.of_group("sweep", dirs).items()
    ]
    return _USAGE + "\n".join([*lines, "spaces (sweep=)", *known])


def search(words: arguments.Words) -> tuple["Settings", "Space"]:
    """How to search and where, of a command line whose ``dir=`` and ``resume=`` are taken out."""
    from vision_apps.sweeps.settings import FIELDS, settings
    from vision_apps.sweeps.space import space

    content = _chosen(words.pop("sweep"), options.conf_dirs(words.config_dirs))
    ours = [word for word in words.overrides if word.partition("=")[0].split(".")[0] in FIELDS]
    how = settings({key: value for key, value in content.items() if key not in _SPACE_KEYS}, ours)
    given = [word for word in words.overrides if word not in ours]
    searched = space([*_inherited(content, given), *given], content.get("space") or {}, words.config_dirs)
    return how.for_space(searched.combinations), searched


def _begin(words: arguments.Words) -> None:
    from vision_apps.core.config import compose
    from vision_apps.core.run_folder import new_folder

    place = words.pop("dir")
    how, searched = search(words)
    config = compose.compose([*searched.fixed, *searched.samples()[0]], words.config_dirs)
    folder = _make(Path(place)) if place else new_folder(Path(config.run.root) / "sweeps")
    record = {
        "name": folder.name,
        "started": datetime.datetime.now(datetime.UTC).isoformat(),
        "command": [sys.executable, *map(_without_password, sys.argv)],
        "task": str(config.task.name),
        "first_seed": int(config.seed),
        "objectives": dict(how.objectives or {str(config.task.monitor): str(config.task.mode)}),
        "fixed": searched.fixed,
        "space": {axis.key: axis.text for axis in searched.axes},
        "config_dirs": [str(path.absolute()) for path in words.config_dirs],
        "settings": dataclasses.asdict(dataclasses.replace(how, storage=None)),  # its URL may hold a password
    }
    try:
        _run(folder, record, storage=how.storage)
    finally:
        if not any(folder.glob("trials/*")):
            _remove(folder)


def _go_on(folder: Path, words: arguments.Words) -> None:
    from vision_apps.sweeps.settings import CHANGEABLE

    try:
        record = json.loads((folder / _FILE).read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"resume: {folder} is no sweep ({_FILE}: {error}); a sweep is a folder such as "
            "runs/sweeps/0001-lively-heron"
        ) from None
    for word in words.overrides:
        name = word.partition("=")[0].split(".")[0]
        if name not in CHANGEABLE:
            raise ConfigError(
                f"{word}: a sweep that goes on keeps its {name}{nearest(name, CHANGEABLE)}; "
                f"changed can be: {', '.join(CHANGEABLE)}. Leave resume= out to begin a new one"
            )
    from vision_apps.sweeps import study

    storage, _ = study.recalled(folder)
    _run(folder, record, storage, changes=words.overrides)


def _run(folder: Path, record: dict[str, Any], storage: str | None, changes: Sequence[str] = ()) -> None:
    from vision_apps.core import hardware
    from vision_apps.core.config import check, compose, targets
    from vision_apps.sweeps import outcome, processes
    from vision_apps.sweeps import study as studies
    from vision_apps.sweeps.controller import Sweep
    from vision_apps.sweeps.settings import settings
    from vision_apps.sweeps.space import space
    from vision_apps.sweeps.table import Shown

    how = settings(record["settings"], changes)
    searched = space(record["fixed"], record["space"], [Path(path) for path in record["config_dirs"]])
    config: Any = None
    for sample in searched.samples():
        config = compose.compose([*searched.fixed, *sample], searched.dirs)
        targets.allow(config.allow_targets)
        check.check(config)
    if how.launcher == "processes":
        hardware.require(config)
    objectives = record["objectives"]
    identity = {
        "task": record["task"],
        "space": record["space"],
        "objectives": objectives,
        "seeds": how.seeds_from(record["first_seed"]),
    }
    storage, name = storage or studies.place(folder / "study.db"), how.study or record["name"]
    opened = studies.open_study(storage, name, how, objectives, identity, record["first_seed"])
    gpus = processes.visible_gpus() if how.launcher == "processes" else []
    running = Sweep(
        folder,
        searched,
        how,
        opened,
        objectives,
        record["first_seed"],
        gpus,
        processes.devices_of(config.trainer) if gpus else 0,
    )
    studies.remember(folder, storage, name)
    (folder / _FILE).write_text(json.dumps(record | {"settings": dataclasses.asdict(how)}, indent=2) + "\n")
    done = len(studies.ended(opened.trials))
    print(
        f"sweep     {folder} · {running.count} trials, {done} ended before · {len(running.seeds)} seeds · "
        f"{running.slots} at a time\nstudy     {name} in {studies.shown(storage)}",
        flush=True,
    )
    with studies.explained(storage):
        try:
            with Shown() as shown:
                try:
                    running.run(shown)
                finally:
                    shown.close(running)
        finally:
            outcome.write(running)
    outcome.tell(running)


def _chosen(name: str | None, dirs: Sequence[Path]) -> dict[str, Any]:
    """The content of a file in ``conf/sweep``."""
    if name is None:
        return {}
    known = options.of_group("sweep", dirs)
    if name not in known:
        raise ConfigError(
            f"sweep={name}: no such sweep{nearest(name, known)}; there are: {', '.join(known) or 'none'}"
        )
    try:
        content = yaml.safe_load(known[name].read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{known[name]} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{known[name]}: expected a mapping with space: {{key: values}}")
    return content


def _inherited(content: dict[str, Any], given: Sequence[str]) -> list[str]:
    """What the file fixes and the command line does not say."""
    said = {word.partition("=")[0].lstrip("+~") for word in given}
    return [
        word for word in content.get("overrides") or [] if word.partition("=")[0].lstrip("+~") not in said
    ]


def _without_password(word: str) -> str:
    from vision_apps.sweeps.study import shown

    key, equals, value = word.partition("=")
    return f"{key}={shown(value)}" if key == "storage" and equals else word


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise RunError(
            f"dir: {folder} exists already and a sweep never overwrites another; choose another folder, or "
            f"go on with it: vision-apps sweep resume={folder}"
        ) from None
    return folder


def _remove(folder: Path) -> None:
    """A folder in which nothing began."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
