"""What of Lightning's Trainer and callbacks this engine supports, in which range, and what to use instead."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from vision_apps.core.config.targets import resolve
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain import Config


class Range(NamedTuple):
    """Numbers from ``least`` on, some named ones, and null where the Trainer takes it."""

    least: float
    also: tuple[float, ...] = ()
    above: bool = False  # `least` itself is none of them
    most: float = math.inf

    def problem(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value in self.also:
            return None  # other types are held against the signature
        if (value > self.least or (value == self.least and not self.above)) and value <= self.most:
            return None
        if self.most < math.inf:
            return f"expected {self.least:g} to {self.most:g}, got {value}"
        also = "".join(f"{number:g} or " for number in self.also)
        return f"expected {also}{'more than' if self.above else 'at least'} {self.least:g}, got {value}"


_RANGES = {
    "trainer.max_epochs": Range(1, (-1,)),
    "trainer.min_epochs": Range(0),
    "trainer.max_steps": Range(1, (-1,)),
    "trainer.min_steps": Range(0),
    "trainer.limit_train_batches": Range(0, above=True),
    "trainer.limit_val_batches": Range(0),
    "trainer.limit_test_batches": Range(0),
    "trainer.val_check_interval": Range(0, above=True),
    "trainer.check_val_every_n_epoch": Range(1),
    "trainer.num_sanity_val_steps": Range(0, (-1,)),
    "trainer.log_every_n_steps": Range(1),
    "trainer.accumulate_grad_batches": Range(1),
    "trainer.gradient_clip_val": Range(0),
    "trainer.num_nodes": Range(1),
    "data.batch_size": Range(1),
    "data.eval_batch_size": Range(1),
    "data.workers": Range(0),
    "data.limit_train": Range(1),
    "data.limit_val": Range(1),
    "data.limit_test": Range(1),
    "callbacks.checkpoint.every_steps": Range(1),
    "callbacks.checkpoint.every_minutes": Range(0),
    "callbacks.early_stop.patience": Range(1),
    "callbacks.early_stop.min_delta": Range(0),
    "callbacks.pictures.every_n_epochs": Range(1),
    "callbacks.pictures.samples": Range(0),
    "optimizer.lr": Range(0),
    "optimizer.weight_decay": Range(0),
    "scheduler.final": Range(0),
}
# of any transform below data.augment, whoever wrote it
_SHARES = {name: Range(0, most=1) for name in ("p", "min_share")}
_SPANS = ("scale", "ratio")  # from, to
_FRACTIONS = ("limit_train_batches", "limit_val_batches", "limit_test_batches", "val_check_interval")

# Parameters of the Trainer that would do nothing here, or against what a run is: the value that leaves one
# out, and what to use instead.
_INSTEAD: dict[str, tuple[object, str]] = {
    "barebones": (False, "trainer=profile tells where the time goes"),
    "enable_autolog_hparams": (True, "loggers are always given the configuration"),
    "enable_checkpointing": (True, "~callbacks.checkpoint leaves checkpoints out"),
    "enable_model_summary": (False, "the header says how many parameters there are"),
    "enable_progress_bar": (False, "callbacks.progress is the progress line"),
    "fast_dev_run": (False, "trainer=smoke runs two batches of everything"),
    "limit_predict_batches": (None, "vision-apps predict takes what is named"),
    "model_registry": (None, "vision-apps export writes one file with a card"),
    "overfit_batches": (
        0,
        "trainer=overfit trains on one batch of 32; data.limit_train limits what there is",
    ),
    "reload_dataloaders_every_n_epochs": (0, "the order of each epoch is drawn anew"),
}
_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_PROFILERS = ("simple", "advanced", "pytorch")

# Lightning's callbacks that do here what they say; those that do not, and what does.
_CALLBACKS = ("LearningRateMonitor", "DeviceStatsMonitor")
_CALLBACKS_INSTEAD = {
    "BatchSizeFinder": "vision-apps tune batch",
    "LearningRateFinder": "vision-apps tune lr",
    "EarlyStopping": "callbacks=early_stop",
    "EMAWeightAveraging": "callbacks=ema",
    "GradientAccumulationScheduler": "trainer.accumulate_grad_batches",
    "ModelCheckpoint": "callbacks.checkpoint",
    "OnExceptionCheckpoint": "callbacks.checkpoint",
    "RichProgressBar": "callbacks.progress",
    "StochasticWeightAveraging": "callbacks=ema, whose average is what is measured and kept",
    "TQDMProgressBar": "callbacks.progress",
    "Timer": "trainer.max_time",
    "WeightAveraging": "callbacks=ema",
}


def seconds(duration: object) -> float | None:
    """Of ``trainer.max_time``: ``days:hours:minutes:seconds``, or a mapping of ``datetime.timedelta``'s
    arguments; None where there is none. `ConfigError` where it is neither."""
    if duration is None:
        return None
    if isinstance(duration, str) and (parts := re.fullmatch(r"(\d+):(\d\d):(\d\d):(\d\d)", duration.strip())):
        days, hours, minutes, rest = map(int, parts.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=rest).total_seconds()
    if isinstance(duration, Mapping):
        try:
            return timedelta(**duration).total_seconds()
        except TypeError as error:
            raise ConfigError(f"expected days, hours, minutes, seconds: {error}") from None
    hint = (
        f" ('00:{duration}'?)"
        if isinstance(duration, str) and re.fullmatch(r"\d+:\d\d:\d\d", duration)
        else ""
    )
    raise ConfigError(f"expected days:hours:minutes:seconds as in 00:01:30:00, got {duration!r}{hint}")


def spelled(duration: float) -> str:
    """Seconds as ``trainer.max_time`` takes them: ``days:hours:minutes:seconds``."""
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days:02d}:{hours:02d}:{minutes:02d}:{rest:02d}"


def problems(config: Config) -> Iterator[str]:
    """Everything in a plain configuration that its signatures allow and a run does not."""
    for key, allowed in _RANGES.items():
        problem = allowed.problem(_at(config, key))
        if problem:
            yield f"{key}: {problem}"
    trainer = config.get("trainer")
    if isinstance(trainer, dict) and trainer.get("_target_") == "pytorch_lightning.Trainer":
        yield from _of_the_trainer(trainer)
    for name, node in (config.get("callbacks") or {}).items():
        if isinstance(node, dict):
            yield from _of_a_callback(f"callbacks.{name}", node)
    yield from _of_a_transform("data.augment", _at(config, "data.augment"))


def _of_a_transform(key: str, node: object) -> Iterator[str]:
    """And of those that it holds."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _of_a_transform(f"{key}[{index}]", item)
    for name, value in node.items() if isinstance(node, dict) else ():
        if name in _SHARES and (problem := _SHARES[name].problem(value)):
            yield f"{key}.{name}: {problem}"
        elif name in _SPANS and isinstance(value, list) and not _rises(value):
            yield f"{key}.{name}: expected two numbers above 0, the smaller one first, got {value}"
        else:
            yield from _of_a_transform(f"{key}.{name}", value)


def _rises(span: list[object]) -> bool:
    """Whether numbers do; what is no list of two numbers is held against the signature, or by its package."""
    if len(span) != 2 or not all(isinstance(number, int | float) for number in span):
        return True
    low, high = span
    return 0 < low <= high  # type: ignore[operator]


def _at(config: object, key: str) -> object:
    for name in key.split("."):
        config = config.get(name) if isinstance(config, dict) else None
    return config


def _of_the_trainer(trainer: Config) -> Iterator[str]:
    for name, (neutral, instead) in _INSTEAD.items():
        if trainer.get(name) not in (None, neutral):
            yield f"trainer.{name}: is not supported here; {instead}"
    for name in _FRACTIONS:
        value = trainer.get(name)
        if isinstance(value, float) and value > 1 and value % 1:
            yield f"trainer.{name}: expected a share up to 1.0 or a whole number of batches, got {value}"
    try:
        most = seconds(trainer.get("max_time"))
    except ConfigError as error:
        yield f"trainer.max_time: {error}"
    else:
        if most == 0:
            yield "trainer.max_time: expected more than 0 seconds"
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", "auto")
    if accelerator == "cpu" and not (devices == "auto" or (isinstance(devices, int) and devices > 0)):
        yield f"trainer.devices: on the CPU, expected a number of processes, as in 2, got {devices}"
    elif isinstance(devices, str) and not re.fullmatch(r"auto|-?\d+(, ?\d+)*,?", devices):
        hint = "; trainer=cpu trains on the CPU" if devices == "cpu" else ""
        yield f"trainer.devices: expected auto, a number, or a list of them, got {devices}{hint}"
    elif devices in (0, "0", []):
        yield f"trainer.devices: expected at least 1, -1 for all, or a list of their numbers, got {devices}"
    strategy = trainer.get("strategy", "auto")
    if isinstance(strategy, str) and strategy not in _STRATEGIES:
        yield (
            f"trainer.strategy: {strategy} is not supported here; expected {', '.join(_STRATEGIES)}, or the "
            "_target_ of another strategy that is started as ddp is"
        )
    profiler = trainer.get("profiler")
    if isinstance(profiler, str) and profiler not in _PROFILERS:
        yield f"trainer.profiler: expected {', '.join(_PROFILERS)}, got {profiler}"
    clip = trainer.get("gradient_clip_algorithm")
    if clip not in (None, "norm", "value"):
        yield f"trainer.gradient_clip_algorithm: expected norm or value, got {clip}"
    interval = trainer.get("val_check_interval")
    if isinstance(interval, str | dict):
        yield (
            f"trainer.val_check_interval: expected batches or a share of an epoch, got {interval}; by time a "
            "run that goes on would not validate where it did before"
        )
    if trainer.get("check_val_every_n_epoch", 1) is None and not isinstance(interval, int):
        yield f"trainer.check_val_every_n_epoch: null needs val_check_interval in batches, got {interval}"
    if trainer.get("max_epochs", -1) is None and trainer.get("max_steps", -1) == -1:
        yield "trainer.max_epochs: null has no end; expected a number, or -1 with max_steps or max_time"
    elif (
        trainer.get("max_epochs") == -1 and trainer.get("max_steps", -1) == -1 and not trainer.get("max_time")
    ):
        yield "trainer.max_epochs: -1 has no end without trainer.max_steps or trainer.max_time"


def _of_a_callback(key: str, node: Config) -> Iterator[str]:
    try:
        found = resolve(node.get("_target_"))
    except ConfigError:  # which is told where the target stands
        return
    name = found.__name__
    if found.__module__.startswith("pytorch_lightning.") and name not in _CALLBACKS:
        instead = _CALLBACKS_INSTEAD.get(name)
        use = f"use {instead}" if instead else "a class of yours that derives from it is, see allow_targets"
        yield f"{key}: Lightning's {name} is not supported here; {use}"
