"""When a run saves itself, and how it stops."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run
from toy import ToyAnswer, ToyModule

from vision_apps.core import checkpoint_io, engine
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
        self.log("val/loss", float("nan") if self.current_epoch == 0 else 1.0)

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
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == accuracies.index(max(accuracies))


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_values_the_first_is_the_best(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that says the same in each epoch."""
    same = ToyAnswer(torch.tensor([[0.3, 0.7]]))
    monkeypatch.setattr(
        ToyModule, "answer", lambda self, outputs, inputs: ToyAnswer(same.scores.expand(len(outputs), 2))
    )
    toy_run.train(Path("run"), task__monitor="val/accuracy", task__mode=mode)
    values = [row[3] for row in toy_run.rows(Path("run")) if row[2] == "val/accuracy"]
    assert len(values) == 3 and len(set(values)) == 1
    assert checkpoint_io.load(FOLDER / "best.ckpt")["epoch"] == 0
    assert checkpoint_io.load(FOLDER / "last.ckpt")["epoch"] == 2


def test_monitor_that_does_not_exist() -> None:
    with pytest.raises(RunError) as caught:
        toy_run.train(Path("run"), task__monitor="val/los")
    assert str(caught.value) == (
        "task.monitor: val/los was not logged; logged are: lr, train/loss, val/accuracy, val/loss"
    )


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
        CheckpointError, match=r"truncated or damaged and cannot be read; name the run folder instead"
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
