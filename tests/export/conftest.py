"""The tiny application for the tests of `vision-apps export`."""

import contextlib
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_ALLOW", "tiny")


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``model.onnx``, ``model.pt2`` and ``model.safetensors`` of the tiny application."""
    return _exported(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the application that takes numbers beside a picture."""
    return _exported(tmp_path_factory.mktemp("worded"), network="Reads", module="Asks")


def _exported(folder: Path, **changes: str) -> Path:
    import tiny

    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISION_APPS_ALLOW", "tiny")
        for kind in tiny.FORMATS:
            tiny.exported(kind, **changes)
    return folder
