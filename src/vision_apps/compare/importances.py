"""Which settings of a sweep mattered, as Optuna judges from its study."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vision_apps.core.errors import ConfigError
from vision_apps.core.storages import JOURNAL, SQLITE, where

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

ENOUGH = 10  # finished trials


def importances(sweep: Path) -> dict[str, dict[str, float]] | str:
    """Objective to setting to its share of the importance (PED-ANOVA, Watanabe et al. 2023, as Optuna has
    it), or why there is none."""
    import optuna

    try:
        place, name = where(sweep)
        study = optuna.load_study(study_name=name, storage=_storage(place))
        finished = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        if len(finished) < ENOUGH:
            return f"needs {ENOUGH} finished trials, there are {len(finished)}"
        # None is the only objective, in its own direction
        targets: list[Callable[[FrozenTrial], float] | None] = [None]
        if len(study.directions) > 1:
            targets = [partial(_loss, index, each.name) for index, each in enumerate(study.directions)]
        objectives = study.user_attrs["objectives"]
        with warnings.catch_warnings():
            # that low targets are good
            warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes")
            return {
                name: optuna.importance.get_param_importances(study, target=target)
                for name, target in zip(objectives, targets, strict=True)
            }
    except ConfigError as error:
        return str(error)
    # the storage may be a server that is gone; the text of such an error may hold its password
    except Exception as error:  # noqa: BLE001 - drivers of databases share no class
        return f"Optuna cannot take it from this study ({type(error).__name__})"


def _loss(index: int, direction: str, trial: "FrozenTrial") -> float:
    """One of several objectives, low where it is good."""
    value = trial.values[index]
    return value if direction == "MINIMIZE" else -value


def _storage(url: str) -> "str | BaseStorage":
    """A file has to be there, and not empty: otherwise Optuna would make a new study."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    scheme = next((known for known in (JOURNAL, SQLITE) if url.startswith(known)), None)
    if scheme is None:
        return url
    path = url.removeprefix(scheme)
    if not Path(path).stat().st_size:
        raise ValueError("empty")
    return JournalStorage(JournalFileBackend(path)) if scheme == JOURNAL else url
