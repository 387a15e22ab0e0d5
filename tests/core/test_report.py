"""What is printed before a run begins."""

from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from vision_apps.core.hardware import Settings
from vision_apps.core.report import header, table


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


def test_each_name_of_a_baseline_stands_over_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    long = "the mean of all pictures"
    table({"test/loss": 1.5, "test/accuracy": 0.25, f"test/{long}/accuracy": 0.125})
    head, loss, accuracy = capsys.readouterr().out.splitlines()
    assert head.split(maxsplit=2) == ["test", "network", long]
    assert accuracy.split() == ["accuracy", "0.25", "0.125"]
    assert loss.split() == ["loss", "1.5"]
    for title, cell in (("network", "0.25"), (long, "0.125")):
        assert head.index(title) + len(title) == accuracy.index(cell) + len(cell)
