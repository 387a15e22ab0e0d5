"""An augmentation that ends before the run does."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_run
from toy import Early

from vision_apps.core import engine
from vision_apps.core.augmentation import is_over, share_of_run
from vision_apps.core.errors import ConfigError


def trainer(step: int, steps: float) -> Any:
    return SimpleNamespace(global_step=step, estimated_stepping_batches=steps)


def test_until_is_a_share_of_the_steps() -> None:
    early = Early(0.9)
    assert [step for step in range(20) if not is_over(early, trainer(step, 20))] == list(range(18))
    assert not any(is_over(Early(1.0), trainer(step, 5)) for step in range(10))
    assert is_over(Early(0.0), trainer(0, 5))
    assert not is_over(early, trainer(10**9, float("inf")))  # only time ends the run
    assert not is_over(lambda batch: batch, trainer(5, 5))  # any function is an augmentation


@pytest.mark.parametrize("until", [-0.1, 10])
def test_no_share_is_refused(until: float) -> None:
    with pytest.raises(ConfigError, match=f"Mosaic's until is {until}; expected a share of the run, 0 to 1"):
        share_of_run("Mosaic", until)


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("accumulated", [1, 3])
@pytest.mark.parametrize("batches", [6, 14], ids=lambda count: f"stopped after {count} batches")
def test_a_resumed_run_ends_it_at_the_same_step(
    batches: int, accumulated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "data.augment": {"early": {"_target_": "toy.Early", "until": 0.5}},
        "trainer.accumulate_grad_batches": accumulated,
    }
    given: list[int] = []
    monkeypatch.setattr(Early, "given", given)
    engine.train(toy_run.configure(tmp_path / "whole", changes))
    expected = given.copy()
    assert len(expected) == 9  # of three epochs of six batches
    given.clear()
    again = toy_run.configure(tmp_path / "again", changes)
    toy_run.stop_after(batches, monkeypatch, lambda: engine.train(again))
    engine.resume("again", [])
    assert given == expected
    toy_run.assert_same_training(tmp_path / "whole", tmp_path / "again")


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("batches", [2, 7])
def test_transforms_of_another_package_in_a_run_that_goes_on(
    batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They draw from torch's global generator, which is seeded for each sample."""
    rotated = {"_target_": "torchvision.transforms.v2.RandomRotation", "degrees": 30}
    changes = {"data.augment": {"rotated": rotated}, "trainer.max_epochs": 2}

    def train(run: str) -> None:
        engine.train(toy_run.configure(Path(run), changes))

    train("whole")
    toy_run.stop_after(batches, monkeypatch, lambda: train("again"))
    engine.resume("again", [])
    toy_run.assert_same_training(Path("whole"), Path("again"))
    engine.train(toy_run.configure(Path("plain"), {"trainer.max_epochs": 2}))
    with pytest.raises(AssertionError):  # it had an effect
        toy_run.assert_same_state(
            toy_run.last(Path("whole"))["state_dict"], toy_run.last(Path("plain"))["state_dict"]
        )
