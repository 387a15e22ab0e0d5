"""The Optuna study of a sweep, which any other Optuna program can read."""

import contextlib
import json
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import optuna
import sqlalchemy.exc
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from vision_apps.core.config import check
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import ConfigError
from vision_apps.core.plain_files import write_whole
from vision_apps.core.storages import JOURNAL, NAMED, SQLITE, shown, where
from vision_apps.sweeps.settings import PRUNERS, SAMPLERS, Settings

_LOCKED_SECONDS = 30  # that SQLite waits for another writer
_TRIES = 5  # to open an empty database
_WITHOUT_SEED_OFFSET = ("qmc",)  # its sequence is counted in the study
# user attributes of a trial
OWNER, SUPERSEDED, BY_SEED, BY_FOLD = "sweep", "superseded", "by_seed", "by_fold"

optuna.logging.set_verbosity(optuna.logging.WARNING)


def place(path: Path) -> str:
    """URL of the storage of a study in the SQLite file ``path``."""
    return f"{SQLITE}{path.absolute()}"


@contextlib.contextmanager
def explained(storage: str) -> Iterator[None]:
    """A context in which a storage that cannot be used is a `ConfigError` that says how to mend it."""
    try:
        yield
    except (
        optuna.exceptions.StorageInternalError,
        sqlalchemy.exc.SQLAlchemyError,
        ImportError,
        ValueError,
        OSError,
    ) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        if isinstance(error, ImportError):
            hint = "install the driver of that database with pip"
        elif "locked" in reason:
            hint = f"another program has had it for more than {_LOCKED_SECONDS} s; end that and start again"
        elif "not a database" in reason or "malformed" in reason or "no such table" in reason:
            hint = (
                "the file is damaged or is no study; move it away to begin a new one "
                "(finished runs stay in trials/)"
            )
        else:
            hint = "expected an SQLAlchemy URL as sqlite:///study.db or postgresql://host/name, or journal://FILE"
        raise ConfigError(f"storage: {shown(storage)}: {reason}; {hint}") from error


def open_storage(storage: str, tries: int = _TRIES) -> BaseStorage:
    """The storage of an SQLAlchemy URL or ``journal://FILE``; an empty database gets its tables."""
    if storage.startswith(JOURNAL):
        return JournalStorage(JournalFileBackend(storage.removeprefix(JOURNAL)))
    arguments = {"timeout": _LOCKED_SECONDS} if storage.startswith("sqlite") else {}
    try:
        return RDBStorage(storage, engine_kwargs={"connect_args": arguments})
    except sqlalchemy.exc.DBAPIError as error:
        # of programs that make the tables of an empty database at the same time all but one fail
        if tries == 1 or not re.search(r"already exists|duplicate key", str(error)):
            raise
    time.sleep(1)
    return open_storage(storage, tries - 1)


def open_study(
    storage: str,
    name: str,
    settings: Settings,
    objectives: Mapping[str, str],
    identity: Mapping[str, object],
    seed: int,
) -> optuna.Study:
    """Make the study, or join it.

    Args:
        objectives: metric to ``min`` or ``max``.
        identity: of the search, as plain data; a study that was made for another one is refused.
        seed: of the sampler.

    Raises:
        ConfigError: the storage cannot be used, the study is another search's, an option does not exist.
    """
    low, high = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
    directions = [low if mode == "min" else high for mode in objectives.values()]
    pruner = _option("pruner", settings.pruner, PRUNERS, optuna.pruners, settings.pruner_options)
    with explained(storage):
        opened = open_storage(storage)
        new, begun = name not in optuna.get_all_study_names(opened), 0
        if not new:
            loaded = optuna.load_study(study_name=name, storage=opened)
            _require_same(loaded, directions, identity, storage, name)
            begun = len(loaded.trials)
        # a sampler that starts again must not repeat its first points
        offset = 0 if settings.sampler in _WITHOUT_SEED_OFFSET else begun
        seeded = {"seed": seed + offset, **settings.sampler_options}
        sampler = _option("sampler", settings.sampler, SAMPLERS, optuna.samplers, seeded)
        study = optuna.create_study(
            study_name=name,
            storage=opened,
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
            directions=directions,
            load_if_exists=True,
        )
        if new:
            for key, value in identity.items():
                study.set_user_attr(key, value)
    return study


def _option(
    key: str, name: str | None, names: Mapping[str, str], module: ModuleType, options: Mapping[str, object]
) -> Any:
    if name is None:
        return None
    target = getattr(module, names[name])
    known = list(check.accepted(target).parameters)
    wrong = [option for option in options if option not in known]
    if wrong:
        raise ConfigError(
            f"{key}_options.{wrong[0]}: {names[name]} has no such parameter{nearest(wrong[0], known)}; "
            f"it has: {', '.join(known)}"
        )
    with warnings.catch_warnings():  # the user has asked for it by name
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return target(**options)


def _require_same(
    study: optuna.Study,
    directions: list[StudyDirection],
    identity: Mapping[str, object],
    storage: str,
    name: str,
) -> None:
    for key, expected in identity.items():
        found = study.user_attrs.get(key)
        if found != expected:
            raise ConfigError(
                f"study: {name} in {shown(storage)} is a search with {key} {found!r}, this one "
                f"has {expected!r}; give this search a name of its own with study=NAME, or go on with the "
                "other: vision-apps sweep resume=FOLDER"
            )
    if study.directions != directions:
        raise ConfigError(
            f"study: {name} has other objectives; give this search its own name with study=NAME"
        )


def trial_id(study: optuna.Study, number: int) -> int:
    """What the study's storage calls a trial."""
    storage = study._storage
    study_id = storage.get_study_id_from_name(study.study_name)
    return storage.get_trial_id_from_study_id_trial_number(study_id, number)


def counted(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count towards ``n_trials``: begun or ended, and not replaced by another."""
    begun = [trial for trial in trials if trial.state != TrialState.WAITING]
    return [trial for trial in begun if not trial.user_attrs.get(SUPERSEDED)]


def ended(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that count towards ``n_trials`` and have ended, well or not."""
    return [trial for trial in counted(trials) if trial.state.is_finished()]


def remember(folder: Path, storage: str, name: str) -> None:
    """Write down where the study is, for the runs of a sweep and for `compare`; only the owner reads it,
    because a storage's URL may hold a password."""
    write_whole(
        folder / "study.json", json.dumps({"storage": storage, "study": name}, indent=2) + "\n", 0o600
    )


def recalled(folder: Path) -> str | None:
    """The storage as `where` says; None where the sweep ended before it was written down. `ConfigError` where
    it may not be opened."""
    try:
        return where(folder)[0]
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def named(storage: str) -> Iterator[None]:
    """A context whose processes may open this storage, which the person at the keyboard has named."""
    before = os.environ.get(NAMED)
    os.environ[NAMED] = storage
    try:
        yield
    finally:
        os.environ.pop(NAMED)
        if before is not None:
            os.environ[NAMED] = before
