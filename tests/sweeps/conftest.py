"""Sweeps over the toy application, most of them with a light stand-in for the process that trains."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # `stand_in`
sys.path.insert(0, str(HERE.parent / "core"))  # configurations name `toy.ToyModule`

from toy_run import CONF, environment  # noqa: E402


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy,toy_ranks")
    monkeypatch.setenv("VISION_APPS_CONF", str(CONF))
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])  # for the processes of the runs
