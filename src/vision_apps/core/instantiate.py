"""From configuration to objects: the one place that calls a ``_target_``.

The vocabulary is Hydra's: ``_target_``, ``_args_``, ``_partial_``. It is spoken here and not by
``hydra.utils.instantiate`` because that copies what the engine passes (networks, parameters), hides an error in a
constructor behind its own, and knows a block-list where safety needs an allow-list.
"""

import functools
from typing import Any

from omegaconf import OmegaConf

from vision_apps.core.targets import resolve

KEYWORDS = ("_target_", "_args_", "_partial_")


def build(node: Any, **given: Any) -> Any:
    """The object that a node describes, nested nodes first; plain values, lists and dicts stay what they are.

    Args:
        node: a part of the configuration, interpolations included, or plain data.
        given: further arguments of the outermost target; they win over those in the node.
    """
    plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node
    if given and not (isinstance(plain, dict) and "_target_" in plain):
        raise TypeError(f"{', '.join(given)} given, but the node has no _target_ that could take them: {plain!r}")
    return _build(plain, given)


def _build(node: Any, given: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_build(item, {}) for item in node]
    if not isinstance(node, dict):
        return node
    arguments = {key: _build(value, {}) for key, value in node.items() if key not in KEYWORDS}
    if "_target_" not in node:
        return arguments
    target = resolve(node["_target_"])
    positional = _build(node.get("_args_", []), {})
    if node.get("_partial_", False):
        return functools.partial(target, *positional, **(arguments | given))
    return target(*positional, **(arguments | given))
