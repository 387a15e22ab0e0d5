"""Where the runs of a sweep execute: processes of this machine, or jobs of SLURM.

Both execute the same command line, which names the run's folder and nothing else: `train --replay FOLDER`, or
`train resume=FOLDER`.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vision_apps.core import hardware, parent
from vision_apps.core.errors import ConfigError
from vision_apps.core.process import RANK_VARIABLES
from vision_apps.core.run_folder import RunFolder

if TYPE_CHECKING:
    import submitit

# Of an outer launch: a run that saw them would take itself for one rank of it.
_OF_A_LAUNCH = (
    *RANK_VARIABLES,
    *("RANK", "GROUP_RANK", "ROLE_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"),
    *("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_NUM_TASKS"),
)
_THREADS = "OMP_NUM_THREADS"
_ERROR_LINES = 12


class Job(Protocol):
    """A run that executes."""

    def ended(self) -> bool:
        """Whether nothing of it executes any more."""

    def stop(self, now: bool = False) -> None:
        """Ask it to save itself and end; ``now``: end it."""

    def error(self) -> str:
        """What is known of the reason after it failed."""


class Process:
    """A process of this machine, in a session of its own: Ctrl-C reaches the sweep alone, which stops it.

    Args:
        output: file that gets what it prints.
        slots: so many share the processor.
        gpus: the devices that it may see; None: all.
    """

    def __init__(self, command: list[str], output: Path, slots: int, gpus: list[str] | None) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in _OF_A_LAUNCH}
        environment[parent.VARIABLE] = str(os.getpid())
        if slots > 1:
            environment.setdefault(_THREADS, str(max(1, hardware.cores() // slots)))
        if gpus is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        self.output = output
        with open(output, "ab") as file:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self, now: bool = False) -> None:
        if self._process.poll() is None:
            if now:  # with the processes that it started
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            else:
                self._process.terminate()

    def error(self) -> str:
        code = self._process.poll()
        what = f"killed by {signal.Signals(-code).name}" if code and code < 0 else f"exit status {code}"
        lines = self.output.read_text(encoding="utf-8", errors="replace").splitlines()[-_ERROR_LINES:]
        return "\n".join([what, *lines])


class SlurmJob:
    """A command line that submitit queued."""

    def __init__(self, executor: "submitit.AutoExecutor", words: list[str]) -> None:
        import submitit

        self._job = executor.submit(submitit.helpers.CommandFunction(words))

    def ended(self) -> bool:
        return bool(self._job.done())

    def stop(self, now: bool = False) -> None:
        which = [] if now else ["--signal=TERM"]
        subprocess.run(["scancel", *which, str(self._job.job_id)], check=False)

    def error(self) -> str:
        return f"job {self._job.job_id}: {self._job.exception() or self._job.state}"


def command(folder: RunFolder, started: bool) -> list[str]:
    """The command line that trains a prepared run, or resumes one that has ``started``."""
    what = f"resume={folder.path.absolute()}" if started else f"--replay={folder.path.absolute()}"
    return [sys.executable, "-m", "vision_apps", "train", what]


def slurm_executor(
    folder: Path, options: Mapping[str, object], cluster: str = "slurm"
) -> "submitit.AutoExecutor":
    """What queues jobs on a cluster; `ConfigError` where submitit is not installed or refuses an option.

    Args:
        folder: gets what submitit keeps of each job.
        options: arguments of submitit's ``update_parameters``.
    """
    try:
        import submitit
    except ModuleNotFoundError:
        raise ConfigError(
            "launcher: slurm needs submitit; install it with: pip install 'vision-apps[slurm]'"
        ) from None
    # where a cluster keeps no accounts it says so each time that it is asked
    logging.getLogger("submitit").setLevel(logging.ERROR)
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        executor.update_parameters(**options)
    except (RuntimeError, NameError, TypeError) as error:
        raise ConfigError(f"slurm: {error}") from error
    return executor


def shares(gpus: list[str], per_trial: int, jobs: int | None) -> tuple[int, list[list[str]] | None]:
    """How many trials at a time, and the GPUs of each; None where there are none to share.

    Args:
        gpus: names of the devices that can be seen.
        per_trial: devices that one trial trains on; 0 where it trains on the CPU.

    Raises:
        ConfigError: more are asked for than there are.
    """
    if not gpus or not per_trial:
        return jobs or 1, None
    fits = len(gpus) // per_trial
    if not fits or (jobs or 0) > fits:
        raise ConfigError(
            f"jobs: {jobs or 1} trials of {per_trial} GPUs (trainer.devices) need {(jobs or 1) * per_trial}, "
            f"here are {len(gpus)}; choose jobs={max(1, fits)} or fewer devices a trial"
        )
    jobs = jobs or fits
    return jobs, [gpus[i * per_trial : (i + 1) * per_trial] for i in range(jobs)]


def visible_gpus() -> list[str]:
    """The devices of this machine that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None and torch.cuda.is_available():
        return [name for name in named.split(",") if name]
    return [str(index) for index in range(torch.cuda.device_count())]


def devices_of(trainer: Mapping[str, object]) -> int:
    """How many GPUs one trial trains on: what the trainer says, one where it takes what is there."""
    if trainer.get("accelerator") == "cpu":
        return 0
    devices = trainer.get("devices", "auto")
    if isinstance(devices, int):
        return max(1, devices)  # -1 is all: then one trial has one, and several have one each
    # a Sequence, because OmegaConf's list is no list
    return len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else 1
