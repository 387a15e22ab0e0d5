"""The record of where and from what a run was started."""

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import vision_apps
from vision_apps.core import hardware

_PACKAGES = (
    *("torch", "torchvision", "torchmetrics", "pytorch-lightning", "hydra-core", "omegaconf"),
    *("numpy", "pillow", "wandb", "timm", "matplotlib"),
)


def record(command: list[str]) -> dict[str, Any]:
    """Versions, git commit (and whether the tree differed from it), hardware, time and command line."""
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


def _git(folder: Path) -> dict[str, Any] | None:
    """None outside a clone, or where git is not installed."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.TimeoutExpired):
        return None
