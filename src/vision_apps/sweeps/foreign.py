"""What a stored sweep may not do by itself: its folder may be anybody's, and what is submitted, written
elsewhere or fetched is named by the person at the keyboard, in the words in which it is stored."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vision_apps.core import stored
from vision_apps.core.command import command
from vision_apps.core.config.overrides import value
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder

_LOOKED_UP = re.compile(r"\$\{.*:", re.DOTALL)  # by a resolver, as of the environment


def submitting(settings: Mapping[str, Any]) -> list[str]:
    """The words that say to whom the runs are given, where that is not this machine."""
    if settings.get("launcher", "processes") == "processes":
        return []
    words = [f"launcher={settings['launcher']}"]
    return [*words, f"slurm={_written(settings['slurm'])}"] if settings.get("slurm") else words


def without_submitting(settings: Mapping[str, object], changes: Sequence[str], folder: Path) -> Config:
    """Stored settings without what only the command may say. `ConfigError` where it does not say it."""
    said = {change.partition("=")[0].split(".")[0] for change in changes}
    wanted = submitting(settings)
    here = any(change == "launcher=processes" for change in changes)
    if missing := [word for word in wanted if word.partition("=")[0] not in said and not here]:
        raise ConfigError(
            f"{missing[0].partition('=')[0]}: {folder}, as it was saved, gives its runs to a cluster, with "
            f"{' '.join(wanted)}, and may be anybody's; if you trust it, name it: "
            f"{command('sweep', f'resume={folder}', *wanted)}; or train here: launcher=processes"
        )
    return {name: known for name, known in settings.items() if name not in ("launcher", "slurm")}


def named(fixed: Sequence[str], changes: Sequence[str]) -> list[str]:
    """Those of the changes that only repeat what is stored as ``fixed``, and so trust it."""
    return [change for change in changes if change in fixed]


def needed(config: DictConfig, fixed: Sequence[str], folder: Path, run: Path) -> list[str]:
    """The words of ``fixed`` that who goes on has to repeat; ``config``: of a run, in the folder ``run``."""
    keys = stored.outside(_plain(config, run), RunFolder(folder), (), begins=True)
    to_blame = _to_blame(keys, fixed)
    return [
        word
        for word in fixed
        if word in to_blame
        or _LOOKED_UP.search(word)
        or (_key(word).startswith("data.") and _key(word).endswith("download") and value(word))
    ]


def require_inside(
    config: DictConfig, fixed: Sequence[str], folder: Path, run: Path, trusted: Collection[str]
) -> list[str]:
    """As of a run that goes on: `ConfigError` where a run of the sweep would do what its folder alone asks
    for. Nothing is fetched; returns what is to be told of that.

    Args:
        config: of the run, without downloads afterwards.
        fixed: the words of the sweep, one of which may be to blame.
        folder, run: of the sweep and of its run.
        trusted: words that were named by hand.
    """
    for word in fixed:
        if _LOOKED_UP.search(word) and word not in trusted:
            raise ConfigError(
                f"{folder}: {word}: expected a value, not one that is looked up here; if you trust it, name "
                f"it: {command('sweep', f'resume={folder}', word)}"
            )
    known = {_key(word) for word in trusted}
    plain = _plain(config, run)

    def naming(*changes: str) -> str:
        return command("sweep", f"resume={folder}", *_to_blame(stored.named(changes), fixed))

    stored.require_inside(plain, RunFolder(folder), known, begins=True, naming=naming)
    notes = stored.without_downloads(plain, known)
    if notes:
        config.data = plain["data"]
    return notes


def _to_blame(keys: Collection[str], fixed: Sequence[str]) -> list[str]:
    """Of the words those nearest to one of the keys: not ``logger=csv`` for ``logger.x.save_dir``."""
    found: list[str] = []
    for key in keys:
        words = [word for word in fixed if stored.is_named(key, [_key(word)])]
        nearest = max((len(_key(word)) for word in words), default=0)
        found += [word for word in words if len(_key(word)) == nearest]
    return list(dict.fromkeys(found))


def _plain(config: DictConfig, run: Path) -> Config:
    placed = config.copy()
    placed.run.dir = str(run)
    plain: Config = OmegaConf.to_container(placed, resolve=True)  # type: ignore[assignment]
    return plain


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _written(known: object) -> str:
    """A value in the grammar of the command line."""
    if isinstance(known, Mapping):
        return "{" + ", ".join(f"{name}: {_written(one)}" for name, one in known.items()) + "}"
    if isinstance(known, list | tuple):
        return f"[{', '.join(map(_written, known))}]"
    if isinstance(known, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", known):
        return known
    return json.dumps(known, ensure_ascii=False)
