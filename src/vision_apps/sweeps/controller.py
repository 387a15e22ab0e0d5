"""The loop of a sweep: ask the study for trials, keep the slots busy, tell what came out.

What is known stands in the study and in the runs' folders, never only here: a sweep that is killed and
started again finds everything there.
"""

import contextlib
import datetime
import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import filelock
import optuna
from optuna.trial import FrozenTrial, TrialState

from vision_apps.core.asked_to_stop import Asked
from vision_apps.core.checkpoint import Interrupted
from vision_apps.core.checkpoint_io import LAST
from vision_apps.core.command import command as typed
from vision_apps.core.errors import RunError, UserError
from vision_apps.core.run_folder import RunFolder, is_held
from vision_apps.sweeps import foreign, processes, studies, trial
from vision_apps.sweeps.processes import Job
from vision_apps.sweeps.settings import Settings
from vision_apps.sweeps.space import Space, Values
from vision_apps.sweeps.trial import Unit

if TYPE_CHECKING:
    import submitit

_POLL = 0.2  # s
_ADOPT = 5.0  # s between looks for trials that a killed sweep left
_NAMELESS = 60.0  # s that another sweep may take to put its name on a trial
_STOPPING = 60.0  # s that runs have to save themselves


@dataclass
class Open:
    """A trial that has begun and not ended."""

    number: int
    waiting: list[Unit]
    running: dict[int, "Running"] = field(default_factory=dict)  # by slot
    values: dict[Unit, list[float]] = field(default_factory=dict)  # of the objectives


@dataclass
class Running:
    """A run that executes."""

    unit: Unit
    job: Job
    begun: float  # seconds since 1970


class Sweep:
    """The loop that asks the study for trials and trains them.

    Args:
        objectives: metric to ``min`` or ``max``, in the order of the study's directions.
        first_seed: of the trials' runs.
        gpus: names of the devices that can be seen.
        per_trial: devices that one trial trains on; 0 where it trains on the CPU.
        trusted: of a stored sweep, the words of it that were named by hand; None of one that begins.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        settings: Settings,
        opened: optuna.Study,
        objectives: dict[str, str],
        first_seed: int,
        gpus: list[str],
        per_trial: int,
        trusted: Sequence[str] | None = None,
    ) -> None:
        self.folder, self.space, self.settings, self.study = folder, space, settings, opened
        self.objectives = objectives
        self.seeds = settings.seeds_from(first_seed)
        self.folds = range(settings.folds) if settings.folds else None
        self.slots, self.gpus = processes.shares(gpus, per_trial, settings.jobs)
        self.count = settings.count(space.combinations)
        self.open: dict[int, Open] = {}
        self.errors: dict[int, str] = {}
        self.trusted = trusted
        self.needed: list[str] = []  # words that who goes on repeats
        self.began = time.monotonic()
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._asked = Asked("stopping: the runs save themselves; once more to stop at once")
        self._executor: submitit.AutoExecutor | None = None
        self._adopted = float("-inf")

    @property
    def runs(self) -> int:
        """How many runs a trial has."""
        return len(self.seeds) * len(self.folds or [None])

    @property
    def of_each(self) -> str:
        """What the runs of a trial differ by, and how many there are of it."""
        folds = f"{len(self.folds)} folds" if self.folds else ""
        seeds = f"{len(self.seeds)} seeds" if not folds or len(self.seeds) > 1 else ""
        return " of ".join(filter(None, (folds, seeds)))

    # ---- the loop ------------------------------------------------------------------------------------------

    def run(self, show: Callable[["Sweep"], None]) -> None:
        """Begin and follow trials until all have ended; ``show`` is called with the sweep whenever there may
        be something new. `Interrupted` after a signal, or when the time is over: what ran has saved itself;
        `RunError` where a trial failed and ``fail_fast`` is set."""
        (self.folder / "output").mkdir(exist_ok=True)
        (self.folder / "controllers").mkdir(exist_ok=True)
        if self.settings.launcher == "slurm":
            self._executor = processes.slurm_executor(self.folder / "output", self.settings.slurm)
        with filelock.FileLock(self._owner_file(self.id)), self._listening():
            if self.settings.sampler == "grid":
                with self._asking():
                    for values in self.space.grid()[: self.count]:
                        self.study.enqueue_trial(values, skip_if_exists=True)
            try:
                while True:
                    self._adopt()
                    self._collect()
                    self._stop_when_asked()
                    self._fill()
                    show(self)
                    if not self.open and not self._may_ask():
                        break
                    time.sleep(_POLL)
            finally:
                self._end_what_runs()
        self._owner_file(self.id).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        self._asked.listen()
        try:
            yield
        finally:
            self._asked.give_back()

    def _stop_when_asked(self) -> None:
        limit = self.settings.seconds
        late = limit is not None and time.monotonic() - self.began > limit
        repeated = [word for word in self.space.fixed if word.startswith("allow_targets=")]
        repeated += [*foreign.submitting(vars(self.settings)), *self.needed]
        going_on = f"go on with: {typed('sweep', f'resume={self.folder}', *repeated)}"
        if self._asked.number or late:
            reason = "stopped" if self._asked.number else f"max_time={self.settings.max_time} is over"
            raise Interrupted(f"{reason}; the runs saved themselves; {going_on}")
        if self.errors and self.settings.fail_fast:
            number, error = next(iter(self.errors.items()))
            raise RunError(f"trial {number:04d} failed and fail_fast is set: {error}\n{going_on}")

    def _end_what_runs(self) -> None:
        jobs = [running.job for opened in self.open.values() for running in opened.running.values()]
        patience = time.monotonic() + _STOPPING
        for job in jobs:
            job.stop()
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < patience and not all(job.ended() for job in jobs):
                time.sleep(_POLL)
        for job in jobs:
            job.stop(now=True)

    # ---- beginning -----------------------------------------------------------------------------------------

    def _asking(self) -> filelock.FileLock:
        """Processes that share the folder ask one after another, so that together they begin ``count``."""
        return filelock.FileLock(self.folder / ".asking")

    def _may_ask(self) -> bool:
        return len(studies.counted(self.study.get_trials(deepcopy=False))) < self.count

    def _fill(self) -> None:
        for slot in self._free():
            opened = next((known for known in self.open.values() if self._next(known)), None)
            opened = opened or self._ask()
            if opened is None:
                return
            unit = opened.waiting.pop(0)
            try:
                self._start(opened, unit, slot)
            except UserError as error:  # a value that the configuration refuses
                self._fail(opened, str(error))

    def _free(self) -> list[int]:
        busy = {slot for opened in self.open.values() for slot in opened.running}
        free = [slot for slot in range(self.slots) if slot not in busy]
        waiting = (unit for opened in self.open.values() for unit in opened.waiting)
        alive = sum(self._still_lives(unit.folder) for unit in waiting)
        return free[: max(0, len(free) - alive)]

    def _next(self, opened: Open) -> bool:
        """Whether a run of the trial may begin; the pruner judges the first one before the others start."""
        if not opened.waiting:
            return False
        judged = not self.settings.pruner or not opened.running
        return judged and not self._still_lives(opened.waiting[0].folder)

    @staticmethod
    def _still_lives(folder: RunFolder) -> bool:
        """Its former sweep was killed and it trains on: a job of a cluster, or it has not noticed yet."""
        return folder.path.is_dir() and folder.status == "running"

    def _ask(self) -> Open | None:
        with self._asking():
            if not self._may_ask():
                return None
            asked = self.study.ask(self.space.distributions)
            asked.set_user_attr(studies.OWNER, self.id)
        self.open[asked.number] = Open(asked.number, self._units(asked.number, asked.params))
        return self.open[asked.number]

    def _units(self, number: int, values: Values) -> list[Unit]:
        words = tuple(self.space.words(values))
        seeds = [int(values["seed"])] if self.space.varies_seed else self.seeds  # type: ignore[arg-type]
        several = len(self.seeds) > 1

        def folder(seed: int, fold: int | None) -> RunFolder:
            return RunFolder(trial.folder_of(self.folder, number, seed if several else None, fold))

        return [
            Unit(number, seed, fold, folder(seed, fold), words)
            for seed in seeds
            for fold in self.folds or [None]
        ]

    def _start(self, opened: Open, unit: Unit, slot: int) -> None:
        started = (unit.folder.path / "config.yaml").is_file()
        if not started:
            folds = self.settings.folds
            pruning = self._pruning(unit)
            trial.prepare(unit, self.space, self.folder, len(self.seeds), folds, pruning, self.trusted)
        words = processes.command(unit.folder, started=started)
        if self._executor is not None:
            job: Job = processes.SlurmJob(self._executor, words)
        else:
            fold = "" if unit.fold is None else f"-fold-{unit.fold}"
            output = self.folder / "output" / f"{unit.number:04d}-seed-{unit.seed}{fold}.txt"
            gpus = self.gpus[slot] if self.gpus else None
            job = processes.Process(words, output, self.slots, gpus)
        opened.running[slot] = Running(unit, job, time.time())

    def _pruning(self, unit: Unit) -> dict[str, object] | None:
        first = (len(self.seeds) == 1 or unit.seed == self.seeds[0]) and not unit.fold
        if not self.settings.pruner or not first:
            return None
        return {
            "_target_": "vision_apps.sweeps.pruning.Pruning",
            "trial": unit.number,
            "metric": next(iter(self.objectives)),
            "pruner": self.settings.pruner,
            "options": dict(self.settings.pruner_options),
        }

    # ---- ending --------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for opened in list(self.open.values()):
            for slot, running in list(opened.running.items()):
                if running.job.ended():
                    del opened.running[slot]
                    self._judge(opened, running.unit, running)
            if opened.number in self.open and not opened.waiting and not opened.running:
                columns = zip(*opened.values.values(), strict=True)
                self._tell(opened, TrialState.COMPLETE, [fmean(column) for column in columns])

    def _judge(self, opened: Open, unit: Unit, running: Running | None) -> None:
        """One run has ended, here or while no sweep looked."""
        status = unit.folder.status
        if status == "finished":
            try:
                values = trial.values(unit.folder, list(self.objectives))
            except (KeyError, ValueError) as error:
                self._fail(opened, str(error.args[0]))
                return
            if not all(map(math.isfinite, values)):
                self._fail(opened, f"{', '.join(self.objectives)} is {values}: not a finite number")
                return
            opened.values[unit] = values
        elif status == "pruned":
            self._tell(opened, TrialState.PRUNED)
        elif status == "failed":
            self._fail(opened, unit.folder.record.get("error", "unknown"))
        else:  # killed
            last = unit.folder.checkpoints / LAST
            if running is None or (last.is_file() and last.stat().st_mtime > running.begun):
                opened.waiting.insert(0, unit)
            else:  # before it saved more than it began with
                self._fail(opened, running.job.error())

    def _fail(self, opened: Open, error: str) -> None:
        self.errors[opened.number] = error
        self._tell(opened, TrialState.FAIL, error=error)

    def _tell(
        self, opened: Open, state: TrialState, values: list[float] | None = None, error: str | None = None
    ) -> None:
        """The trial has ended; its other runs are not needed any more."""
        for running in opened.running.values():
            running.job.stop(now=True)
        opened.waiting.clear()
        del self.open[opened.number]
        storage = self.study._storage
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial_id = studies.trial_id(self.study, opened.number)
            if error is not None:
                storage.set_trial_user_attr(trial_id, "error", error)
            if opened.values and self.settings.several:
                name, found = self._by_run(opened)
                storage.set_trial_user_attr(trial_id, name, found)
            self.study.tell(opened.number, values, state)

    def _by_run(self, opened: Open) -> tuple[str, dict[str, list[float]]]:
        """What the values of a trial's runs are kept as, and the values: by seed, or by fold, of whose seeds
        they are then the means."""
        if not self.folds:
            return studies.BY_SEED, {str(unit.seed): values for unit, values in opened.values.items()}
        of_fold: dict[str, list[list[float]]] = {}
        for unit, values in opened.values.items():
            of_fold.setdefault(str(unit.fold), []).append(values)
        return studies.BY_FOLD, {
            fold: [fmean(column) for column in zip(*values, strict=True)] for fold, values in of_fold.items()
        }

    # ---- what a killed sweep left --------------------------------------------------------------------------

    def _owner_file(self, name: str) -> Path:
        return self.folder / "controllers" / name

    def _adopt(self) -> None:
        """Take over the trials of sweeps that are no more."""
        if time.monotonic() - self._adopted < _ADOPT:
            return
        self._adopted = time.monotonic()
        with self._asking():
            for known in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                owner = known.user_attrs.get(studies.OWNER)
                if known.number in self.open or owner == self.id:
                    continue
                if owner is None:
                    now = datetime.datetime.now()  # Optuna writes local times without a zone
                    age = (now - (known.datetime_start or datetime.datetime.min)).total_seconds()
                    gone = age > _NAMELESS
                else:  # a file that is not here is of another machine with another folder
                    gone = self._owner_file(owner).is_file() and not is_held(self._owner_file(owner))
                if gone:
                    self._take_over(known)

    def _take_over(self, known: FrozenTrial) -> None:
        storage = self.study._storage
        opened = Open(known.number, [])
        self.open[known.number] = opened
        storage.set_trial_user_attr(known._trial_id, studies.OWNER, self.id)
        units = self._units(known.number, known.params)
        fresh = [unit for unit in units if not (unit.folder.path / "config.yaml").is_file()]
        cut = [unit for unit in units if unit not in fresh and unit.folder.status in ("stopped", "running")]
        if cut and self.settings.unfinished == "again":
            storage.set_trial_user_attr(known._trial_id, studies.SUPERSEDED, True)
            self._tell(opened, TrialState.FAIL, error="the sweep was killed; its values are tried again")
            self.study.enqueue_trial(known.params)
            return
        opened.waiting = [unit for unit in units if unit in fresh or unit in cut]
        for unit in units:
            if unit not in fresh and unit not in cut and known.number in self.open:
                self._judge(opened, unit, None)
