"""The toy application for the tests of the engine."""

import pytest


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name the toy."""
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy,toy_parts,toy_ranks")
