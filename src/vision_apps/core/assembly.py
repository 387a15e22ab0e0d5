"""From a configuration to objects, and from a checkpoint back to a module."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from vision_apps.core.config.check import accepted
from vision_apps.core.config.instantiate import build
from vision_apps.core.config.targets import resolve, resolve_network
from vision_apps.core.data import Split, VisionData
from vision_apps.core.errors import CheckpointError, ConfigError, UserError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.module import VisionModule
from vision_apps.core.plain import Config
from vision_apps.core.seeding import seed_everything


def with_facts(node: Config, facts: Mapping[str, Any], key: str) -> Config:
    """The node, and every target below it, with the facts of the data that its signature names; `ConfigError`
    where a value in the configuration contradicts the data."""
    filled: Config = {}
    for name, value in node.items():
        filled[name] = with_facts(value, facts, f"{key}.{name}") if isinstance(value, dict) else value
    if "_target_" not in node:
        return filled
    for name in set(accepted(resolve(node["_target_"])).parameters) & set(facts):
        if filled.get(name) is None:
            filled[name] = facts[name]
        elif _listed(filled[name]) != _listed(facts[name]):
            raise ConfigError(
                f"{key}.{name}: the configuration says {filled[name]!r}, the data says {facts[name]!r}; "
                f"leave {key}.{name} out (or null) to take it from the data"
            )
    return filled


def _listed(value: object) -> object:
    """Tuples as lists, since a configuration has no others."""
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def build_data(
    config: Config, facts: Mapping[str, Any] | None = None, drawn_before: Mapping[str, Split] | None = None
) -> VisionData:
    """The data with their augmentation, which is filled with ``facts``, by default their own;
    ``drawn_before``: the split of samples that a run has seen."""
    node = config["data"]
    # transforms may need facts (mixup needs the number of classes), which are known only after the data is
    # there
    data: VisionData = build({name: value for name, value in node.items() if name != "augment"})
    data.drawn_before = drawn_before or {}
    data.known_facts = facts
    data.prepare_data()
    data.chosen = data.settle()
    node |= data.chosen  # the record says what was used
    if unknown := data.facts.keys() - set(data.fact_names):
        raise ConfigError(
            f"data: {type(data).__name__} gives the facts {', '.join(sorted(unknown))}, which are not among "
            f"its fact_names: {', '.join(data.fact_names) or 'none'}"
        )
    for name, value in data.facts.items():
        if not _is_plain(value):
            raise ConfigError(
                f"data: {type(data).__name__} gives the fact {name} as {type(value).__name__}; checkpoints "
                "hold facts as plain data in a fixed order: expected numbers, text, lists and dicts of these"
            )
    augment = with_facts(node.get("augment") or {}, data.facts_of_run, "data.augment")
    data.augment = {name: build(value) for name, value in augment.items() if value is not None}
    return data


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def build_module(
    config: Config, facts: Mapping[str, Any], *, trainable: bool, trained: bool = False
) -> VisionModule:
    """The application's module around its network.

    Args:
        trainable: with the optimiser and schedule; without them it only predicts.
        trained: a checkpoint's weights will follow, so those that the configuration starts from are neither
            read nor downloaded.
    """
    model = untrained(config["model"]) if trained else config["model"]
    network: nn.Module = build(with_facts(model, facts, "model"))
    training = {
        name: build(config[name]) if config.get(name) else None for name in ("optimizer", "scheduler")
    }
    node = with_facts(config["module"], facts, "module")
    return build(node, network=network, **(training if trainable else {}))


def prepared(
    config: Config,
    channels_last: bool,
    trained: bool = False,
    make_data: Callable[[], VisionData] | None = None,
) -> tuple[VisionData, VisionModule]:
    """The data (of `build_data`, or as ``make_data`` gives them) and the module of a training, from the run's
    seed on; with what is measured before a new run unless weights will follow (``trained``)."""
    seed_everything(config["seed"])
    data = make_data() if make_data else build_data(config)
    module = build_module(config, data.facts_of_run, trainable=True, trained=trained)
    data.batch_type = module.batch_type
    if not trained and module.prepare_samples:
        loader = BatchLoader(
            data.samples("train"),
            module.batch_type,
            batch_size=module.prepare_samples,
            shuffle=True,  # a folder may be sorted by class
            seed=data.seed,
            on_corrupt=data.on_corrupt,
        )
        module.prepare(next(iter(loader)))
    if channels_last:
        module.network.to(memory_format=torch.channels_last)
    if config["compile"]:
        module.network.compile()
    return data, module


# How our networks, torchvision and timm call the weights to start from, and what means "none".
_WEIGHTS = {"weights": None, "weights_backbone": None, "pretrained": False, "checkpoint_path": ""}


def untrained(node: Any) -> Any:
    """A copy of a model's node in which no target loads weights."""
    if isinstance(node, list):
        return [untrained(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _WEIGHTS[name] if name in _WEIGHTS and isinstance(value, str | bool) else untrained(value)
        for name, value in node.items()
    }


def rebuild(checkpoint: Mapping[str, Any], source: str = "checkpoint") -> VisionModule:
    """The trained module from a checkpoint alone, ready to predict. Of its configuration only the model and
    the module are built, and those only of networks and layers: nothing is downloaded, written or trained.
    `CheckpointError`, which names the ``source``, where the configuration is missing or cannot be built, or
    the weights do not fit it."""
    module = described(checkpoint, source)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except Exception as error:
        raise CheckpointError(
            f"{source}: the weights do not fit the checkpoint's configuration: {error}"
        ) from error
    return module


def described(checkpoint: Mapping[str, Any], source: str = "checkpoint") -> VisionModule:
    """As `rebuild`, before the weights are put in."""
    config, facts = checkpoint.get("config"), checkpoint.get("facts")
    for name, value in (("config", config), ("facts", facts)):
        if not isinstance(value, dict):
            raise CheckpointError(
                f"{source}: the checkpoint has no {name!r}: it was not written by a vision_apps run"
            )
    assert isinstance(config, dict) and isinstance(facts, dict)
    for name in ("model", "module"):
        if not isinstance(config.get(name), dict) or "_target_" not in config[name]:
            raise CheckpointError(
                f"{source}: its config describes no {name!r} with a _target_; use a checkpoint that a "
                "vision_apps run wrote"
            )
    try:
        _require_networks(config["model"])
        _require_networks(config["module"])
        module = build_module(config, facts, trainable=False, trained=True)
        if not isinstance(module, VisionModule):
            raise ConfigError(f"module: expected a VisionModule, got {type(module).__name__}")
    except Exception as error:  # the content is foreign: constructors may fail in any way
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{source}: what its config describes cannot be built: {reason}\nIf you trust the file, use the "
            "version of vision_apps and the packages that it was trained with (environment.json of its run)"
        ) from error
    return module.eval()


def _require_networks(node: Any) -> None:
    if isinstance(node, dict):
        if "_target_" in node:
            found = resolve_network(node["_target_"])
            # by position `untrained` would not see weights
            if not inspect.isclass(found) and node.get("_args_"):
                raise ConfigError(f"{node['_target_']}: a saved model names its arguments; it has _args_")
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            _require_networks(value)
