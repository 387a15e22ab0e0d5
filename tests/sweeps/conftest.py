"""Sweeps over the toy application, most of them with a light stand-in for the process that trains."""

import pytest
from toy_run import CONF, environment


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy,toy_ranks")
    monkeypatch.setenv("VISION_APPS_CONF", str(CONF))
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])  # for the processes of the runs
