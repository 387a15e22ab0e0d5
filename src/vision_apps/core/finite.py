"""A loss that is not a number stops the run while the cause can still be seen."""

from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor

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
        self._pending: tuple[torch.cuda.Event, Tensor, int, dict[str, Tensor], Fields] | None = None

    def on_train_batch_start(self, trainer: object, module: object, batch: Fields, *_: object) -> None:
        self._batch = batch

    def on_before_backward(self, trainer: pl.Trainer, module: pl.LightningModule, loss: Tensor) -> None:
        parts = module.losses.latest if isinstance(module, VisionModule) else {"loss": loss.detach()}
        finite = torch.isfinite(loss.detach())
        if loss.device.type == "cpu":
            self._judge(finite, trainer.global_step, parts, self._batch)
            return
        self._settle()
        copied, done = finite.to("cpu", non_blocking=True), torch.cuda.Event()
        done.record()
        self._pending = (done, copied, trainer.global_step, parts, self._batch)

    def on_save_checkpoint(self, *_: object) -> None:
        self._settle()

    def on_train_end(self, *_: object) -> None:
        self._settle()

    def _settle(self) -> None:
        if self._pending is not None:
            done, finite, step, parts, batch = self._pending
            self._pending = None
            done.synchronize()
            self._judge(finite, step, parts, batch)

    def _judge(self, finite: Tensor, step: int, parts: dict[str, Tensor], batch: Fields) -> None:
        if finite:
            return
        path = self.folder / f"bad-batch-step-{step}.pt"
        found = batch._asdict().items()
        torch.save({name: value.cpu() for name, value in found if isinstance(value, Tensor)}, path)
        shown = ", ".join(f"{name}={float(value):.6g}" for name, value in parts.items())
        raise RunError(
            f"the loss is not finite at step {step}: {shown}. The batch is saved in {path}. "
            "Try a lower optimizer.lr, precision=32-true or trainer.gradient_clip_val=1"
        )
