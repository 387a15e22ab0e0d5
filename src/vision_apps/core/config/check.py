"""A whole configuration against the signatures of what it names, before anything is built or downloaded.

The constructor signature is the schema. Every problem is found and all are told at once.
"""

import copy
import inspect
import typing
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vision_apps.core.config import options
from vision_apps.core.config.instantiate import KEYWORDS
from vision_apps.core.config.suggest import nearest
from vision_apps.core.config.targets import resolve
from vision_apps.core.config.types import fits, spell
from vision_apps.core.errors import ConfigError

# What the engine passes: parts of the run, where and how long it runs. The facts of the data come on top.
FILLED = frozenset(
    {"network", "optimizer", "scheduler", "params", "total_steps", "folder", "record"}
    | {"run_name", "run_id", "run_group", "tags_of_run"}
)
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


def check(config: Any, filled: Collection[str] = FILLED) -> None:
    """Raises one `ConfigError` that lists every problem.

    Args:
        config: composed configuration (or part of one, or plain data).
        filled: parameters that may be left out because the engine passes them; so may the facts of the data
            set that the configuration names.
    """
    problems = list(find_problems(config, filled))
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError("\n  ".join([f"{count} in the configuration:", *problems]))


def find_problems(config: Any, filled: Collection[str] = FILLED) -> Iterator[str]:
    try:
        plain = OmegaConf.to_container(_with_run_folder(config), resolve=True)
    except OmegaConfBaseException as error:
        yield f"{error.full_key}: {str(error).splitlines()[0]}"
        return
    found = list(_walk(plain, "", {*filled, *_facts(plain)}))
    misfit = _misfit(plain)
    if misfit:  # another data set has other facts, too
        found = [problem for problem in found if not problem.startswith(_WITH_FACTS)]
    yield from (*found, *([misfit] if misfit else []))


def _misfit(config: Any) -> str | None:
    """Why the data set does not fit the application."""
    if not isinstance(config, dict) or not _names_target(config.get("module"), config.get("data")):
        return None
    try:
        module, data = (resolve(config[part]["_target_"]) for part in ("module", "data"))
    except ConfigError:  # told where the target stands
        return None
    try:
        check_fit(module, data, application=(config.get("task") or {}).get("name", ""))
    except ConfigError as error:
        return str(error)
    return None


def _facts(config: Any) -> tuple[str, ...]:
    """What the data set of a configuration will know."""
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or "_target_" not in data:
        return ()
    try:
        names: tuple[str, ...] = getattr(resolve(data["_target_"]), "fact_names", ())
    except ConfigError:  # told where the target stands
        return ()
    return names


def _with_run_folder(config: Any) -> Any:
    """``run.dir``, which other keys may refer to, is known only when the run starts."""
    copied = OmegaConf.create(copy.deepcopy(config))
    if isinstance(copied, DictConfig) and "run" in copied and copied.run.get("dir", "") is None:
        copied.run.dir = "the run's folder"
    return copied


def _names_target(*nodes: Any) -> bool:
    return all(isinstance(node, dict) and "_target_" in node for node in nodes)


def _walk(node: Any, key: str, filled: Collection[str]) -> Iterator[str]:
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


def accepted(target: Callable[..., Any]) -> Accepted:
    """The parameters of a target; through ``**kwargs`` also those of the constructors that it extends."""
    constructors = _constructors(target)
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
    closed = inspect.isclass(target) and any(
        base.__module__ == "torch.nn.modules.module" for base in target.__mro__
    )
    return Accepted(_named(parameters), required, not closed)


def _constructors(target: Callable[..., Any]) -> list[Callable[..., Any]]:
    if not inspect.isclass(target):
        return [target]
    ends = (object, *(base for base in target.__mro__ if base.__module__ == "torch.nn.modules.module"))
    own = [vars(base)["__init__"] for base in target.__mro__ if "__init__" in vars(base) and base not in ends]
    return own or [target]


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    hints = _hints(function)
    found = dict(inspect.signature(function).parameters)
    if getattr(function, "__name__", "") == "__init__":
        found.pop(next(iter(found)))  # self
    return {
        name: value.replace(annotation=hints.get(name, value.annotation)) for name, value in found.items()
    }


def _named(parameters: dict[str, inspect.Parameter]) -> dict[str, inspect.Parameter]:
    loose = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind not in loose}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001 - names for type checkers only, or whatever else an annotation computes
        return {}


def _check_call(node: dict[str, Any], key: str, filled: Collection[str]) -> Iterator[str]:
    where = f"{key}." if key else ""
    try:
        target = resolve(node["_target_"])
        parameters, required, anything = accepted(target)
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
        elif value != "???" and not _acceptable(value, parameter, name in filled):
            yield f"{where}{name}: expected {spell(parameter.annotation)}, got {_show(value)}"
    if node.get("_partial_", False):
        return
    positional = list(parameters)[: len(node.get("_args_", []))]
    hint = ", or a data set that has it among its fact_names" if key.startswith(_WITH_FACTS) else ""
    for name in required:
        if name not in (*given, *positional, *filled):
            yield f"{where}{name}: {title} needs it: {where}{name}=...{hint}"


def _acceptable(value: Any, parameter: inspect.Parameter, filled: bool) -> bool:
    left_out = value is None and (filled or parameter.default is None)
    return left_out or fits(value, parameter.annotation)


def _show(value: Any) -> str:
    return "null" if value is None else f"{value!r} ({type(value).__name__})"


def check_fit(module: Any, data: Any, *, application: str = "") -> None:
    """`ConfigError` unless the data set offers what the application's batch cannot do without.

    Args:
        module: class with ``batch_type``, a NamedTuple whose fields without a default are required.
        data: class with ``fields``.
        application: its data sets that would fit are listed.
    """
    missing = _missing(module, data)
    if not missing:
        return
    text = (
        f"data: {data.__name__} offers {', '.join(data.fields) or 'nothing'}, but {module.__name__} takes "
        f"{module.batch_type.__name__}, which also needs {', '.join(missing)}"
    )
    names = [
        name for name, path in options.of_application("data", application).items() if _fits(module, path)
    ]
    raise ConfigError(text + (f"; data that fit: {', '.join(names)}" if names else ""))


def _missing(module: Any, data: Any) -> list[str]:
    batch = getattr(module, "batch_type", None)
    offered = getattr(data, "fields", None)
    if batch is None or offered is None:
        return []
    return [name for name in batch._fields if name not in batch._field_defaults and name not in offered]


def _fits(module: Any, path: Any) -> bool:
    node: Any = OmegaConf.load(path)
    try:
        return not _missing(module, resolve(node["_target_"]))
    except ConfigError:  # a data set whose package is not installed
        return False
