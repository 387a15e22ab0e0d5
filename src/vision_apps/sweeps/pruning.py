"""Giving up a run of a sweep that is worse than the others were at the same epoch."""

from pathlib import Path

import optuna
import pytorch_lightning as pl

from vision_apps.core import storages
from vision_apps.core.checkpoint import Pruned
from vision_apps.sweeps import studies
from vision_apps.sweeps.settings import PRUNERS


class Pruning(pl.Callback):
    """Reports the monitored metric after each validation and stops the run where the pruner says so.

    Rank 0 reports and asks; all ranks stop together, before the next epoch begins, so that the epoch's
    checkpoint is complete.

    Args:
        folder: of the run, somewhere below that of its sweep, whose ``study.json`` says where the study is
            kept.
        pruner: its short name, as ``median``.
        options: arguments of its Optuna class.
    """

    def __init__(
        self, trial: int, metric: str, pruner: str, options: dict[str, object], folder: str = "."
    ) -> None:
        above = Path(folder).absolute().parents
        self.sweep = next((path for path in above if (path / "study.json").is_file()), above[0])
        self.number, self.metric = trial, metric
        self.pruner, self.options = pruner, options
        self._study: optuna.Study | None = None
        self._give_up = False

    def on_validation_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.sanity_checking:
            return
        worse = False
        value = trainer.callback_metrics.get(self.metric)
        if trainer.is_global_zero and value is not None:
            worse = self._report(float(value), trainer.current_epoch)
        self._give_up = trainer.strategy.broadcast(worse)

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if self._give_up:
            raise Pruned(f"pruned after epoch {trainer.current_epoch}: others were better by then")

    def _report(self, value: float, epoch: int) -> bool:
        """Keep the value in the study; returns whether the pruner gives the run up."""
        place, name = storages.where(self.sweep)
        with studies.explained(place):
            if self._study is None:
                self._study = optuna.load_study(study_name=name, storage=studies.open_storage(place))
            storage = self._study._storage  # a Trial would ask the sampler for values
            trial_id = studies.trial_id(self._study, self.number)
            storage.set_trial_intermediate_value(trial_id, epoch, value)
            pruner = getattr(optuna.pruners, PRUNERS[self.pruner])(**self.options)
            return bool(pruner.prune(self._study, storage.get_trial(trial_id)))
