"""From configuration to objects: the one place that calls a ``_target_``.

The vocabulary is Hydra's: ``_target_``, ``_args_``, ``_partial_``. It is spoken here and not by
``hydra.utils.instantiate`` because that copies what the engine passes (networks, parameters), hides an error
in a constructor behind its own, and knows a block-list where safety needs an allow-list.
"""

import functools
import inspect
from collections.abc import Callable, Container, Sized
from contextlib import nullcontext
from typing import Any

from omegaconf import OmegaConf

from vision_apps.core.config.targets import is_users, resolve
from vision_apps.core.confined import confined
from vision_apps.core.errors import ConfigError

KEYWORDS = ("_target_", "_args_", "_partial_")
# their own errors are mistakes of ours, or explained elsewhere; those of others are of what they are given
_EXPLAINED = ("vision_apps", "pytorch_lightning", "lightning_fabric")


def build(node: Any, **given: Any) -> Any:
    """The object that a node describes, nested nodes first; plain values, lists and dicts stay what they are.
    `ConfigError` for a target that may not be named, that lacks an argument, or that is of another package
    and refuses one.

    Args:
        node: a part of the configuration, interpolations included, or plain data.
        given: further arguments of the outermost target; they win over those in the node.
    """
    plain = node
    if OmegaConf.is_config(node):
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    if given and not (isinstance(plain, dict) and "_target_" in plain):
        raise TypeError(
            f"{', '.join(given)} given, but the node has no _target_ that could take them: {plain!r}"
        )
    return _build(plain, given)


def _build(node: object, given: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_build(item, {}) for item in node]
    if not isinstance(node, dict):
        return node
    arguments = {key: _build(value, {}) for key, value in node.items() if key not in KEYWORDS}
    if "_target_" not in node:
        return arguments
    target = resolve(node["_target_"])
    positional = _build(node.get("_args_", []), {})
    arguments |= given
    if node.get("_partial_", False):
        return functools.partial(target, *positional, **arguments)
    if missing := _missing(target, positional, arguments):
        raise ConfigError(
            f"{node['_target_'].rsplit('.', 1)[1]} needs {', '.join(missing)}: not in the configuration, "
            "and not among the facts of the data"
        )
    own = is_users(node["_target_"], target)
    try:
        with confined(really=False) if own else nullcontext():
            return target(*positional, **arguments)
    except (ValueError, TypeError, AssertionError, RuntimeError) as error:
        if target.__module__.partition(".")[0] in _EXPLAINED:
            raise
        said = {name: value for name, value in node.items() if name not in KEYWORDS}
        shown = ", ".join(f"{name}={value}" for name, value in said.items() if not isinstance(value, dict))
        raise ConfigError(
            f"{node['_target_']}{f' with {shown}' if shown else ''}: {' '.join(str(error).split())}"
        ) from error


def _missing(target: Callable[..., object], positional: Sized, arguments: Container[str]) -> list[str]:
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:  # written in C without a signature
        return []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [p.name for p in named[len(positional) :] if p.default is p.empty and p.name not in arguments]
