"""The toy application of the engine's tests."""

import pytest


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name the toy."""
    monkeypatch.setenv("VISION_APPS_ALLOW", "toy")
