"""A whole configuration against the signatures of what it names, before anything is built or downloaded.

The constructor signature is the schema. Every problem is found and all are told at once.
"""

import copy
import inspect
import typing
from collections.abc import Callable, Collection, Iterator
from types import NoneType
from typing import Any, Literal, NamedTuple, Union

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision_apps.core.config import fine_tuning, options, trainer_settings
from vision_apps.core.config.instantiate import KEYWORDS
from vision_apps.core.config.suggest import nearest
from vision_apps.core.config.targets import resolve
from vision_apps.core.config.types import fits, spell
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config

# What the engine passes: parts of the run, where and how long it runs. The facts of the data come on top.
FILLED = frozenset(
    {"network", "optimizer", "scheduler", "params", "total_steps", "folder", "record"}
    | {"run_name", "run_id", "run_group", "tags_of_run"}
)
_AUTO = bool | Literal["auto"]
# What no constructor takes, because it holds for the whole run; ``precision`` is as the Trainer takes it.
_OF_A_RUN: dict[str, object] = {
    "seed": int,
    "test": bool,
    "compile": bool,
    "channels_last": _AUTO,
    "keep_memory": _AUTO,
    "resume": str | None,
    "init": str | None,
    "batch_norm": Literal["auto", "fixed", "batch"],
    "freeze": str | list[str] | dict[str, float] | None,
    "allow_targets": list[str],
    "run.root": str,
    "run.dir": str | None,
    "task.name": str,
    "task.models_of": str,
    "task.monitor": str,
    "task.mode": Literal["min", "max"],
}
_WITH_FACTS = ("module", "model", "data.augment")  # whose parameters the facts of the data fill
# What the engine passes to the Trainer whatever stands there: where it is said instead.
_ELSEWHERE = {
    "trainer.callbacks": "callbacks=",
    "trainer.logger": "logger=",
    "trainer.precision": "precision=",
    "trainer.default_root_dir": "run.root=",
    "trainer.use_distributed_sampler": "data.batch_size=",
    "trainer.plugins": "precision=",
}
# `auto` is theirs, too
_SETTLED = (
    "trainer.max_epochs",
    "trainer.check_val_every_n_epoch",
    "trainer.log_every_n_steps",
    "trainer.num_sanity_val_steps",
    fine_tuning.BACKBONE_LR,
)


def check(config: Config | DictConfig) -> None:
    """Raises one `ConfigError` that lists every problem of a composed configuration, or of a part of one.
    What the engine passes may be left out, and the facts of the data set that the configuration names."""
    problems = list(find_problems(config))
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError("\n  ".join([f"{count} in the configuration:", *problems]))


def find_problems(config: Config | DictConfig) -> Iterator[str]:
    try:
        copied = OmegaConf.create(copy.deepcopy(config))
        if isinstance(copied, DictConfig) and "run" in copied and copied.run.get("dir", "") is None:
            copied.run.dir = "the run's folder"  # which other keys may refer to, is known when the run starts
        plain = OmegaConf.to_container(copied, resolve=True)
    except OmegaConfBaseException as error:
        yield f"{error.full_key}: {str(error).splitlines()[0]}"
        return
    parts: Config = plain if isinstance(plain, dict) else {}  # type: ignore[assignment]
    module, data = _found(parts.get("module")), _found(parts.get("data"))
    yield from _of_the_run(parts)
    if foreign := dict(_foreign(parts)):
        yield from foreign.values()
        data = None if "data" in foreign else data
    found = list(_walk(plain, "", {*FILLED, *getattr(data, "fact_names", ())}))
    task = parts.get("task")
    folded = getattr(data, "fold_problems", None)
    unfit = misfit(module, data, task.get("name", "") if isinstance(task, dict) else "")
    if unfit:  # another data set has other facts, too
        found = [problem for problem in found if not problem.startswith(_WITH_FACTS)]
    found = [problem for problem in found if not problem.startswith(tuple(f"{key}." for key in foreign))]
    yield from (*found, *([unfit] if unfit else []), *trainer_settings.problems(parts))
    yield from fine_tuning.problems(parts)
    folds = [parts["data"].get(name) for name in ("folds", "fold")] if folded else []
    if folded and all(value is None or type(value) is int for value in folds):
        yield from folded(*folds)
    yield from _of_the_schedule(parts.get("scheduler"))


def _foreign(config: Config) -> Iterator[tuple[str, str]]:
    """Each part of a run that is a class of another kind than the engine works with, and what is expected."""
    from torch import nn

    from vision_apps.core.data import VisionData
    from vision_apps.core.module import VisionModule

    kinds: dict[str, tuple[type, str]] = {
        "data": (
            VisionData,
            "of fields, facts and splits; derive from it, and let load(split, fields) return what has "
            "__len__ and a dictionary of tensors for each index, such as your Dataset: docs/own-data-set.md",
        ),
        "model": (nn.Module, "that gives what the application expects: docs/own-network.md"),
        "module": (VisionModule, "of batch, inputs, outputs and answer: docs/own-application.md"),
    }
    for key, (kind, why) in kinds.items():
        found = _found(config.get(key))
        if inspect.isclass(found) and not issubclass(found, kind):
            yield key, f"{key}: {config[key]['_target_']} is no {kind.__module__}.{kind.__name__}, {why}"


def _of_the_run(config: Config) -> Iterator[str]:
    precision = accepted(resolve("pytorch_lightning.Trainer")).parameters["precision"].annotation
    known = [kind for kind in typing.get_args(precision) if kind is not NoneType]
    for key, kind in {**_OF_A_RUN, "precision": Union[Literal["auto"], *known]}.items():
        node: Any = config
        *above, name = key.split(".")
        for part in above:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict) and node.get(name, "???") != "???" and not fits(node[name], kind):
            hint = f"; write {key}=./{node[name]}" if above == ["run"] and node[name] is not None else ""
            shown = "null" if node[name] is None else repr(node[name])
            yield f"{key}: expected {spell(kind)}, got {shown}{hint}"


def _of_the_schedule(node: object) -> Iterator[str]:
    found = _found(node)
    known = accepted(found) if found is not None else None
    if known is not None and not known.anything and "total_steps" not in known.parameters:
        yield (
            f"scheduler: {node['_target_']} takes no total_steps, the run's length; choose "  # type: ignore[index]
            "scheduler=warmup_cosine, warmup_linear or constant, or a function of yours that takes it"
        )


def _found(node: object) -> Callable[..., object] | None:
    """What a node's target names; None where that is nothing, which is told where the target stands."""
    try:
        return resolve(node["_target_"]) if isinstance(node, dict) and "_target_" in node else None
    except ConfigError:
        return None


def _walk(node: object, key: str, filled: Collection[str]) -> Iterator[str]:
    if node == "???":
        yield f"{key}: must be set: {key}=..."
    elif isinstance(node, dict):
        if "_target_" in node:
            yield from _check_call(node, key, filled)
        for name, value in node.items():
            yield from _walk(value, f"{key}.{name}" if key else str(name), filled)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, f"{key}[{index}]", filled)


class Accepted(NamedTuple):
    """What a class or function can be called with."""

    parameters: dict[str, inspect.Parameter]
    required: list[str]  # of its own; what an extended constructor requires, it may pass itself
    anything: bool  # it takes arbitrary keyword arguments


def accepted(target: Callable[..., object]) -> Accepted:
    """The parameters of a target; through ``**kwargs`` also those of the constructors that it extends."""
    bases = target.__mro__ if inspect.isclass(target) else ()
    of_torch = [base for base in bases if base.__module__ == "torch.nn.modules.module"]  # which take nothing
    constructors = [
        vars(base)["__init__"]
        for base in bases
        if "__init__" in vars(base) and base not in (object, *of_torch)
    ] or [target]
    required = [
        name for name, value in _named(_parameters(constructors[0])).items() if value.default is value.empty
    ]
    parameters: dict[str, inspect.Parameter] = {}
    for function in constructors:
        known = _parameters(function)
        parameters = {**known, **parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
            return Accepted(_named(parameters), required, False)
    # The chain of **kwargs ended in a class that passes them to something else, or in one that takes none.
    return Accepted(_named(parameters), required, not of_torch)


def _parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001 - names for type checkers only, or whatever else an annotation computes
        hints = {}
    found = dict(inspect.signature(function).parameters)
    if getattr(function, "__name__", "") == "__init__":
        found.pop(next(iter(found)))  # self
    return {
        name: value.replace(annotation=hints.get(name, value.annotation)) for name, value in found.items()
    }


def _named(parameters: dict[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    loose = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind not in loose}


def _check_call(node: Config, key: str, filled: Collection[str]) -> Iterator[str]:
    where = f"{key}." if key else ""
    try:
        target = resolve(node["_target_"])
        parameters, required, anything = accepted(target)
        if key == "optimizer":
            parameters = parameters | accepted(fine_tuning.Rates).parameters
    except ConfigError as error:
        yield f"{where}_target_: {error}"
        return
    title = node["_target_"].rsplit(".", 1)[1]
    given = {name: value for name, value in node.items() if name not in KEYWORDS}
    for name, value in given.items():
        parameter = parameters.get(name)
        if f"{where}{name}" in _ELSEWHERE:
            yield f"{where}{name}: the run passes it; say {_ELSEWHERE[f'{where}{name}']}..."
        elif parameter is None:
            if not anything:
                yield f"{where}{name}: {title} has no parameter {name!r}{nearest(name, parameters)}"
        elif f"{where}{name}" in _SETTLED and value == "auto":
            continue  # chosen when the data are known
        elif value is None and (name in filled or parameter.default is None):
            continue  # left out
        elif value != "???" and not fits(value, parameter.annotation):
            shown = "null" if value is None else f"{value!r} ({type(value).__name__})"
            yield f"{where}{name}: expected {spell(parameter.annotation)}, got {shown}"
    if node.get("_partial_", False):
        return
    positional = list(parameters)[: len(node.get("_args_", []))]
    hint = ", or a data set that has it among its fact_names" if key.startswith(_WITH_FACTS) else ""
    for name in required:
        if name not in (*given, *positional, *filled):
            yield f"{where}{name}: {title} needs it: {where}{name}=...{hint}"


def misfit(module: Any, data: Any, application: str = "") -> str | None:
    """What the data set does not offer and the application's batch cannot do without, for an error.

    Args:
        module: class with ``batch_type``, a NamedTuple whose fields without a default are required.
        data: class with ``fields``.
        application: its data sets that would fit are listed.
    """
    missing = _missing(module, data)
    if not missing:
        return None
    text = (
        f"data: {data.__name__} offers {', '.join(data.fields) or 'nothing'}, but {module.__name__} takes "
        f"{module.batch_type.__name__}, which also needs {', '.join(missing)}"
    )
    names = []
    for name, path in options.of_application("data", application).items():
        other = _found(OmegaConf.to_container(OmegaConf.load(path)))
        if other is not None and not _missing(module, other):
            names.append(name)
    return text + (f"; data that fit: {', '.join(names)}" if names else "")


def _missing(module: object, data: object) -> list[str]:
    batch, offered = getattr(module, "batch_type", None), getattr(data, "fields", None)
    if batch is None or offered is None:
        return []
    return [name for name in batch._fields if name not in batch._field_defaults and name not in offered]
