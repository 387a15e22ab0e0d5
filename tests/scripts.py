"""The scripts of the experiments, executed in this process."""

import contextlib
import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vision_apps.cli import main

REPOSITORY = Path(__file__).parents[1]


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "experiments" / name / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(name: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> ModuleType:
    """An experiment that trains in this process and writes below ``place``."""
    module = loaded(name)

    def run(command: list[Any], check: bool) -> None:
        assert check and Path(command[1]) == REPOSITORY / "train.py"
        with contextlib.chdir(place):
            assert main(["train", *command[2:]]) == 0

    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(module, "HERE", place)
    monkeypatch.setattr(module, "RUNS", place / "runs")
    return module
