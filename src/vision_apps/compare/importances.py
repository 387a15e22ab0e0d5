"""Which settings of a sweep mattered, as Optuna judges from its study."""

import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

ENOUGH = 10  # finished trials
_JOURNAL, _SQLITE = "journal://", "sqlite:///"


def importances(sweep: Path) -> dict[str, dict[str, float]] | str:
    """Objective to setting to its share of the importance (PED-ANOVA, Watanabe et al. 2023, as Optuna has
    it), or why there is none."""
    import optuna

    try:
        where = json.loads((sweep / "study.json").read_text())
        study = optuna.load_study(study_name=where["study"], storage=_storage(where["storage"], sweep))
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
    # the storage may be a server that is gone; the text of such an error may hold its password
    except Exception as error:  # noqa: BLE001 - drivers of databases share no class
        return f"Optuna cannot take it from this study ({type(error).__name__})"


def _loss(index: int, direction: str, trial: "FrozenTrial") -> float:
    """One of several objectives, low where it is good."""
    value = trial.values[index]
    return value if direction == "MINIMIZE" else -value


def _storage(url: str, sweep: Path) -> "str | BaseStorage":
    """Of a file in the sweep's folder, the one that is there now: that may have been moved or copied."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    scheme = next((known for known in (_JOURNAL, _SQLITE) if url.startswith(known)), None)
    if scheme is None:
        return url
    path = Path(url.removeprefix(scheme))
    path = sweep / path.name if (sweep / path.name).is_file() else path
    if not path.stat().st_size:  # of a missing or empty file Optuna would make a new study
        raise ValueError("empty")
    if scheme == _JOURNAL:
        return JournalStorage(JournalFileBackend(str(path)))
    return f"{_SQLITE}{path.absolute()}"
