"""A network that knows something already is measured before the first step, as a candidate for the best."""

import json
from pathlib import Path
from typing import Any

import pytest
import toy_run
from toy import ToyModule

from vision_apps.core import checkpoint_io, engine
from vision_apps.core.beginning import Beginning
from vision_apps.core.checkpoint import Checkpoints
from vision_apps.core.run_folder import RunFolder
from vision_apps.export import card
from vision_apps.sweeps import trial

pytestmark = pytest.mark.usefixtures("toy")
MODEL = {"_target_": "toy_parts.PartsNet", "width": 4, "dropout": 0.5}
FIRST = 0.5


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyModule, "fits", ["head"])


@pytest.fixture
def worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each epoch is worse than the one before, and the first than the beginning."""

    def measured(self: ToyModule) -> None:
        loss = FIRST if self.trainer.sanity_checking else 1.0 + self.current_epoch
        self.log_dict({"val/loss": loss, "val/accuracy": 0.5})

    monkeypatch.setattr(ToyModule, "on_validation_epoch_end", measured)


def train(run: str, **changes: Any) -> dict[str, Any]:
    engine.train(toy_run.configure(Path(run), changes))
    metrics: dict[str, Any] = json.loads(Path(run, "metrics.json").read_text())
    return metrics


def losses(run: str) -> list[tuple[int, int, float]]:
    """Step, epoch and value of each validation's loss."""
    return [
        (step, epoch, value) for step, epoch, name, value in toy_run.rows(Path(run)) if name == "val/loss"
    ]


def best(run: str) -> dict[str, Any]:
    return checkpoint_io.load(Path(run, "checkpoints/best.ckpt"))


def settled(run: str) -> int:
    steps: int = RunFolder(run).read_config()["trainer"]["num_sanity_val_steps"]
    return steps


def test_it_may_be_the_best(knows: None, worse: None, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = train("run", test=True)
    told = capsys.readouterr().out
    assert losses("run") == [(-1, -1, FIRST), (5, 0, 1.0), (11, 1, 2.0), (17, 2, 3.0)]
    assert metrics["best"] == {"value": FIRST, "epoch": -1} and metrics["series"]["val/loss"]["min"] == FIRST
    assert best("run")["global_step"] == 0 and settled("run") == -1
    assert "\nbeginning · val/accuracy 0.5 · val/loss 0.5\nepoch 1/3 " in told
    assert "\nbest val/loss 0.5 before the first step" in told
    run = RunFolder("run")
    assert trial.progress(run, "val/loss") == (2, 3.0)
    assert trial.values(run, ["val/loss", "val/accuracy"]) == [FIRST, 0.5]
    assert "validation split: 0.5 before the first step" in card._metrics(run, "best.ckpt")


def test_it_is_one_candidate_of_several(knows: None) -> None:
    metrics = train("run", **{"optimizer.lr": 0.1})
    found = losses("run")
    assert metrics["best"]["epoch"] == min(found, key=lambda row: row[2])[1] >= 0


def test_training_is_what_it_would_be_without(knows: None) -> None:
    train("run")
    train("without", **{"trainer.num_sanity_val_steps": 0})
    assert [row[1] for row in losses("without")] == [0, 1, 2]
    toy_run.assert_same_state(*(toy_run.last(Path(run))["state_dict"] for run in ("run", "without")))


@pytest.mark.parametrize("steps", [0, 2, "auto"])
def test_a_network_of_random_numbers_is_not_asked(steps: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does a look whether validation works at all, at a few batches, count."""
    train("run", **{"trainer.num_sanity_val_steps": steps})
    assert [row[1] for row in losses("run")] == [0, 1, 2]
    assert "beginning" not in capsys.readouterr().out and settled("run") == (steps if steps != "auto" else 0)


def test_another_runs_whole_network_is(worse: None) -> None:
    train("first", model=MODEL)
    train("second", model=MODEL, init="first")
    assert [row[1] for row in losses("second")] == [-1, 0, 1, 2] and best("second")["global_step"] == 0
    toy_run.assert_same_state(best("second")["state_dict"], best("first")["state_dict"])
    train("third", model={**MODEL, "_target_": "toy_parts.Wrapped"}, init="first")
    assert [row[1] for row in losses("third")] == [0, 1, 2]  # its head knows nothing


def test_a_run_killed_after_it_goes_on_from_it(knows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    train("whole")

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_start", kill)
        patch.setattr(RunFolder, "discard", lambda self: None)  # as who is killed has no time to
        with pytest.raises(Killed):
            train("run")
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ["best.ckpt"]
    engine.resume("run", [])
    toy_run.assert_same_training(Path("whole"), Path("run"))
    toy_run.assert_same_state(best("whole")["state_dict"], best("run")["state_dict"])


def test_a_run_killed_before_it_was_logged_measures_it_again(
    knows: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Beginning, "on_train_start", kill)
        patch.setattr(RunFolder, "discard", lambda self: None)
        with pytest.raises(Killed):
            train("run")
    assert not losses("run")
    engine.resume("run", [])
    assert [row[1] for row in losses("run")] == [-1, 0, 1, 2]


def test_who_stops_early_does_not_count_it(knows: None, worse: None) -> None:
    stop = {"_target_": "vision_apps.core.early_stop.EarlyStopping", "monitor": "val/loss", "patience": 2}
    train("run", **{"callbacks.early_stop": stop, "trainer.max_epochs": 9})
    assert [row[1] for row in losses("run")] == [-1, 0, 1, 2]
