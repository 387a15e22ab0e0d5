"""A loss that is not a number stops the run while the cause can still be seen."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from vision_apps.core.errors import RunError
from vision_apps.core.fields import Fields
from vision_apps.core.module import VisionModule


class FiniteLoss(pl.Callback):
    """Stops a run whose loss is NaN or infinite, before a checkpoint holds it, and saves the batch that
    caused it.

    On a GPU the check is read one step late, so that it never waits for the device.
    """

    def __init__(self, folder: str | Path = ".") -> None:
        self.folder = Path(folder)
        self._batch: Fields
        self._pending: tuple[torch.cuda.Event, torch.Tensor, int, dict[str, torch.Tensor], Fields] | None = (
            None
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Fields, batch_idx: int
    ) -> None:
        self._batch = batch

    def on_before_backward(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: torch.Tensor
    ) -> None:
        parts = {"loss": loss.detach()}
        if isinstance(pl_module, VisionModule):
            parts = pl_module.losses.latest
        finite = torch.isfinite(loss.detach())
        if loss.device.type == "cpu":
            self._judge(finite, trainer.global_step, parts, self._batch)
            return
        self._settle()
        copied, done = finite.to("cpu", non_blocking=True), torch.cuda.Event()
        done.record()
        self._pending = (done, copied, trainer.global_step, parts, self._batch)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._settle()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._settle()

    def _settle(self) -> None:
        if self._pending is not None:
            done, finite, step, parts, batch = self._pending
            self._pending = None
            done.synchronize()
            self._judge(finite, step, parts, batch)

    def _judge(self, finite: torch.Tensor, step: int, parts: dict[str, torch.Tensor], batch: Fields) -> None:
        if finite:
            return
        path = self.folder / f"bad-batch-step-{step}.pt"
        fields = {
            name: value.cpu() for name, value in batch._asdict().items() if isinstance(value, torch.Tensor)
        }
        torch.save(fields, path)
        shown = ", ".join(f"{name}={float(value):.6g}" for name, value in parts.items())
        raise RunError(
            f"the loss is not finite at step {step}: {shown}. The batch is saved in {path}. "
            "Try a lower optimizer.lr, precision=32-true or trainer.gradient_clip_val=1"
        )
