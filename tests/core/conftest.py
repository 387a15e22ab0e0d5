"""The toy application for the tests of the engine."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # configurations name `toy.ToyModule`


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name the toy."""
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy,toy_ranks")
