"""The applications that are asked."""

import pytest


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations may name them."""
    monkeypatch.setenv("VISION_APPS_ALLOW", "asking")
