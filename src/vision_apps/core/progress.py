"""What a person sees while a run trains: a live line on a terminal, one line per epoch everywhere."""

import sys
import time
from collections.abc import Mapping

import pytorch_lightning as pl
from pytorch_lightning.utilities.types import STEP_OUTPUT
from torch import Tensor

from vision_apps.core import beginning

_LIVE_SECONDS = 0.5  # between two live lines


def duration(seconds: float) -> str:
    """``minutes:seconds``, from an hour on ``hours:minutes:seconds``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress(pl.Callback):
    """Epoch, step, samples per second, loss and the time left; then the epoch's validation figures, if it
    had a validation."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._started = self._shown = 0.0
        self._samples = 0
        self._first_step = 0
        self._validated = False  # in this epoch

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        self._train_started = self._started = time.monotonic()  # an epoch that goes on does not start
        self._first_step = trainer.global_step

    def on_train_epoch_start(self, *_: object) -> None:
        self._started, self._samples = time.monotonic(), 0
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, *_: object) -> None:
        self._validated = not trainer.sanity_checking

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: STEP_OUTPUT,
        batch: tuple[Tensor, ...],
        *_: object,
    ) -> None:
        assert isinstance(outputs, Mapping)
        self._samples += len(batch[0]) * trainer.world_size
        now = time.monotonic()
        if self.live and trainer.is_global_zero and now - self._shown > _LIVE_SECONDS:
            self._shown = now
            steps = trainer.estimated_stepping_batches  # infinite where only time ends the run
            done = trainer.global_step - self._first_step
            left = (now - self._train_started) / max(1, done) * (steps - trainer.global_step)
            loss = f" · loss {float(outputs['loss']):.4g}" if _followed(pl_module) == "train/loss" else ""
            ends = f" · {duration(left)} left" if left < float("inf") else ""
            text = (
                f"epoch {_epoch(trainer)} · step {trainer.global_step}/{steps}"
                f" · {self._rate(now):,.0f} samples/s{loss}{ends}"
            )
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        if self.live:
            print("\r\033[K", end="", file=sys.stderr)
        rate = self._rate(time.monotonic())
        figures = self._figures(trainer, pl_module)
        print(f"epoch {_epoch(trainer)} · {rate:,.0f} samples/s · {figures}", flush=True)

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and beginning.measured(trainer):
            self._validated = True
            print(f"beginning · {self._figures(trainer, pl_module)}", flush=True)

    def _figures(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> str:
        headline = [f"val/{name}" for name in getattr(pl_module, "headline", ())]
        return " · ".join(
            f"{name} {float(value):.4g}"
            for name, value in sorted(trainer.callback_metrics.items())
            if name == _followed(pl_module)
            or (self._validated and (name in headline or (not headline and name.startswith("val/"))))
        )

    def _rate(self, now: float) -> float:
        return self._samples / max(1e-9, now - self._started)


def _followed(module: pl.LightningModule) -> str:
    return f"train/{getattr(module, 'followed', 'loss')}"


def _epoch(trainer: pl.Trainer) -> str:
    """``3/10``, or ``3`` where steps or time end the run."""
    last = trainer.max_epochs or -1
    return f"{trainer.current_epoch + 1}" + (f"/{last}" if last > 0 else "")
