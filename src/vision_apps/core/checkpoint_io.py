"""Reading and writing checkpoints: plain data, atomic, never executed."""

import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from vision_apps.core import checksum
from vision_apps.core.errors import CheckpointError, RunError
from vision_apps.core.run_folder import RunFolder

LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
_INSTEAD = "name the run folder instead of the file to use the newest readable checkpoint of the run"

log = logging.getLogger(__name__)


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write to a temporary name in the same folder, flush to the disk, then rename: a reader sees the old
    file or the whole new one, whatever happens in between. `RunError` where the file system refuses (no
    space, no permission)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w+b") as file:
            torch.save(checkpoint, file)
            checksum.seal_archive(file)
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, RuntimeError) as error:  # torch reports a failed write of its archive as RuntimeError
        temporary.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free >> 20 if path.parent.is_dir() else 0
        raise RunError(
            f"{path}: the checkpoint could not be written ({error}); {free:,} MiB are free there. "
            "The checkpoint before it is intact: make room, then continue with "
            f"{RunFolder(path.parent.parent).going_on()}"
        ) from error


def load(path: str | Path) -> dict[str, Any]:
    """A checkpoint as plain data on the CPU; nothing in the file is executed. `CheckpointError` where it is
    missing, truncated, not what its checksum says, no checkpoint, or holds anything but plain data."""
    try:
        if problem := checksum.problem(Path(path)):
            raise CheckpointError(f"{path} is truncated or damaged and cannot be read: {problem}; {_INSTEAD}")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist: expected a checkpoint (.ckpt)") from None
    except CheckpointError:
        raise
    except Exception as error:  # noise makes the unpickler fail in more ways than it documents
        told = str(error) if isinstance(error, pickle.UnpicklingError) else ""
        executable = "Unsupported" in told or "GLOBAL" in told
        if executable and "Unsupported operand" not in told:  # that is what pickle says of noise
            raise CheckpointError(
                f"{path} holds more than plain data and was refused without being executed; "
                "use a checkpoint that vision_apps wrote"
            ) from error
        raise CheckpointError(f"{path} is truncated or damaged and cannot be read; {_INSTEAD}") from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} is not a checkpoint of a run: it has no 'state_dict'")
    return checkpoint


def newest(folder: Path, names: tuple[str, ...]) -> tuple[Path, dict[str, Any], list[str]]:
    """The first readable checkpoint among ``names``, its content, and what was wrong with those before it;
    `CheckpointError` where none can be read."""
    problems: list[str] = []
    for name in names:
        if (folder / name).is_file():
            try:
                return folder / name, load(folder / name), problems
            except CheckpointError as error:
                problems.append(str(error).removesuffix(f"; {_INSTEAD}"))
    reasons = "\n  ".join(problems) or "the run stopped before its first checkpoint"
    raise CheckpointError(f"{folder} has no checkpoint that can be read ({', '.join(names)}):\n  {reasons}")


def newest_told(folder: Path, names: tuple[str, ...]) -> tuple[Path, dict[str, Any]]:
    """The same; what was wrong with those before it is told here."""
    path, checkpoint, problems = newest(folder, names)
    for problem in problems:
        log.warning("%s; taking %s", problem, path.name)
    return path, checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning stages a checkpoint in the temporary folder and moves it, which is not atomic across file
    systems."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        save(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Callable | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return load(path)
