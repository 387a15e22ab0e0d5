"""What the parts of a run that was resumed add up to."""

import time
from typing import Any

import pytorch_lightning as pl

from vision_apps.core import hardware
from vision_apps.core.data import VisionData
from vision_apps.core.plain import Past


class Parts(pl.Callback):
    """Keeps in every checkpoint what is in no weights: how long it took, how much memory, which files were
    broken. A run that is killed loses of it what it loses of its training.

    Args:
        data: whose loaders know the broken files.
        began: when this part began, of ``time.monotonic``.
    """

    def __init__(self, data: VisionData, began: float) -> None:
        self.data = data
        self.began = began
        self._before: Past = {"seconds": 0.0, "peak_memory": None, "corrupt_files": {}}

    def on_save_checkpoint(self, trainer: pl.Trainer, module: object, checkpoint: dict[str, Any]) -> None:
        checkpoint["past"] = self.so_far(trainer)

    def on_load_checkpoint(self, trainer: object, module: object, checkpoint: dict[str, Any]) -> None:
        self._before = checkpoint["past"]

    def so_far(self, trainer: pl.Trainer) -> Past:
        """Of all parts, this one included."""
        before = self._before
        peaks = (before["peak_memory"], hardware.peak_memory(trainer.strategy.root_device))
        corrupt = dict(before["corrupt_files"])
        for loader in self.data.loaders.values():
            corrupt |= loader.corrupt
        return {
            "seconds": round(before["seconds"] + time.monotonic() - self.began, 1),
            "peak_memory": max((peak for peak in peaks if peak is not None), default=None),
            "corrupt_files": corrupt,
        }
