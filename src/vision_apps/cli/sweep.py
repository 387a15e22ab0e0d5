"""``vision-apps sweep``: from words to a search, and on with one."""

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from vision_apps.cli import arguments, help
from vision_apps.cli.compare import WIDTH
from vision_apps.cli.output import announce
from vision_apps.core.config import options
from vision_apps.core.config.allowing import allow_targets
from vision_apps.core.config.suggest import instead_of
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

if TYPE_CHECKING:
    from vision_apps.sweeps.controller import Sweep
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
        from vision_apps.sweeps import search

        _tell_folds(search.go_on(Path(resumed), words.overrides))
        return
    place = words.pop("dir")
    allow_targets(words.overrides)
    chosen, searched = settings_and_space(words)  # a wrong word is told before torch is imported
    from vision_apps.sweeps import search

    _tell_folds(search.begin(chosen, searched, place))


def _tell_folds(swept: "Sweep") -> None:
    """What cross-validation is for: the test figures, every sample measured once."""
    if not swept.folds or not any(known.is_file() for known in swept.folder.rglob("metrics.json")):
        return
    from vision_apps.compare import comparison, reading, tables

    found = comparison.compare(reading.gather([str(swept.folder)]))
    print("\n" + tables.text(found, shutil.get_terminal_size((WIDTH, 0)).columns), flush=True)


def usage() -> str:
    """Words, settings and what there is in ``conf/sweep``."""
    from vision_apps.sweeps import settings

    lines = []
    for name, text in settings.documented().items():
        lines += textwrap.wrap(f"  {name}: {text}", help.WIDTH, subsequent_indent=" " * 6)
    spaces = options.of_group("sweep").items()
    known = [line for name, path in spaces for line in help.entry(f"  {name:<18} ", path)]
    return _USAGE + "\n".join([*lines, "", "spaces (sweep=)", *known])


def settings_and_space(words: arguments.Words) -> tuple["Settings", "Space"]:
    """How to search and where, of a command line whose ``dir=`` and ``resume=`` are taken out; `ConfigError`
    where a word is neither a setting nor an override, or the space is empty."""
    from vision_apps.sweeps import settings, space

    content = _chosen(words.pop("sweep"), options.conf_dirs(words.config_dirs))
    ours = [word for word in words.overrides if word.partition("=")[0].split(".")[0] in settings.FIELDS]
    chosen = settings.read({key: value for key, value in content.items() if key not in _SPACE_KEYS}, ours)
    given = [word for word in words.overrides if word not in ours]
    said = {_key(word) for word in given}
    fixed = [word for word in content.get("overrides") or [] if _key(word) not in said]
    searched = space.parse([*fixed, *given], content.get("space") or {}, words.config_dirs, chosen.several)
    return chosen.for_space(searched.combinations), searched


def _chosen(name: str | None, dirs: Sequence[Path]) -> Config:
    """The content of a file in ``conf/sweep``."""
    if name is None:
        return {}
    known = options.of_group("sweep", dirs)
    if name not in known:
        raise ConfigError(f"sweep={name}: no such sweep{instead_of(name, known)}")
    try:
        content = yaml.safe_load(known[name].read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{known[name]} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{known[name]}: expected a mapping with space: {{key: values}}")
    return content


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
