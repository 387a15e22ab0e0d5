"""When a run saves itself, and how it stops when asked to."""

import logging
import math
import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from vision_apps.core import beginning
from vision_apps.core.asked_to_stop import Asked
from vision_apps.core.checkpoint_io import BEST, LAST, PREVIOUS
from vision_apps.core.errors import RunError
from vision_apps.core.module import VisionModule
from vision_apps.core.run_folder import RunFolder

log = logging.getLogger(__name__)

# Processes that train together ask each other only so often whether to stop: asking waits.
CONSENSUS_STEPS = 16


class Interrupted(RunError):  # noqa: N818 - it names an event, not a failure
    """The user or the scheduler asked the run to stop; it saved itself."""

    status = 130  # as shells report a process that Ctrl-C ended


class Pruned(RunError):  # noqa: N818 - it names an event, not a failure
    """A sweep gave the run up, because others were better at the same epoch."""

    status = 3  # of the process: neither finished nor failed


class Checkpoints(Checkpoint):
    """Keeps ``last.ckpt`` (at each epoch's end, every few minutes, and when the run stops), the one before it
    as ``previous.ckpt``, and ``best.ckpt``, the weights whose validation was best by the task's monitored
    metric. Few validation samples give many equals: of these it is the one with the least ``val/loss``, then
    the last, for which the rate has fallen. A validation that does not define the metric is told and keeps
    nothing. Weights that were measured before the first step count like any others.

    The first Ctrl-C, SIGTERM or SIGHUP lets the running step finish, saves and stops; the second stops at
    once.

    Args:
        monitor, mode: the metric of ``best.ckpt`` and whether less (``min``) or more (``max``) of it is
        better.
        every_minutes: at most so much work is lost when the process is killed.
        every_steps: at most so many steps are lost.
        folder: the run's; checkpoints go to ``checkpoints`` in it.
        record: what rebuilds the module, as plain data that every checkpoint holds.
    """

    def __init__(
        self,
        monitor: str,
        mode: Literal["min", "max"] = "min",
        every_minutes: float = 5.0,
        every_steps: int | None = None,
        folder: str | Path = ".",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        self.monitor = monitor
        self.mode = mode
        self.every_minutes = every_minutes
        self.every_steps = every_steps
        self.best: float | None = None
        self.best_loss = math.inf  # of the same validation
        self.best_epoch: int | None = None
        self.record = dict(record or {})
        self.folder = Path(folder) / "checkpoints"
        self._saved_at = time.monotonic()
        self._saved_step = -1
        self._asked = Asked("stopping after this step; once more to stop at once")
        self._stopping = False
        self._save_after_validation = False
        self._ends_after_step = False
        self._validated = False  # what the run goes on from was written by a validation
        self._told = False
        self._unknown: RunError | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self.best_loss = state_dict.get("best_loss", math.inf)  # of an earlier version

    def setup(self, trainer: pl.Trainer, module: object, stage: str) -> None:
        loop = trainer.fit_loop.epoch_loop
        self._due = loop._should_check_val_fx
        loop._should_check_val_fx = partial(self._validates, trainer)  # type: ignore[method-assign]

    def on_save_checkpoint(self, trainer: pl.Trainer, module: object, checkpoint: dict[str, Any]) -> None:
        checkpoint.update(self.record, in_validation=trainer.validating)

    def on_load_checkpoint(self, trainer: object, module: object, checkpoint: dict[str, Any]) -> None:
        self._validated = checkpoint.get("in_validation", False)

    def on_train_start(self, *_: object) -> None:
        self._saved_at = time.monotonic()
        # in place of Lightning's own for SIGTERM, which stops without a checkpoint
        self._asked.listen()

    def on_train_end(self, *_: object) -> None:
        self._asked.give_back()

    def on_exception(self, *_: object) -> None:
        self._asked.give_back()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: object, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches and not trainer.is_last_batch:
            # gradients that are being summed are not in a checkpoint: what ends the run waits for the step
            self._ends_after_step |= trainer.should_stop
            trainer.should_stop = False
            return
        trainer.should_stop |= self._ends_after_step
        if trainer.is_last_batch:
            return  # the epoch's end saves, after the validation
        due = self._ends(trainer)
        due |= self.every_steps is not None and trainer.global_step % self.every_steps == 0
        stop = False
        if trainer.world_size == 1 or (batch_idx + 1) % CONSENSUS_STEPS == 0:
            late = time.monotonic() - self._saved_at > 60 * self.every_minutes
            if self._agreed(trainer, late or self._asked.number is not None):
                due, stop = True, self._agreed(trainer, self._asked.number is not None)
        if due:
            self._stopping = stop
            # a run that resumes from a checkpoint of just before a validation would skip it
            self._save_after_validation = self._validates(trainer, trainer.fit_loop._data_fetcher)
            if not self._save_after_validation:
                self._save_last(trainer)

    def on_train_batch_start(self, *_: object) -> None:
        # not earlier: a step's line in `metrics.csv` is written after `on_train_batch_end`
        if self._stopping:
            raise self._interrupted()

    def on_validation_start(self, trainer: pl.Trainer, *_: object) -> None:
        # what this validation does not measure, the one before it has not measured for it
        for name in [name for name in trainer.callback_metrics if name.startswith("val/")]:
            del trainer.callback_metrics[name]

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if self.monitor.startswith("val/"):
            self._judge(trainer, module)
        if not trainer.is_last_batch and (self._save_after_validation or self._ends(trainer)):
            self._save_last(trainer)
            self._refuse_unknown()
        self._save_after_validation = False

    def on_sanity_check_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if beginning.measured(trainer) and self.monitor.startswith("val/"):
            self._judge(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.monitor.startswith("val/"):
            self._judge(trainer, module)
        # an epoch that was cut was saved where it was cut, and goes on there
        if trainer.is_last_batch or self._saved_step != trainer.global_step:
            self._save_last(trainer)
        self._refuse_unknown()
        if self._agreed(trainer, self._asked.number is not None):
            raise self._interrupted()

    @staticmethod
    def _ends(trainer: pl.Trainer) -> bool:
        """Whether this step is the run's last."""
        stopped = trainer.should_stop and trainer.fit_loop._can_stop_early
        epochs = trainer.is_last_batch and 0 < (trainer.max_epochs or -1) <= trainer.current_epoch + 1
        return stopped or epochs or 0 <= trainer.max_steps <= trainer.global_step

    def _validates(self, trainer: pl.Trainer, fetcher: Any) -> bool:
        """Whether a validation follows this batch: where Lightning has one, and at the run's last step, which
        it leaves unmeasured where that is between two validations. What a validation has written goes on
        behind it."""
        behind = trainer.fit_loop.epoch_loop.restarting and self._validated
        return trainer.enable_validation and (self._due(fetcher) or behind or self._ends(trainer))

    def _judge(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Keep the weights that were just measured where they are the best so far."""
        logged = trainer.callback_metrics.get(self.monitor)
        new = math.nan if logged is None else float(logged)  # of NaN nothing would ever be better
        if math.isnan(new):
            names = ", ".join(sorted(trainer.callback_metrics))
            conditional = module.conditional if isinstance(module, VisionModule) else ()
            if logged is None and self.monitor.removeprefix("val/") not in conditional:
                self._unknown = RunError(f"task.monitor: {self.monitor} was not logged; logged are: {names}")
            elif not self._told:
                self._told = True
                log.warning(
                    "task.monitor: %s is %s in the validation after step %d, so it cannot be the best; "
                    "best.ckpt is written where it is a number (told once)",
                    self.monitor, "not defined" if logged is None else "NaN", trainer.global_step,
                )  # fmt: skip
            return
        loss = float(trainer.callback_metrics.get("val/loss", math.inf))
        loss = math.inf if math.isnan(loss) else loss
        if self._better(new, loss):
            self.best, self.best_loss = new, loss
            self.best_epoch = beginning.EPOCH if trainer.sanity_checking else trainer.current_epoch
            trainer.save_checkpoint(self.folder / BEST, weights_only=False)

    def _better(self, new: float, loss: float) -> bool:
        if self.best is None:
            return True
        if new == self.best:
            return loss <= self.best_loss
        return new < self.best if self.mode == "min" else new > self.best

    def _refuse_unknown(self) -> None:
        """Stop for a metric that no validation can log, after what was trained is saved."""
        if self._unknown is not None:
            raise self._unknown

    def _save_last(self, trainer: pl.Trainer) -> None:
        last = self.folder / LAST
        if trainer.is_global_zero and last.is_file():
            os.replace(last, self.folder / PREVIOUS)
        trainer.save_checkpoint(last, weights_only=False)
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    @staticmethod
    def _agreed(trainer: pl.Trainer, decision: bool) -> bool:
        """All ranks act on what any rank decided."""
        if trainer.world_size == 1:
            return decision
        return trainer.strategy.reduce_boolean_decision(decision, all=False)

    def _interrupted(self) -> Interrupted:
        name = signal.Signals(self._asked.number).name if self._asked.number else "another rank's signal"
        return Interrupted(f"stopped by {name}; continue with: {RunFolder(self.folder.parent).going_on()}")
