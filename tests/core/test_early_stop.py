"""A run that ends where its metric no longer improves, and one that goes on with more patience."""

from pathlib import Path

import pytest
import toy_run
from omegaconf import OmegaConf
from toy import ToyModule

from vision_apps.core import engine
from vision_apps.core.config import options

pytestmark = pytest.mark.usefixtures("toy")


def stopping(patience: int, **changes: object) -> dict[str, object]:
    """The callback as it is configured, monitoring the toy's metric."""
    node = OmegaConf.to_container(OmegaConf.load(options.of_group("callbacks")["early_stop"]))
    given = {"monitor": "val/loss", "mode": "min", "patience": patience, "min_delta": 1.0}
    stop = {**node["early_stop"], **given}  # type: ignore[index,call-overload]
    return {"callbacks.early_stop": stop, "scheduler": None, **changes}


def epochs(run: str) -> list[int]:
    return [row[1] for row in toy_run.rows(Path(run)) if row[2] == "val/loss"]


def train(run: str, changes: dict[str, object]) -> None:
    engine.train(toy_run.configure(Path(run), changes))


def measured(values: list[float | None], patch: pytest.MonkeyPatch) -> None:
    """What each epoch's validation logs as ``val/loss``; None: nothing."""

    def on_validation_epoch_end(self: ToyModule) -> None:
        value = values[self.current_epoch]
        self.log("val/accuracy", 0.5)
        if value is not None:
            self.log("val/loss", value)

    patch.setattr(ToyModule, "on_validation_epoch_end", on_validation_epoch_end)
    patch.setattr(ToyModule, "conditional", ("loss",))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "trained"),
    [
        ([5.0, 3.5, 2.5, 3.0, 0.5], 4),  # 2.5 is not better by more than 1
        ([3.0, None, float("nan"), None, 4.0, 1.0], 5),
        ([5.0, 6.0, 3.0, 2.5, 1.0], 5),
    ],
)
def test_ends_after_so_many_validations(
    values: list[float | None],
    trained: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(values, monkeypatch)
    train("run", stopping(2, **{"trainer.max_epochs": len(values)}))
    assert toy_run.last(Path("run"))["epoch"] == trained - 1
    assert ("stopped early: val/loss has not improved for 2" in capsys.readouterr().out) == (
        trained < len(values)
    )


@pytest.mark.slow
def test_goes_on_with_more_patience(capsys: pytest.CaptureFixture[str]) -> None:
    train("run", stopping(1, **{"trainer.max_epochs": 10}))
    assert epochs("run") == [0, 1]
    engine.resume("run", [])  # no patience is left
    assert epochs("run") == [0, 1]
    assert capsys.readouterr().out.count("stopped early") == 2
    engine.resume("run", ["callbacks.early_stop.patience=50", "trainer.max_epochs=5"])
    assert epochs("run") == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_several_validations_an_epoch_and_none() -> None:
    train("often", stopping(2, **{"trainer.val_check_interval": 2, "trainer.max_epochs": 4}))
    assert [row[0] for row in toy_run.rows(Path("often")) if row[2] == "val/loss"] == [1, 3, 5]
    train("seldom", stopping(1, **{"trainer.check_val_every_n_epoch": 2, "trainer.max_epochs": 9}))
    assert epochs("seldom") == [1, 3]
    train("never", stopping(1, **{"trainer.max_steps": 4, "trainer.max_epochs": 9}))
    assert toy_run.last(Path("never"))["global_step"] == 4


@pytest.mark.slow
def test_stopped_within_an_epoch_goes_on_there(tmp_path: Path) -> None:
    often = {"trainer.val_check_interval": 2, "trainer.max_epochs": 2}
    train("whole", stopping(50, **often))
    train("run", stopping(1, **often))
    assert toy_run.last(Path("run"))["global_step"] == 4
    engine.resume("run", ["callbacks.early_stop.patience=50"])
    toy_run.assert_same_training(Path("whole"), Path("run"))
