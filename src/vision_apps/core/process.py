"""What stands around a run in its process: the lock and the record, the log file, the further processes."""

import contextlib
import errno
import importlib.util
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from logging.handlers import MemoryHandler
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from lightning_fabric.utilities.exceptions import MisconfigurationException

from vision_apps.core import provenance
from vision_apps.core.checkpoint import Interrupted, Pruned
from vision_apps.core.command import command
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.neutral import visible
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.start import Start

log = logging.getLogger(__name__)

_ONE_VALUE = "Expected more than 1 value per channel when training"  # as torch says it
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_ERROR_LENGTH = 2000  # characters that are kept of an error; log.txt has all of it
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def rank() -> int:
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0"))))


@contextlib.contextmanager
def recorded(folder: RunFolder, start: Start) -> Iterator[None]:
    """The folder is this run's alone, and its ``run.json`` tells when the run fails."""
    if rank():
        yield
        return

    def begin() -> None:
        folder.note(status=None, error=None)
        (folder.path / "metrics.json").unlink(missing_ok=True)  # a resumed run is not finished any more
        if not (folder.path / "environment.json").is_file():
            words = sys.argv[1:][sys.argv[1:2] == ["train"] :]  # Hydra is given what comes after it
            typed = folder.record.get("command") or shlex.split(command("train", *words))
            folder.write_json("environment.json", provenance.record(typed))

    with folder.held():
        start.then(begin)
        try:
            yield
        except Pruned:
            folder.note(status="pruned")
            raise
        except Interrupted:
            raise
        except Exception as error:
            if start.done or not start.waits:
                with contextlib.suppress(RunError):  # the disk may be full
                    folder.note(status="failed", error=f"{type(error).__name__}: {error}"[:_ERROR_LENGTH])
            raise


@contextlib.contextmanager
def explained(folder: RunFolder) -> Iterator[None]:
    """What Lightning refuses, and the file system, in a line."""
    try:
        yield
    except (MisconfigurationException, ValueError) as error:
        if str(error).startswith(_ONE_VALUE):
            raise ConfigError(
                "data.batch_size: batch normalisation takes the mean over a batch, and here a channel of one "
                "process has a single value; expected 2 samples or more for each process, as in "
                "data.batch_size=2, or pictures of which more is left there (data.image_size)"
            ) from error
        if not _of_lightning(error):
            raise
        raise ConfigError(f"trainer: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise RunError(
            f"{folder.path}: {error.strerror}; its checkpoints are intact: make room, then continue with "
            f"{folder.going_on()}"
        ) from error


def _of_lightning(error: BaseException) -> bool:
    """Whether Lightning itself raised it, as it does of its settings, and nothing that it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    raised_in = str(trace.tb_frame.f_globals.get("__name__")) if trace else ""
    return raised_in.startswith(("pytorch_lightning.", "lightning_fabric."))


def quieten_lightning() -> list[logging.Logger]:
    """Its loggers, which are told to keep to warnings: their notes on devices, tips and settings say nothing
    that our header does not."""
    libraries = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    for library in libraries:
        library.setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.*")  # a torch interface that was renamed
    return libraries


class _Neutral(logging.Formatter):
    """Without control characters, which names of files may have."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


@contextlib.contextmanager
def log_file(folder: RunFolder, start: Start) -> Iterator[None]:
    """Everything that is logged in this process also goes to the run's ``log.txt``, of a resumed run from its
    first step on."""
    file = logging.FileHandler(folder.path / "log.txt", delay=True)
    file.setFormatter(_Neutral("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler = MemoryHandler(sys.maxsize, flushLevel=logging.CRITICAL + 1, target=file, flushOnClose=False)

    def write() -> None:
        (folder.path / "log.txt").touch()
        handler.flushLevel = logging.NOTSET
        handler.flush()

    start.then(write)
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(_Neutral("%(levelname)s: %(message)s"))
    roots = [logging.getLogger("vision_apps"), *quieten_lightning()]
    roots[0].addHandler(terminal)  # Lightning's have one of their own
    for root in roots:
        root.addHandler(handler)
    try:
        yield
    except Exception as error:
        roots[0].removeHandler(terminal)  # the command line prints it
        log.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        roots[0].removeHandler(terminal)
        for root in roots:
            root.removeHandler(handler)
        handler.close()
        file.close()


@contextlib.contextmanager
def children_replay(folder: RunFolder, checkpoint: Path | None, changes: Sequence[str]) -> Iterator[None]:
    """Lightning starts the further processes of a node by running this process's command line again. In a
    sweep that line is the whole sweep, and each rank would train on other hyperparameters without an error
    (Lightning issue 11300). Here the line that they run names this run's saved configuration; afterwards
    everything is as before."""
    if "LOCAL_RANK" in os.environ:
        yield
        return
    saved_arguments, hydra_config = sys.argv, HydraConfig.instance().cfg
    before = {name: os.environ.get(name) for name in RANK_VARIABLES}
    sys.argv = [sys.argv[0], "train", "--replay", str(folder.path.absolute())]
    sys.argv += [f"--checkpoint={checkpoint.absolute()}"] if checkpoint else []
    sys.argv += changes  # which are in the folder's configuration from the first step on
    main = sys.modules["__main__"]
    # run as `python -m`
    spec, main.__spec__ = main.__spec__, importlib.util.find_spec("vision_apps.__main__")
    HydraConfig.instance().cfg = None  # Lightning would otherwise add Hydra's overrides to the line
    try:
        yield
    finally:
        sys.argv, main.__spec__ = saved_arguments, spec
        HydraConfig.instance().cfg = hydra_config
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
