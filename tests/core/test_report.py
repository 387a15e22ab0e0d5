"""What is printed before a run begins."""

from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from vision_apps.core.hardware import Settings
from vision_apps.core.report import header


@pytest.mark.parametrize(
    ("size", "told"), [(20, "batch 20\n"), (21, "batch 21, more than there are: each step takes all\n")]
)
def test_a_batch_that_the_data_cannot_fill_is_told(
    capsys: pytest.CaptureFixture[str], size: int, told: str
) -> None:
    data: Any = SimpleNamespace(batch_size=size, samples=lambda split: range(20))
    module: Any = SimpleNamespace(network=nn.Linear(2, 1), starts_from={"weights": "random numbers"})
    config = {"task": {"name": "toy"}, "optimizer": {"lr": 0.1}, "trainer": {"max_epochs": 1}}
    settings = Settings("32-true", False, False, ())
    folder: Any = SimpleNamespace(path="runs/toy")
    header(config, folder, module, data, settings, [])
    assert f"data      SimpleNamespace · 20 training samples · {told}" in capsys.readouterr().out
