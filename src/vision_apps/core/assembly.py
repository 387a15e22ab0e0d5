"""From a configuration to objects, and from a checkpoint back to a module."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from vision_apps.core.check import accepted
from vision_apps.core.data import VisionData
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.instantiate import build
from vision_apps.core.module import VisionModule
from vision_apps.core.targets import resolve

Node = dict[str, Any]


def with_facts(node: Node, facts: Mapping[str, Any], key: str) -> Node:
    """The node, and every target below it, with the facts of the data that its signature names.

    Raises:
        ConfigError: a value in the configuration contradicts the data.
    """
    filled: Node = {}
    for name, value in node.items():
        filled[name] = with_facts(value, facts, f"{key}.{name}") if isinstance(value, dict) else value
    if "_target_" not in node:
        return filled
    for name in set(accepted(resolve(node["_target_"])).parameters) & set(facts):
        if filled.get(name) is None:
            filled[name] = facts[name]
        elif filled[name] != facts[name]:
            raise ConfigError(
                f"{key}.{name}: the configuration says {filled[name]!r}, the data says {facts[name]!r}; "
                f"leave {key}.{name} out (or null) to take it from the data"
            )
    return filled


def build_data(config: Node) -> VisionData:
    node = config["data"]
    # transforms may need facts (mixup needs the number of classes), which are known only after the data is
    # there
    data: VisionData = build({name: value for name, value in node.items() if name != "augment"})
    data.prepare_data()
    augment = with_facts(node.get("augment") or {}, data.facts, "data.augment")
    data.augment = {name: build(value) for name, value in augment.items() if value is not None}
    return data


def build_module(config: Node, facts: Mapping[str, Any], *, trainable: bool) -> VisionModule:
    """The application's module around its network; without an optimiser where it only has to predict."""
    network: nn.Module = build(with_facts(config["model"], facts, "model"))
    training = {
        name: build(config[name]) if config.get(name) else None for name in ("optimizer", "scheduler")
    }
    module: VisionModule = build(
        with_facts(config["module"], facts, "module"), network=network, **(training if trainable else {})
    )
    return module


def rebuild(checkpoint: Mapping[str, Any]) -> VisionModule:
    """The trained module from a checkpoint alone, ready to predict.

    Raises:
        CheckpointError: the checkpoint lacks its configuration, or its weights do not fit it.
    """
    try:
        config, facts = checkpoint["config"], checkpoint["facts"]
    except KeyError as missing:
        raise CheckpointError(
            f"the checkpoint has no {missing}: it was not written by a vision_apps run"
        ) from None
    config = {**config, "model": {**config["model"]}}
    if "weights" in config["model"]:
        config["model"]["weights"] = None  # the checkpoint's own weights follow; nothing is downloaded
    module = build_module(config, facts, trainable=False)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit the checkpoint's configuration: {error}") from None
    return module.eval()
