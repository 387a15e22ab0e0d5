"""What a network that knows something already is worth before the first step."""

import math

import pytorch_lightning as pl

EPOCH = STEP = -1  # of what is measured before the first step


def measured(trainer: pl.Trainer) -> bool:
    """Whether what Lightning calls a sanity check is a whole validation, ``num_sanity_val_steps=-1``."""
    return trainer.num_sanity_val_steps == math.inf


class Beginning(pl.Callback):
    """Logs a whole validation before the first step as any other, which Lightning throws away; when that step
    is due, since a run that began before loses then what it had logged."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: object) -> None:
        if measured(trainer):
            self._values = {name: float(value) for name, value in trainer.callback_metrics.items()}

    def on_train_start(self, trainer: pl.Trainer, pl_module: object) -> None:
        for logger in trainer.loggers if self._values else ():
            logger.log_metrics({"epoch": EPOCH, **self._values}, step=STEP)
