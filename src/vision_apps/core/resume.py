"""What may change when a run goes on, and how it comes into what was restored."""

import copy
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from vision_apps.core import stored
from vision_apps.core.config.fine_tuning import Rates
from vision_apps.core.config.overrides import CHANGEABLE, differences, is_among, keys
from vision_apps.core.config.trainer_settings import seconds, spelled
from vision_apps.core.errors import CheckpointError, require_no, some
from vision_apps.core.plain import Config
from vision_apps.core.run_folder import RunFolder

_OF_THE_FOLDER = ("run.dir",)  # it may have been moved
_GROUPING = [f"optimizer.{name}" for name in Rates._fields]  # may have another value, and neither come nor go


def configuration(folder: RunFolder, checkpoint: Mapping[str, Any] | None) -> tuple[Config, list[str]]:
    """What a run goes on with: its ``config.yaml``; that of the checkpoint where this one is damaged. And
    what is to be told of it. `CheckpointError` where there is neither."""
    kept = (checkpoint or {}).get("config")
    kept = kept if isinstance(kept, dict) else None
    try:
        config = folder.read_config()
        if kept is None:
            return config, []
        if missing := sorted({*keys(kept)} - {*keys(config)}):
            raise CheckpointError(f"{folder.path / 'config.yaml'} lacks {some(missing, 3)}")
    except CheckpointError as error:
        if kept is None:
            raise
        return copy.deepcopy(kept), [f"{error}; going on with the configuration in the checkpoint"]
    return config, [
        f"{folder.path / 'config.yaml'} says {key} {new!r}, the checkpoint was written with {old!r}"
        for key, old, new in differences(kept, config)
        if key not in _OF_THE_FOLDER
    ]


def require_possible(config: Config, checkpoint: Mapping[str, Any], source: str) -> None:
    """`ConfigError` or `CheckpointError` where a run cannot go on from this checkpoint, the ``source``, with
    this configuration."""
    if not isinstance(checkpoint.get("config"), dict) or "loops" not in checkpoint:
        raise CheckpointError(
            f"{source}: a run cannot go on from it: it is no checkpoint of a run's training"
        )
    before = copy.deepcopy(checkpoint["config"])
    stored.moved(before, str((before.get("run") or {}).get("dir")), config["run"]["dir"])
    _require_changeable(before, config)
    _require_room(config, checkpoint)


def _require_changeable(before: Config, after: Config) -> None:
    """`ConfigError` that lists every key whose change would have no effect, or half of one.

    Args:
        before: of the checkpoint with which the run goes on.
        after: with which it is to go on.
    """
    allowed = " ".join(CHANGEABLE.values())
    problems = []
    for key, old, new in differences(before, after):
        if key in _GROUPING and None in (old, new):
            problems.append(
                f"{key}: {old!r} to {new!r} would share the parameters out anew, and what the optimiser "
                "knows of them is kept by their places; it needs a new run"
            )
        elif key not in _OF_THE_FOLDER and not is_among(key, allowed):
            problems.append(f"{key}: the run has trained with {old!r} and keeps it; {new!r} needs a new run")
    if problems:
        require_no([*problems, "a run that goes on may change: " + ", ".join(allowed.split())])


def _require_room(config: Config, checkpoint: Mapping[str, Any]) -> None:
    """`ConfigError` where the length that is asked for is over already, so that it would say what never
    was."""
    trainer = config["trainer"]
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps", -1)
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    done, step = progress["processed"], checkpoint["global_step"]
    problems = []
    if isinstance(epochs, int) and 0 <= epochs < done:
        problems.append(
            f"trainer.max_epochs: {epochs}, but {done} epochs are trained; to go on, choose more than {done}"
        )
    if 0 <= steps < step:
        problems.append(
            f"trainer.max_steps: {steps}, but {step} steps are trained; to go on, choose more than {step}"
        )
    timer = checkpoint.get("callbacks", {}).get("Timer")
    most = seconds(trainer.get("max_time"))
    complete = done == epochs or step == steps
    if timer is not None and most is not None and not complete and not problems:
        used = timer["time_elapsed"]["train"]
        if used >= most:
            problems.append(
                f"trainer.max_time: the run has trained for {used:.0f} s of {most:.0f} s, all its parts "
                f"together; to go on give it more: trainer.max_time={spelled(2 * most)}, or null"
            )
    require_no(problems)


def require_weights(module: nn.Module, checkpoint: Mapping[str, Any], path: Path) -> None:
    """`CheckpointError` where a checkpoint's weights have other names or shapes than the module's."""
    own = {name: list(value.shape) for name, value in module.state_dict().items()}
    kept = {name: list(value.shape) for name, value in checkpoint["state_dict"].items()}
    differ = [
        f"{name} {kept.get(name, 'missing')} there, {own.get(name, 'missing')} here"
        for name in {**kept, **own}
        if kept.get(name) != own.get(name)
    ]
    if differ:
        raise CheckpointError(
            f"{path}: its weights do not fit what the configuration and the data make here: "
            f"{some(differ, 3)}; use the data and the versions that the run was trained with"
        )


class Restored(pl.Callback):
    """Brings the configured settings of optimiser and schedule into what was restored, which has those of the
    checkpoint. Where nothing has changed, nothing is touched."""

    def on_fit_start(self, trainer: pl.Trainer, *_: object) -> None:  # before the checkpoint is read
        self._groups = [
            [_settings(group) for group in optimizer.param_groups] for optimizer in trainer.optimizers
        ]
        schedules = [config.scheduler for config in trainer.lr_scheduler_configs]
        self._schedules = [copy.deepcopy(_plain(schedule)) for schedule in schedules]

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        for optimizer, groups in zip(trainer.optimizers, self._groups, strict=True):
            for group, configured in zip(optimizer.param_groups, groups, strict=True):
                rate, base = group["lr"], group.get("initial_lr")
                group.update(configured)
                if base is not None:  # a schedule makes the rate of a step from it
                    group["lr"] = rate if group["initial_lr"] == base else rate * group["initial_lr"] / base
        for config, fresh in zip(trainer.lr_scheduler_configs, self._schedules, strict=True):
            assert isinstance(config.scheduler, LRScheduler)
            _follow(config.scheduler, fresh)


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _plain(schedule: LRScheduler) -> dict[str, Any]:
    """The plain values of a schedule by name, without what it computes with."""
    plain = (int, float, str, bool, list, tuple)
    return {name: value for name, value in vars(schedule).items() if isinstance(value, plain)}


def _follow(schedule: LRScheduler, fresh: Mapping[str, Any]) -> None:
    """The rate that the schedule, as it is configured now, has at this step."""
    groups = schedule.optimizer.param_groups
    schedule.base_lrs = [group["initial_lr"] for group in groups]
    if isinstance(schedule, LambdaLR):  # whose functions are no part of a checkpoint
        for group, base, factor in zip(groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
            group["lr"] = base * factor(schedule.last_epoch)
    else:
        restored = _plain(schedule)
        names = inspect.signature(type(schedule).__init__).parameters.keys() & fresh.keys() - {"last_epoch"}
        problems = [
            f"scheduler: {type(schedule).__name__} keeps its {name} {restored[name]!r} when a run goes on, "
            f"and would not follow {fresh[name]!r}; keep its settings and the run's length, or start a new "
            "run"
            for name in sorted(names)
            if restored[name] != fresh[name]
        ]
        require_no(problems)
    schedule._last_lr = [group["lr"] for group in groups]
