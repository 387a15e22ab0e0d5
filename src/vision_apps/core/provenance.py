"""Where a run comes from: machine, versions, commit and command line, for its ``environment.json``."""

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import vision_apps
from vision_apps.core import hardware

_PACKAGES = (
    *("torch", "torchvision", "torchmetrics", "pytorch-lightning", "hydra-core", "omegaconf"),
    *("numpy", "pillow", "wandb", "timm", "matplotlib"),
)


def record(command: list[str]) -> dict[str, object]:
    """Start (ISO 8601, UTC), command line, versions, git commit and whether files differed from it, and
    hardware, as plain data."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "vision_apps": vision_apps.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "git": _git(Path(vision_apps.__file__).parent),
        "hardware": hardware.describe(),
        "executable": sys.executable,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(folder: Path) -> dict[str, str | bool] | None:
    """The commit, and whether files differ from it; None outside a clone, or where git is not installed."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.TimeoutExpired):
        return None
