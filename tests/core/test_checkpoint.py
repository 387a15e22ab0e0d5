"""When a run saves itself, and how it stops."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import toy_run
from toy import ToyAnswer, ToyData, ToyModule

from vision_apps.core import assembly, checkpoint_io, engine
from vision_apps.core.checkpoint import Interrupted
from vision_apps.core.command import command
from vision_apps.core.errors import CheckpointError, RunError

pytestmark = pytest.mark.usefixtures("toy")
FOLDER = Path("run/checkpoints")


def names() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir())


def at_step(step: int, monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    """Do something in the middle of a step."""
    original = ToyModule.training_step

    def training_step(self: ToyModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.trainer.global_step == step:
            do(self)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ToyModule, "training_step", training_step)


def test_files_and_plain_data() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=2)
    assert names() == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    for name in names():
        checkpoint = torch.load(FOLDER / name, weights_only=True)
        assert checkpoint["config"]["task"]["name"] == "toy"
        assert checkpoint["facts"] == {"num_classes": 2, "image_size": 8}
    assert toy_run.last(Path("run"))["epoch"] == 1
    assert checkpoint_io.load(FOLDER / "previous.ckpt")["global_step"] == toy_run.BATCHES_PER_EPOCH


def test_a_loss_that_is_no_number_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(self: ToyModule) -> None:
        self.log("val/loss", float("nan") if self.current_epoch == 0 else float(self.current_epoch))

    monkeypatch.setattr(ToyModule, "on_validation_epoch_end", poisoned)
    toy_run.train(Path("run"))
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == 1


def test_best_is_the_best_of_the_monitored() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=5, optimizer__lr=0.1)
    losses = [row[3] for row in toy_run.rows(Path("run")) if row[2] == "val/loss"]
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == losses.index(min(losses))


def test_greater_may_be_better() -> None:
    toy_run.train(Path("run"), task__monitor="val/accuracy", task__mode="max", optimizer__lr=0.1)
    accuracies = [row[3] for row in toy_run.rows(Path("run")) if row[2] == "val/accuracy"]
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == max(
        epoch for epoch, accuracy in enumerate(accuracies) if accuracy == max(accuracies)
    )


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_values_the_last_is_the_best(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says the same in each epoch."""
    same = ToyAnswer(torch.tensor([[0.3, 0.7]]))
    monkeypatch.setattr(
        ToyModule, "answer", lambda self, outputs, inputs: ToyAnswer(same.scores.expand(len(outputs), 2))
    )
    toy_run.train(Path("run"), task__monitor="val/accuracy", task__mode=mode)
    values = [row[3] for row in toy_run.rows(Path("run")) if row[2] == "val/accuracy"]
    assert len(values) == 3 and len(set(values)) == 1
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == 2


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [([2.0, 1.0, 3.0], 1), ([1.0, 2.0, 3.0], 0), ([2.0, 1.0, 1.0], 2), ([2.0, float("nan"), 3.0], 0)],
)
def test_of_equal_values_that_of_the_least_loss_is_the_best(
    losses: list[float], epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the run goes on in between."""

    def measured(self: ToyModule) -> None:
        self.log_dict({"val/accuracy": 0.5, "val/loss": losses[self.current_epoch]})

    monkeypatch.setattr(ToyModule, "on_validation_epoch_end", measured)
    monitored = {"task__monitor": "val/accuracy", "task__mode": "max"}
    toy_run.train(Path("run"), **monitored, trainer__max_epochs=2, scheduler=None)
    engine.resume("run", ["trainer.max_epochs=3"])
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == epoch


def test_monitor_that_does_not_exist() -> None:
    with pytest.raises(RunError) as caught:
        toy_run.train(Path("run"), task__monitor="val/los")
    assert str(caught.value) == (
        "task.monitor: val/los was not logged; logged are: lr, train/loss, val/accuracy, val/loss"
    )


def test_what_was_trained_is_saved_before_a_wrong_monitor_is_refused() -> None:
    with pytest.raises(RunError):
        toy_run.train(Path("run"), task__monitor="val/los")
    assert toy_run.last(Path("run"))["global_step"] == toy_run.BATCHES_PER_EPOCH


def measured_again(checkpoint: Path) -> float:
    """The validation loss of the weights in a checkpoint."""
    module = assembly.rebuild(checkpoint_io.load(checkpoint))
    data = ToyData(batch_size=8)
    data.batch_type = module.batch_type
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    (values,) = trainer.validate(module, datamodule=data, verbose=False)
    return float(values["val/loss"])


WITHIN = [
    {"trainer.check_val_every_n_epoch": None, "trainer.val_check_interval": 4},
    {"trainer.val_check_interval": 2},
    {
        "trainer.val_check_interval": 0.5,
        "callbacks.ema": {"_target_": "vision_apps.core.ema.EMA", "decay": 0.5},
    },
    {"trainer.check_val_every_n_epoch": 2},
]


@pytest.mark.parametrize("changes", WITHIN, ids=["across epochs", "thrice", "twice, averaged", "seldom"])
def test_best_holds_the_weights_that_were_measured(changes: dict[str, Any]) -> None:
    changes = {**changes, "trainer.max_epochs": 4, "optimizer.lr": 0.2, "precision": "32-true"}
    engine.train(toy_run.configure(Path("run"), changes | {"channels_last": False}))
    losses = [row[3] for row in toy_run.rows(Path("run")) if row[2] == "val/loss"]
    best = json.loads(Path("run/metrics.json").read_text())["best"]["value"]
    assert best == pytest.approx(min(losses), rel=1e-6)
    assert measured_again(FOLDER / "best.ckpt") == pytest.approx(min(losses), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("interval", [6, 4, 2])
def test_goes_on_from_the_best(interval: int) -> None:
    """Which is saved right after its validation, within the epoch or at its end."""
    settings = {"trainer.val_check_interval": interval, "optimizer.lr": 0.2, "trainer.max_epochs": 3}
    for run in ("whole", "run"):
        engine.train(toy_run.configure(Path(run), settings))
    engine.resume("run/checkpoints/best.ckpt", [])
    toy_run.assert_same_training(Path("whole"), Path("run"))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [4, 6, 8])
def test_a_run_that_its_steps_end(steps: int, capsys: pytest.CaptureFixture[str]) -> None:
    """It is measured and saved, also before the first validation, and goes on in the midst of its epoch."""
    settings = {"scheduler": None, "trainer.max_epochs": 3, "test": True, "precision": "32-true"}
    engine.train(toy_run.configure(Path("whole"), settings | {"trainer.max_steps": 15}))
    values = engine.train(toy_run.configure(Path("run"), settings | {"trainer.max_steps": steps}))
    assert toy_run.last(Path("run"))["global_step"] == steps
    assert (steps - 1, "val/loss") in {(step, name) for step, _, name, _ in toy_run.rows(Path("run"))}
    best = json.loads(Path("run/metrics.json").read_text())["best"]["value"]
    assert measured_again(FOLDER / "best.ckpt") == pytest.approx(best, rel=1e-6)
    assert "test/accuracy" in values
    assert f"trainer.max_steps={2 * steps}\n" in capsys.readouterr().out
    engine.resume("run", ["trainer.max_steps=15"])
    toy_run.assert_same_training(Path("whole"), Path("run"), measured_too=steps)


@pytest.mark.parametrize("kept", ["last", "best"])
def test_the_last_epoch_is_measured(kept: str) -> None:
    """Whenever its validation would have been, and what was written there goes on behind it."""
    settings = {"scheduler": None, "trainer.check_val_every_n_epoch": 4, "optimizer.lr": 0.2}
    engine.train(toy_run.configure(Path("whole"), settings | {"trainer.max_epochs": 5}))
    engine.train(toy_run.configure(Path("run"), settings | {"trainer.max_epochs": 3}))
    assert toy_run.last(Path("run"))["epoch"] == 2
    assert checkpoint_io.load(FOLDER / "best.ckpt")["global_step"] == 3 * toy_run.BATCHES_PER_EPOCH
    engine.resume(f"run/checkpoints/{kept}.ckpt", ["trainer.max_epochs=5"])
    toy_run.assert_same_training(Path("whole"), Path("run"), measured_too=3 * toy_run.BATCHES_PER_EPOCH)


def test_what_ends_a_run_waits_for_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that are being summed are in no checkpoint."""
    settings = {"trainer.accumulate_grad_batches": 3, "trainer.max_epochs": 1}
    with monkeypatch.context() as patch:
        at_step(0, patch, lambda module: setattr(module.trainer, "should_stop", True))
        engine.train(toy_run.configure(Path("run"), settings))
    assert toy_run.last(Path("run"))["global_step"] == 1
    engine.train(toy_run.configure(Path("whole"), settings))
    engine.resume("run", [])
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
        toy_run.assert_same_state(toy_run.last(Path("run"))[part], toy_run.last(Path("whole"))[part], part)
    rows, whole = toy_run.rows(Path("run")), toy_run.rows(Path("whole"))
    assert set(whole) < set(rows)  # where it was stopped it was validated, too
    assert {name for _, _, name, _ in set(rows) - set(whole)} == {"val/loss", "val/accuracy"}


def test_a_metric_that_a_validation_does_not_define(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the run nor its best checkpoint fails of it, and the value before it is not taken for it."""

    def on_validation_epoch_end(self: ToyModule) -> None:
        self.log("val/other", 1.0)
        if self.current_epoch in (1, 4):
            self.log("val/loss", float(self.current_epoch))

    monkeypatch.setattr(ToyModule, "on_validation_epoch_end", on_validation_epoch_end)
    monkeypatch.setattr(ToyModule, "conditional", ("loss",))
    toy_run.train(Path("run"), trainer__max_epochs=6, task__mode="max")
    assert caplog.text.count("task.monitor: val/loss is not defined in the validation after step 6,") == 1
    assert caplog.text.count("task.monitor") == 1
    assert toy_run.last(Path("run"))["epoch"] == 5
    best = checkpoint_io.load(FOLDER / "best.ckpt")
    assert best["epoch"] == 4
    assert json.loads(Path("run/metrics.json").read_text())["best"] == {"value": 4.0, "epoch": 4}


def test_an_epoch_without_validation_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    toy_run.train(Path("run"), trainer__max_epochs=5, trainer__check_val_every_n_epoch=2)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert ["val/loss" in line for line in lines] == [False, True, False, True, True]  # and the last
    assert all("train/loss" in line for line in lines)


@pytest.mark.parametrize("changes", [{"every_steps": 4}, {"every_minutes": 0.0}])
def test_saves_within_an_epoch(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    original = checkpoint_io.save

    def save(checkpoint: dict[str, Any], path: Path) -> None:
        saved.append(checkpoint["global_step"])
        original(checkpoint, path)

    monkeypatch.setattr(checkpoint_io, "save", save)
    settings = {f"callbacks__checkpoint__{name}": value for name, value in changes.items()}
    toy_run.train(Path("run"), trainer__max_epochs=1, **settings)
    assert saved == ([4, 6, 6] if "every_steps" in changes else [1, 2, 3, 4, 5, 6, 6])  # best and last


@pytest.fixture
def signals() -> Iterator[None]:
    """After a second Ctrl-C the process ends, and Lightning leaves signals ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_signal(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(8, patch, lambda module: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted) as caught:
            toy_run.train(Path("run"))
    assert str(caught.value) == f"stopped by {number.name}; continue with: {command('train', 'resume=run')}"
    assert toy_run.last(Path("run"))["global_step"] == 9  # the step was finished
    assert signal.getsignal(number) is before
    engine.resume("run", [])
    toy_run.train(Path("whole"))
    toy_run.assert_same_training(Path("run"), Path("whole"))


@pytest.mark.usefixtures("signals")
def test_second_signal_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(module: ToyModule) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    at_step(8, monkeypatch, twice)
    with pytest.raises(SystemExit) as caught:
        toy_run.train(Path("run"))
    assert caught.value.code == 1
    assert toy_run.last(Path("run"))["global_step"] == 6  # the last whole checkpoint


def test_a_crash_gives_the_signals_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(module: ToyModule) -> None:
        raise ZeroDivisionError

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    at_step(2, monkeypatch, crash)
    with pytest.raises(ZeroDivisionError):
        toy_run.train(Path("run"))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "ZeroDivisionError" in Path("run/log.txt").read_text()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    patience = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < patience
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_signal_to_a_process(number: signal.Signals) -> None:
    words = toy_run.command("run.dir=run", "trainer.max_epochs=100000", "callbacks.pictures=null")
    process = subprocess.Popen(words, env=toy_run.environment(), stderr=subprocess.PIPE, text=True)
    wait_for(FOLDER / "last.ckpt", process)
    process.send_signal(number)
    _, text = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "stopping after this step; once more to stop at once" in text
    assert f"stopped by {number.name}; continue with: " in text
    assert "Traceback" not in text
    stopped = toy_run.last(Path("run"))
    engine.resume("run", [f"trainer.max_epochs={stopped['epoch'] + 2}"])
    assert toy_run.last(Path("run"))["global_step"] > stopped["global_step"]


def test_truncated_last_falls_back(caplog: pytest.LogCaptureFixture) -> None:
    toy_run.train(Path("whole"))
    toy_run.train(Path("run"))
    last = FOLDER / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    engine.resume("run", [])
    assert f"{last} is truncated or damaged" in caplog.text
    assert "going on from previous.ckpt" in caplog.text
    toy_run.assert_same_training(Path("run"), Path("whole"))


def test_truncated_file_that_was_named() -> None:
    toy_run.train(Path("run"), trainer__max_epochs=1)
    last = FOLDER / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        CheckpointError,
        match=r"truncated or damaged and cannot be read: it is no whole archive; name the run folder",
    ):
        engine.resume(str(last), [])


def test_full_disk_leaves_a_run_that_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = torch.save, 0

    def save(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise OSError(28, "No space left on device")
        original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", save)
        with pytest.raises(RunError, match=r"No space left on device.*The checkpoint before it is intact"):
            toy_run.train(Path("run"))
    engine.resume("run", [])
    toy_run.train(Path("whole"))
    toy_run.assert_same_training(Path("run"), Path("whole"))
