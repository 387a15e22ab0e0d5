"""The tiny application for the tests of `vision-apps export`."""

import sys
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

sys.path.insert(0, str(Path(__file__).parent))  # configurations name `tiny.Net`


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_ALLOW", "tiny")
