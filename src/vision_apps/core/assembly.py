"""From a configuration to objects, and from a checkpoint back to a module."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn

from vision_apps.core import preparation, published, starting
from vision_apps.core.augmentation import wrapped
from vision_apps.core.config import fine_tuning
from vision_apps.core.config.check import accepted
from vision_apps.core.config.instantiate import build
from vision_apps.core.config.targets import resolve, resolve_network
from vision_apps.core.confined import ConfinedError, confined
from vision_apps.core.data import Split, VisionData
from vision_apps.core.errors import CheckpointError, ConfigError, UserError
from vision_apps.core.freezing import freeze_for_good
from vision_apps.core.hardware import depthwise_in_float32
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
        elif listed(filled[name]) != listed(facts[name]):
            raise ConfigError(
                f"{key}.{name}: the configuration says {filled[name]!r}, the data says {facts[name]!r}; "
                f"leave {key}.{name} out (or null) to take it from the data"
            )
    return filled


def listed(value: object) -> object:
    """Tuples as lists, since a configuration has no others."""
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


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
    if "module" in config:
        data.batch_type = resolve(config["module"]["_target_"]).batch_type  # type: ignore[attr-defined]
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
    for name, value in (node.get("augment") or {}).items():
        if value is not None:
            # another package means something else by a name such as ``mean``: it is given no facts
            known = {} if wrapped(value) else data.facts_of_run
            filled = with_facts(value, known, f"data.augment.{name}")
            data.augment[name] = build(wrapped(filled) or filled)
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
    node = with_facts(config["module"], facts, "module")
    if not trainable:
        module: VisionModule = build(node, network=network)
        return module
    optimizer, scheduler = config.get("optimizer"), config.get("scheduler")
    module = build(
        node,
        network=network,
        optimizer=build(fine_tuning.without_rates(optimizer)) if optimizer else None,
        scheduler=build(scheduler) if scheduler else None,
    )
    return module


def prepared(
    config: Config,
    channels_last: bool,
    trained: bool = False,
    make_data: Callable[[], VisionData] | None = None,
    settle: Callable[[], None] = lambda: None,
) -> tuple[VisionData, VisionModule]:
    """The data (of `build_data`, or as ``make_data`` gives them) and the module of a training, from the run's
    seed on; with what is measured before a new run unless weights will follow (``trained``). ``settle``
    settles in ``config`` which published weights there are, if they are needed."""
    seed_everything(config["seed"])
    init = None if trained else config.get("init")
    source = starting.read(init) if init else None
    if not trained and source is None:
        settle()
    data = make_data() if make_data else build_data(config)
    taken = None
    if source:
        module, taken = _begun(config, data.facts_of_run, source, settle)
    else:
        module = build_module(config, data.facts_of_run, trainable=True, trained=trained)
        module.starts_from = {"weights": published.starts_from(module.network)}
    found: list[str] = []
    data.batch_type = module.batch_type
    if not trained:
        module.learned = starting.backbone_has_learned(module, taken)
        module.taken = taken.names.keys() if taken else ()
        if source and taken and module.fits:
            taken = starting.but_fitted(taken, module.fits)
            module.taken = taken.names.keys()
            module.starts_from = starting.record_of(source, taken, module.starts_from["rest"])
        module.chosen = fine_tuning.settle(config, module.learned, module.backbone_share, module.kept)
        found += [*data.obstacles(), *fine_tuning.obstacles(config, module.learned)]
    module.rates = fine_tuning.rates(config.get("optimizer"))
    if source and taken:
        starting.take(module, source, taken)
    if not trained and module.prepare_samples:
        batch = preparation.batch_of(data, module)
        module.prepare(batch)
        found += module.check(batch)
        if source and taken:  # once more: what a network has measured belongs to its weights
            starting.take(module, source, taken)
    if not trained:
        module.starts_from = starting.with_fitted(module.starts_from, module.fits)
    module.warnings = found
    freeze_for_good(module.network, fine_tuning.shares(config.get("freeze")))
    depthwise_in_float32(module.network)
    if channels_last:
        module.network.to(memory_format=torch.channels_last)
    if config["compile"]:
        module.network.compile()
    return data, module


def _begun(
    config: Config, facts: Mapping[str, Any], source: starting.Source, settle: Callable[[], None]
) -> tuple[VisionModule, starting.Taken]:
    """The module of a run that begins with another's weights, and which of them it takes. Published weights
    are chosen and had only where those leave something open that they would fill."""
    module = build_module(config, facts, trainable=True, trained=True)

    def of_source() -> dict[str, str]:
        return starting.names_below_backbone(described(source.checkpoint, str(source.path)).network)

    taken = starting.fitting(module, source, of_source, lambda: _of_words(config, facts, module, source))
    starting.require_any(module, source, taken)
    if untrained(config["model"]) != config["model"] and starting.unfilled(module, taken):
        settle()
        module = build_module(config, facts, trainable=True)
    else:
        config["model"] = published.settled(config["model"], needed=False)
    rest = published.starts_from(module.network)
    module.starts_from = starting.record_of(source, taken, rest)
    return module, taken


def _of_words(
    config: Config, facts: Mapping[str, Any], module: VisionModule, source: starting.Source
) -> set[str]:
    """The module's tensors in layers whose shape depends on how many words there are, of those that the
    source has others of: found by building the network for one more."""
    own, theirs = starting.words(facts), source.words
    more = {name: [*value, "one more"] for name, value in own.items() if value != theirs.get(name)}
    if not more:
        return set()
    if "class_names" in more and "num_classes" in facts:
        more["num_classes"] = facts["num_classes"] + 1
    with torch.random.fork_rng(devices=[]):
        node = with_facts(_without(untrained(config["model"]), more), {**facts, **more}, "model")
        other = {starting.NETWORK + name: value for name, value in build(node).state_dict().items()}
    state = module.state_dict()
    layers = {
        name.rpartition(".")[0]
        for name, value in state.items()
        if name in other and other[name].shape != value.shape
    }
    return {name for name in state if name.rpartition(".")[0] in layers}


def _without(node: Any, names: Collection[str]) -> Any:
    """A copy of a model's node that leaves these parameters to the facts."""
    if not isinstance(node, dict):
        return node
    return {name: _without(value, names) for name, value in node.items() if name not in names}


# How our networks, torchvision and timm call the weights to start from, and what means "none".
_WEIGHTS = {
    "weights": None,
    "weights_backbone": None,
    "word_vectors": None,
    "pretrained": False,
    "checkpoint_path": "",
}


_ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:", "local_dir:")  # names of timm's that are read first


def untrained(node: Any) -> Any:
    """A copy of a model's node in which no target loads weights."""
    if isinstance(node, list):
        return [untrained(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        # a list of weights is one of numbers, as of classes; whatever else has such a name asks for a file
        name: _WEIGHTS[name] if name in _WEIGHTS and not isinstance(value, list) else untrained(value)
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
        _require_networks(facts)  # a network that is part of another is one of them
        with confined():
            module = build_module(config, facts, trainable=False, trained=True)
        if not isinstance(module, VisionModule):
            raise ConfigError(f"module: expected a VisionModule, got {type(module).__name__}")
    except ConfinedError as error:
        raise CheckpointError(
            f"{source}: building what its config describes tried {error}; a trained network needs none of "
            "that, and the file is not to be trusted"
        ) from error
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
            for name, value in node.items():
                if isinstance(value, str) and value.startswith(_ELSEWHERE):
                    raise ConfigError(f"{name}={value}: a saved model is no link to another")
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            _require_networks(value)
