"""What is printed before a run begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from vision_apps.core.hardware import Settings
from vision_apps.core.report import header, table
from vision_apps.core.run_folder import RunFolder


def told_of(batch_size: int, trainer: dict[str, Any], processes: int = 1) -> None:
    data: Any = SimpleNamespace(batch_size=batch_size, samples=lambda split: range(20))
    module: Any = SimpleNamespace(network=nn.Linear(2, 1), starts_from={"weights": "random numbers"})
    config = {"task": {"name": "toy"}, "optimizer": {"lr": 0.1}, "trainer": trainer}
    settings = Settings("32-true", False, False, ())
    header(config, RunFolder("runs/toy"), module, data, settings, [], processes)


@pytest.mark.parametrize(
    ("size", "told"), [(20, "batch 20\n"), (21, "batch 21, more than there are: each step takes all\n")]
)
def test_a_batch_that_the_data_cannot_fill_is_told(
    capsys: pytest.CaptureFixture[str], size: int, told: str
) -> None:
    told_of(size, {"max_epochs": 1})
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


@pytest.mark.parametrize(
    ("trainer", "told"),
    [
        ({"max_epochs": 1}, "1 epoch"),
        ({"max_epochs": 2, "max_steps": 1}, "2 epochs or 1 step"),
        ({"max_epochs": -1, "max_time": "00:01:00:00"}, "until trainer.max_time is over"),
    ],
)
def test_how_long_it_trains_is_told_in_words(
    trainer: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told_of(8, trainer, 2)
    said = capsys.readouterr().out
    assert f"training  {told} · " in said and "batch 8 of 2 processes\n" in said


def test_the_next_commands_say_again_what_is_trusted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_config({"allow_targets": ["mine", "ours"]})
    assert folder.going_on("trainer.max_epochs=2").endswith(
        f"train resume={tmp_path} trainer.max_epochs=2 'allow_targets=[mine,ours]'"
    )
    folder.write_config({"allow_targets": []})
    assert folder.going_on().endswith(f"train resume={tmp_path}") and folder.trusting == []
