"""What a stored configuration may not do by itself: a run's folder may be anybody's, and what is written or
fetched anywhere else is named by the person at the keyboard."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder

_WRITERS = ("callbacks", "logger", "trainer")
_BUILT = (*_WRITERS, "model", "module", "data", "optimizer", "scheduler")
_PLACE = re.compile(r"(dir|dirpath|path|folder|root|cache|uri|_args_)$")
_NAME = re.compile(r"(name|version|prefix)$")  # in a place: a way up leads out of that
_HUB = re.compile(r"hf[-_]hub:|local-dir:", re.IGNORECASE)
_ADDRESS = re.compile(r"://|^file:", re.IGNORECASE)
# of a network: where it is fetched from and kept
_OF_WEIGHTS = re.compile(r"(pretrained_cfg\w*|hf_hub_\w+|checkpoint_path)$")
_OF_ADDRESS = re.compile(r"(cache_dir|url)$")
_IN_PRETRAINED = re.compile(r"\bpretrained_cfg\w*\.")
_SOURCES = ("url", "file", "source", "state_dict", "custom_load")  # of timm's `PretrainedCfg`
_FILE = re.compile(r"^[~./\\]|[/\\]|\.(pth?|tar|bin|ckpt|safetensors|npz)$")


def named(changes: Sequence[str]) -> set[str]:
    """The keys of ``key=value`` words."""
    return {change.partition("=")[0] for change in changes}


def moved(config: Config, before: str, now: str) -> None:
    """Let places in the folder that a run had be those in the one where it lies now."""
    for node, name, *_ in _leaves(config, ""):
        value = node[name]
        if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
            node[name] = now + value[len(before) :]


def require_inside(
    config: Config,
    folder: RunFolder,
    known: Collection[str],
    begins: bool = False,
    naming: Callable[..., str] | None = None,
) -> None:
    """`ConfigError` where `outside` finds something, or a value would be looked up in the environment.

    Args:
        known: keys that were named by hand.
        begins: as of `outside`.
        naming: the command that names ``key=value`` words; by default that which goes on with the run.
    """
    naming = naming or folder.going_on
    for node, name, key, _ in _leaves(config, ""):
        if not is_named(key, known) and "${" in str(node[name]):  # a secret would go to loggers
            raise ConfigError(
                f"{folder.path}: {key}: {str(node[name])[:200]!r}; expected a value, not one that is looked "
                f"up here; name it: {naming(f'{key}=VALUE')}"
            )
    if problems := outside(config, folder, known, begins):
        told = "\n  ".join(f"{key}: {text[:200]!r}" for key, text in problems.items())
        words = [f"{key}={text}" for key, text in problems.items()]
        raise ConfigError(
            f"{folder.path} may be anybody's, and its configuration names places outside of it:\n  {told}\n"
            f"if you trust them, name them: {naming(*words)}"
        )


def outside(
    config: Config, folder: RunFolder, known: Collection[str], begins: bool = False
) -> dict[str, str]:
    """Key to value where a callback, a logger or the trainer would write outside of the folder, or a network
    be fetched from an address of its own; ``begins``: or begin with weights of a file, as nothing was
    trained yet."""
    home = os.path.realpath(folder.path)
    found = {}
    for node, name, key, whole in _leaves(config, ""):
        group, value = key.partition(".")[0], node[name]
        if value is None or value is True or value is False or is_named(key, known):
            continue
        said = name if isinstance(name, str) else key.rpartition(".")[2]
        text = str(value)
        if (
            _is_fetched(group, key, said, text)
            or (group in _WRITERS and _leads_out(said, text, home))
            or (begins and group == "model" and isinstance(value, str) and _is_file(said, text))
        ):
            found[key] = str(whole)
    return found


def is_named(key: str, known: Collection[str]) -> bool:
    """Whether a key, or what it is a part of, is among those that are ``known``."""
    parts = key.split(".")
    return any(".".join(parts[: n + 1]) in known for n in range(len(parts)))


def without_downloads(config: Config, known: Collection[str]) -> list[str]:
    """Let nothing be fetched that only the configuration asks for; returns what is to be told of it."""
    notes = []
    for node, name, key, _ in _leaves({"data": config.get("data") or {}}, ""):
        if name == "download" and node[name] and not is_named(key, known):
            node[name] = False
            notes.append(f"{key}: as it is stored it is not heeded; to fetch what is missing add {key}=true")
    return notes


def _is_fetched(group: str, key: str, name: str, text: str) -> bool:
    text = re.sub(r"[\x00-\x20]", "", text)  # which readers of addresses overlook
    if group not in _BUILT:
        return False
    if _HUB.search(text) or _OF_WEIGHTS.search(name) or (_IN_PRETRAINED.search(key) and name in _SOURCES):
        return True
    reads = group == "data" and not key.startswith("data.augment.")  # from wherever it is told
    return not reads and bool(_ADDRESS.search(text) or (group == "model" and _OF_ADDRESS.search(name)))


def _is_file(name: str, text: str) -> bool:
    return bool(_FILE.search(text)) or (name.endswith("weights") and os.path.exists(text))


def _leads_out(name: str, text: str, home: str) -> bool:
    up = ".." in Path(text).parts
    if up and _NAME.search(name):
        return True
    if not (up or text.startswith(("/", "~")) or _PLACE.search(name)):
        return False
    return not _is_below(os.path.realpath(Path(text).expanduser()), home)


def _is_below(place: str, home: str) -> bool:
    return os.path.commonpath([place, home]) == home


def _leaves(node: Any, prefix: str, whole: Any = None) -> Iterator[tuple[Any, Any, str, Any]]:
    """Each value that is neither a mapping nor a list, as what it is in, its name or number there, and the
    dotted key by which it can be changed with the value of that: a list can only be changed as a whole."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name == "_target_":
            continue
        key = prefix if whole is not None else f"{prefix}{name}"
        if isinstance(value, list) and value:
            yield from _leaves(value, key, value if whole is None else whole)
        elif isinstance(value, dict) and value:
            yield from _leaves(value, key if whole is not None else f"{key}.", whole)
        else:
            yield node, name, key, value if whole is None else whole
