"""A run that was stopped and resumed is the run that was not, to the last bit."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import toy_run
from toy import ToyModule

from vision_apps.core import engine
from vision_apps.core.errors import CheckpointError, ConfigError

pytestmark = pytest.mark.usefixtures("toy")

SETTINGS: dict[str, dict[str, Any]] = {
    "half an epoch": {"trainer.limit_train_batches": 4},
    "accumulated gradients": {"trainer.accumulate_grad_batches": 2},
    "accumulated gradients and a rest": {"trainer.accumulate_grad_batches": 5},
    "rare logging": {"trainer.log_every_n_steps": 4},
    "validation twice an epoch": {"trainer.val_check_interval": 3},
    "validation every other epoch": {"trainer.check_val_every_n_epoch": 2},
    "another seed": {"seed": 7},
}


def trained(run: Path, changes: dict[str, Any]) -> Path:
    engine.train(toy_run.configure(run, changes))
    return run


def stopped_and_resumed(run: Path, changes: dict[str, Any], batches: int, patch: pytest.MonkeyPatch) -> Path:
    toy_run.stop_after(batches, patch, lambda: engine.train(toy_run.configure(run, changes)))
    engine.resume(str(run), [])
    return run


@pytest.mark.slow
@pytest.mark.parametrize("batches", [1, 5, 6, 11], ids=lambda count: f"after {count} batches")
def test_from_any_moment(batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", {"trainer.max_epochs": 2})
    again = stopped_and_resumed(tmp_path / "again", {"trainer.max_epochs": 2}, batches, monkeypatch)
    toy_run.assert_same_training(whole, again)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_change_the_loop(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"trainer.max_epochs": 2, **SETTINGS[name]}
    whole = trained(tmp_path / "whole", changes)
    toy_run.assert_same_training(whole, stopped_and_resumed(tmp_path / "again", changes, 3, monkeypatch))


def test_resumed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", {"trainer.max_epochs": 3})
    toy_run.stop_after(4, monkeypatch, lambda: toy_run.train(tmp_path / "again"))
    toy_run.stop_after(9, monkeypatch, lambda: engine.resume("again", []))
    engine.resume("again", [])
    toy_run.assert_same_training(whole, tmp_path / "again")


def test_batches_and_what_is_drawn_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same augmented batches at the same learning rates: not only the same result."""
    seen: list[tuple[int, int, float]] = []
    step = ToyModule.training_step

    def noted(self: ToyModule, batch: Any, batch_idx: int) -> Any:
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        seen.append((self.trainer.current_epoch, int(batch.images.sum()), rate))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyModule, "training_step", noted)
    trained(tmp_path / "whole", {})
    expected = seen.copy()
    seen.clear()
    toy_run.stop_after(8, monkeypatch, lambda: toy_run.train(tmp_path / "again"))
    assert len(seen) == 8
    engine.resume("again", [])
    assert seen == expected
    assert len({images for _, images, _ in seen}) == 3 * toy_run.BATCHES_PER_EPOCH


def test_same_seed_twice_and_another_seed(tmp_path: Path) -> None:
    runs = [
        trained(tmp_path / str(i), {"trainer.max_epochs": 1, "seed": seed})
        for i, seed in enumerate((0, 0, 1))
    ]
    toy_run.assert_same_training(runs[0], runs[1])
    with pytest.raises(AssertionError):
        toy_run.assert_same_training(runs[0], runs[2])


def test_moved_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(tmp_path / "whole", {"trainer.max_epochs": 2})
    toy_run.stop_after(8, monkeypatch, lambda: toy_run.train(tmp_path / "before", trainer__max_epochs=2))
    moved = Path(shutil.move(tmp_path / "before", tmp_path / "after"))
    engine.resume(str(moved), [])
    toy_run.assert_same_training(whole, moved)
    assert not (tmp_path / "before").exists()
    assert (moved / "metrics.json").is_file()
    assert toy_run.last(moved)["config"]["run"]["dir"] == str(moved)


def test_trained_longer(tmp_path: Path) -> None:
    """With a schedule that does not depend on the length, a longer run is the same run."""
    constant = {"scheduler": None}
    whole = trained(tmp_path / "whole", constant)
    trained(tmp_path / "longer", constant | {"trainer.max_epochs": 1})
    engine.resume("longer", ["trainer.max_epochs=3"])
    toy_run.assert_same_training(whole, tmp_path / "longer")
    assert toy_run.last(tmp_path / "longer")["config"]["trainer"]["max_epochs"] == 3


def test_finished_run_does_nothing_more(tmp_path: Path) -> None:
    trained(tmp_path / "run", {"trainer.max_epochs": 1})
    before, logged = toy_run.last(tmp_path / "run"), toy_run.rows(tmp_path / "run")
    engine.resume("run", [])
    toy_run.assert_same_state(before, toy_run.last(tmp_path / "run"))
    assert toy_run.rows(tmp_path / "run") == logged


def test_named_checkpoint(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", {})
    trained(tmp_path / "again", {})
    engine.resume("again/checkpoints/previous.ckpt", [])
    toy_run.assert_same_training(whole, tmp_path / "again")


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"nowhere does not exist: expected a run folder \(runs/<task>/<number>"
    ):
        engine.resume("nowhere", [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty has no config.yaml"):
        engine.resume("empty", [])
    trained(tmp_path / "run", {"trainer.max_epochs": 1})
    shutil.rmtree("run/checkpoints")
    Path("run/checkpoints").mkdir()
    Path("run/checkpoints/last.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"run/checkpoints has no checkpoint that can be read"):
        engine.resume("run", [])


def test_stopped_before_the_first_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = trained(tmp_path / "whole", {"trainer.max_epochs": 1})
    shutil.copytree(whole, "again")
    for checkpoint in Path("again/checkpoints").iterdir():
        checkpoint.unlink()
    engine.resume("again", [])
    assert "the run stopped before its first checkpoint: it starts from the beginning" in caplog.text
    toy_run.assert_same_training(whole, tmp_path / "again")


def test_what_a_killed_process_left_half_written_is_taken_away(tmp_path: Path) -> None:
    trained(tmp_path / "run", {"trainer.max_epochs": 1})
    Path("run/checkpoints/.last.ckpt.123.tmp").write_bytes(b"half")
    engine.resume("run", [])
    names = sorted(path.name for path in Path("run/checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt"]


def test_wrong_change_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    trained(tmp_path / "run", {"trainer.max_epochs": 1})
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(ConfigError, match=r"^trainer.max_epoch: the run has no such key; did you mean"):
        engine.resume("run", ["trainer.max_epoch=5"])
    with pytest.raises(ConfigError, match=r"trainer.max_epochs: expected .*int.*, got 'many'"):
        engine.resume("run", ["trainer.max_epochs=many"])
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
