"""A run that ends where its monitored metric no longer improves."""

from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning import callbacks


class EarlyStopping(callbacks.EarlyStopping):
    """Stops after ``patience`` validations in a row that did not improve the metric by more than
    ``min_delta``. NaN is no improvement; a validation that does not define the metric does not count.

    A run that stopped goes on when it is resumed with more patience.
    """

    def __init__(
        self,
        monitor: str,
        mode: Literal["min", "max"] = "min",
        patience: int = 5,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(
            monitor,
            min_delta,
            patience,
            mode=mode,
            strict=False,
            check_finite=False,
            check_on_train_epoch_end=False,  # an epoch may have several validations, or none
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})  # what is configured now

    def on_fit_start(self, trainer: pl.Trainer, pl_module: object) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: object) -> None:
        if trainer.is_global_zero and self.wait_count >= self.patience:
            print(
                f"stopped early: {self.monitor} has not improved for {self.wait_count} validations "
                f"(callbacks.early_stop.patience={self.patience})"
            )
