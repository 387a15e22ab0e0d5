"""What a stored configuration may not do by itself: a run's folder may be anybody's, and what is written or
fetched anywhere else is named by the person at the keyboard."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder

_WRITERS = ("callbacks", "logger", "trainer")
_PLACE = re.compile(r"(dir|dirpath|path|folder|root|cache)$")
_FETCHED = re.compile(r"://|^hf[-_]hub:|^local-dir:")
_OF_WEIGHTS = re.compile(
    r"(cache_dir|url|pretrained_cfg\w*)$"
)  # of a network: where it is fetched from and kept


def named(changes: Sequence[str]) -> set[str]:
    """The keys of ``key=value`` words."""
    return {change.partition("=")[0] for change in changes}


def moved(config: Config, before: str, now: str) -> None:
    """Let places in the folder that a run had be those in the one where it lies now."""
    for node, name, _ in _leaves(config, ""):
        value = node[name]
        if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
            node[name] = now + value[len(before) :]


def require_inside(config: Config, folder: RunFolder, known: Collection[str]) -> None:
    """`ConfigError` where a callback, a logger or the trainer would write outside of the run's folder, or the
    network be fetched from an address of its own, or a value be looked up in the environment; ``known``: keys
    that were named by hand."""
    home = os.path.realpath(folder.path)
    problems = []
    for node, name, key in _leaves(config, ""):
        group, value = key.partition(".")[0], node[name]
        if key not in known and "${" in str(value):  # a secret of the environment would go to loggers
            raise ConfigError(
                f"{folder.path}: {key}: {str(value)[:200]!r}; expected a value, not one that is looked up "
                f"here; name it: {folder.going_on(f'{key}=VALUE')}"
            )
        if key in known or value is None or value is True or value is False:
            continue
        text = str(value)
        if group in _WRITERS and _is_place(name, text):
            inside = not _FETCHED.search(text) and _is_below(os.path.realpath(Path(text).expanduser()), home)
        else:
            inside = group != "model" or not (_OF_WEIGHTS.search(name) or _FETCHED.search(text))
        if not inside:
            problems.append((key, text))
    if problems:
        told = "\n  ".join(f"{key}: {text[:200]!r}" for key, text in problems)
        words = [f"{key}={text}" for key, text in problems]
        raise ConfigError(
            f"{folder.path} may be anybody's, and its configuration names places outside of it:\n  {told}\n"
            f"if you trust them, name them: {folder.going_on(*words)}"
        )


def without_downloads(config: Config, known: Collection[str]) -> list[str]:
    """Let nothing be fetched that only the configuration asks for; returns what is to be told of it."""
    notes = []
    for node, name, key in _leaves({"data": config.get("data") or {}}, ""):
        if name == "download" and node[name] and key not in known:
            node[name] = False
            notes.append(f"{key}: as it is stored it is not heeded; to fetch what is missing add {key}=true")
    return notes


def _is_place(name: str, text: str) -> bool:
    elsewhere = text.startswith(("/", "~")) or ".." in Path(text).parts or _FETCHED.search(text)
    return bool(elsewhere or _PLACE.search(name))


def _is_below(place: str, home: str) -> bool:
    return os.path.commonpath([place, home]) == home


def _leaves(node: Config, prefix: str) -> Iterator[tuple[Config, str, str]]:
    """Each value that is no mapping, as the mapping that it is in, its name there and its dotted key."""
    for name, value in node.items():
        if name == "_target_":
            continue
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield node, name, f"{prefix}{name}"
