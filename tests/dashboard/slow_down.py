"""A training that takes its time and leaves the processor to others."""

import time
from typing import Any

import pytorch_lightning as pl


class SlowDown(pl.Callback):
    def on_train_batch_end(self, *rest: Any) -> None:
        time.sleep(0.05)
