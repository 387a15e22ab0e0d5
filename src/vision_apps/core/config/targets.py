"""Which ``_target_`` a configuration may name.

A configuration can come with a downloaded checkpoint, so it must not be able to run anything but the parts
that runs are made of. The name is compared with an allow-list before anything is imported, and what it names
must then be a part: a class or model builder of a known kind, or something that a package of the user's
choice defines. ``torch.load``, ``vision_apps.data.public.download`` or ``vision_apps.x.os.system`` are
none. A trained network that comes back from a checkpoint is made of less: `resolve_network`.
"""

import importlib
import inspect
import os
import pkgutil
import typing
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError

PACKAGES = ("vision_apps", "torch", "torchvision", "torchmetrics", "pytorch_lightning", "timm", "kornia")
VARIABLE = "VISION_APPS_ALLOW"

# Where the parts of torch live. Other modules have `nn.Module`s that do more than compute: remote modules,
# compiled or loaded code.
_HOMES = {
    "torch": ("torch.nn.", "torch.optim."),
    "torchvision": ("torchvision.models.", "torchvision.ops.", "torchvision.transforms."),
    "kornia": ("kornia.augmentation.",),
    "timm": ("timm.models.", "timm.layers.", "timm.loss.", "timm.optim.", "timm.scheduler."),
}

# The engine's own functions start runs, open files and widen this very list; of the engine only callbacks,
# loggers and schedules are parts of a run.
_ENGINE = ("vision_apps.core", "vision_apps.cli")
_SCHEDULES = ("vision_apps.core.schedules",)


def allow(names: Iterable[str]) -> None:
    """Allow the targets under further packages or modules, here and in child processes.

    Only for names that the person at the keyboard gave: never for those that a saved configuration asks for.
    """
    listed = dict.fromkeys([*_allowed_by_user(), *names])
    if listed:
        os.environ[VARIABLE] = ",".join(listed)


def require_allowed(names: Iterable[str], who: str) -> None:
    """`ConfigError` where ``who`` asks for what the person at the keyboard has not named."""
    if missing := [name for name in names if not _under(name, _allowed_by_user())]:
        raise ConfigError(
            f"allow_targets: {who} asks for {', '.join(missing)}, which may run any code; if you trust it, "
            f"add allow_targets=[{','.join(missing)}] to the command"
        )


def _allowed_by_user() -> list[str]:
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]


def _under(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package.rstrip('.')}.") for package in packages)


def resolve(target: object) -> Callable[..., Any]:
    """The class or function that a ``_target_`` names; `ConfigError` when it is not there or no part of a
    run."""
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"expected a dotted name like torch.optim.AdamW, got {target!r}")
    if not _under(target, (*PACKAGES, *_allowed_by_user())):
        package = target.split(".")[0]
        raise ConfigError(
            f"{target} is not under {', '.join(PACKAGES)}; if you trust it, add allow_targets=[{package}] "
            f"to the command (or set {VARIABLE}={package})"
        )
    if any(not part.isidentifier() or part.startswith("_") for part in target.split(".")):
        raise ConfigError(f"{target} is not a public name")
    found = _locate(target)
    if is_users(target, found) or (_at_top(found) and _is_part(found)):
        return typing.cast(Callable[..., Any], found)
    raise ConfigError(
        f"{target} is not a part of a run: expected a network, layer, optimizer, schedule, metric, data set, "
        "augmentation, callback, logger, trainer or plugin, or something that an allowed package defines"
    )


def resolve_network(target: object) -> Callable[..., Any]:
    """The class or function that a ``_target_`` in a trained network names: a module, or what builds models;
    `ConfigError` when it is not there or anything else."""
    found = resolve(target)
    from torch import nn

    if is_users(target, found) or _is_a(found, nn.Module) or _is_model_builder(found, found.__module__):
        return found
    raise ConfigError(f"{target} is not a part of a network: expected a network, layer, loss or metric")


def is_users(target: object, found: object) -> bool:
    """Whether the person at the keyboard has allowed what this name has ``found``."""
    by_user = _allowed_by_user()
    return target in by_user or (_at_top(found) and _under(found.__module__, by_user))


def _is_a(found: object, *kinds: type) -> bool:
    return inspect.isclass(found) and issubclass(found, kinds)


def _locate(target: str) -> object:
    parent, name = target.rsplit(".", 1)
    try:
        module = importlib.import_module(parent)
    except ModuleNotFoundError as error:
        missing = error.name or parent
        if not _under(target, [missing]) or missing in PACKAGES:  # some of those are optional
            raise ConfigError(f"{target} needs the package {missing}: pip install {missing}") from error
        if "." not in missing:
            raise ConfigError(
                f"{target}: there is no package {missing}; is it installed, or on PYTHONPATH?"
            ) from error
        above = importlib.import_module(missing.rsplit(".", 1)[0])
        below = pkgutil.iter_modules(getattr(above, "__path__", []))
        siblings = [f"{above.__name__}.{module.name}" for module in below]
        raise ConfigError(f"there is no module {missing}{nearest(missing, siblings)}") from error
    if not hasattr(module, name):
        public = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"{parent} has no {name!r}{nearest(name, public)}")
    found: object = getattr(module, name)
    if isinstance(found, ModuleType):
        raise ConfigError(f"{target} is a module: add the name of a class or function in it")
    return found


def _at_top(found: object) -> bool:
    """A class or function of a module, not a method."""
    return (inspect.isclass(found) or inspect.isfunction(found)) and "." not in found.__qualname__


def _is_part(found: object) -> bool:
    import pytorch_lightning as pl
    from pytorch_lightning import plugins
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.profilers import Profiler
    from pytorch_lightning.strategies import Strategy
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torchmetrics import Metric, MetricCollection

    from vision_apps.core.augmentation import Augmentation
    from vision_apps.core.data import VisionData

    home = found.__module__
    package = home.split(".")[0]
    if package == "vision_apps" and not _under(home, _ENGINE):
        return _is_a(found, nn.Module, VisionData, Augmentation, pl.Callback)
    if package in ("vision_apps", "pytorch_lightning"):
        kinds = (pl.Trainer, pl.Callback, Logger, Profiler, Strategy)
        plugged = (plugins.Precision, plugins.CheckpointIO, plugins.LayerSync)
        return home in _SCHEDULES or _is_a(found, *kinds, *plugged)
    if package == "torchmetrics":
        return _is_a(found, Metric, MetricCollection)
    part_of_torch = home.startswith(_HOMES.get(package, ())) and _is_a(
        found, nn.Module, Optimizer, LRScheduler
    )
    return part_of_torch or _is_model_builder(found, home)


def _is_model_builder(found: object, home: str) -> bool:
    if inspect.isfunction(found) and home.startswith("torchvision.models."):
        from torch import nn

        return _is_a(typing.get_type_hints(inspect.unwrap(found)).get("return"), nn.Module)
    if inspect.isfunction(found) and home.startswith("timm.models."):
        import timm

        return found.__name__ == "create_model" or bool(timm.is_model(found.__name__))
    return False
