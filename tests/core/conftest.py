"""The toy application for the tests of the engine."""

from pathlib import Path

import pytest
import toy_run

_ALLOWED = "toy,toy_parts,toy_ranks"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name the toy."""
    monkeypatch.setenv("VISION_APPS_ALLOW", _ALLOWED)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch, for tests that copy it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISION_APPS_ALLOW", _ALLOWED)
        folder = tmp_path_factory.mktemp("finished") / "run"
        toy_run.train(folder, trainer__max_epochs=1)
    return folder
