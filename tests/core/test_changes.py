"""What may change when a run goes on takes effect; all else is refused before anything is written."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import toy_run
import yaml
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from toy import ToyModule

from vision_apps.core import checkpoint_io, engine, process
from vision_apps.core.errors import CheckpointError, ConfigError, RunError
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.schedules import warmup_cosine

pytestmark = pytest.mark.usefixtures("toy")
RUN = Path("run")
STEPS = toy_run.BATCHES_PER_EPOCH


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def trained(**changes: Any) -> None:
    toy_run.train(RUN, **{"trainer__max_epochs": 1, **changes})


def rates(run: Path = RUN) -> dict[int, float]:
    return {row[0]: row[3] for row in toy_run.rows(run) if row[2] == "lr"}


def groups() -> list[dict[str, Any]]:
    return toy_run.last(RUN)["optimizer_states"][0]["param_groups"]


def test_rate_and_decay_without_a_schedule() -> None:
    trained(scheduler=None, optimizer__lr=1e-3)
    engine.resume("run", ["optimizer.lr=1e-5", "optimizer.weight_decay=0.5", "trainer.max_epochs=2"])
    assert [round(rate, 9) for rate in rates().values()] == [1e-3] * STEPS + [1e-5] * STEPS
    assert [(group["lr"], group["weight_decay"]) for group in groups()] == [(1e-5, 0.5), (1e-5, 0.0)]
    assert yaml.safe_load((RUN / "config.yaml").read_text())["optimizer"]["lr"] == 1e-5
    assert json.loads((RUN / "run.json").read_text())["resumed"] == [
        {
            "step": STEPS,
            "changes": ["optimizer.lr=1e-5", "optimizer.weight_decay=0.5", "trainer.max_epochs=2"],
        }
    ]


def test_rate_and_length_of_a_schedule() -> None:
    """From the first step on the rate is that of the schedule as it is configured now."""
    trained(optimizer__lr=1e-3)
    engine.resume("run", ["optimizer.lr=1e-2", "scheduler.final=0.5", "trainer.max_epochs=3"])
    parameter = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1e-2)
    schedule = warmup_cosine(optimizer, 3 * STEPS, final=0.5)
    expected = []
    for _ in range(3 * STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert list(rates().values())[STEPS:] == pytest.approx(expected[STEPS:], rel=1e-6)
    assert list(rates()) == list(range(3 * STEPS))


def test_other_settings_of_the_optimizer() -> None:
    trained(optimizer__betas=[0.9, 0.99])
    engine.resume("run", ["optimizer.betas=[0.5, 0.6]", "trainer.max_epochs=2"])
    assert [list(group["betas"]) for group in groups()] == [[0.5, 0.6]] * 2


def test_a_schedule_that_keeps_its_settings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "_partial_": True, "max_lr": 0.1}
    trained(scheduler=cycle)
    before = contents(RUN)
    with pytest.raises(
        ConfigError, match=r"^scheduler: OneCycleLR keeps its total_steps 6 when a run goes on"
    ):
        engine.resume("run", ["trainer.max_epochs=2"])
    assert contents(RUN) == before
    engine.resume("run", [])


REFUSED = [
    ("data.batch_size=4", r"^data.batch_size: the run has trained with 8 and keeps it; 4 needs a new run"),
    ("model.width=16", r"^model.width: the run has trained with 4 and keeps it"),
    ("seed=3", r"^seed: the run has trained with 0"),
    ("optimizer.betas=[0.9,2.0]", r"^optimizer: Invalid beta parameter at index 1: 2.0"),
    ("scheduler.warmup=200", r"^scheduler.warmup: expected a share of all steps, from 0 to 1, got 200"),
    ("trainer.devices=3", r"^data.batch_size: 8 samples cannot be shared by 3 processes"),
    ("run.dir=elsewhere", r"^run: a run goes on in its own folder, run; leave run.dir and run.root out"),
    ("task.monitor=val/accuracy", r"^task.monitor: the run has trained with 'val/loss'"),
    ("optimizer.eps=0.1", r"^optimizer.eps: "),
    ("trainer.accumulate_grad_batches=2", r"^trainer.accumulate_grad_batches: "),
    ("trainer.limit_train_batches=2", r"^trainer.limit_train_batches: "),
    (
        "trainer.max_epochs=1",
        r"^trainer.max_epochs: 1, but 2 epochs are trained; to go on, choose more than 2",
    ),
    ("trainer.max_steps=3", r"^trainer.max_steps: 3, but 12 steps are trained"),
]


@pytest.mark.parametrize(("change", "told"), REFUSED, ids=[change for change, _ in REFUSED])
def test_refused_and_as_before(change: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(trainer__max_epochs=2)
    before = contents(RUN)
    start = "_call_children_scripts"
    monkeypatch.setattr(_SubprocessScriptLauncher, start, lambda _: pytest.fail("a process was started"))
    with pytest.raises(ConfigError, match=told):
        engine.resume("run", [change])
    assert contents(RUN) == before


def test_refused_late_and_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens before the first step: nothing that was there is touched, what is new goes."""
    trained(test=True)
    before = contents(RUN)

    def setup(self: ToyModule, stage: str) -> None:
        Path("run/wandb").mkdir()
        Path("run/wandb/new").write_text("")
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(ToyModule, "setup", setup)
        with pytest.raises(ZeroDivisionError):
            engine.resume("run", ["trainer.max_epochs=2"])
    assert contents(RUN) == before
    assert not Path("run/wandb").exists()
    engine.resume("run", ["trainer.max_epochs=2"])
    assert toy_run.last(RUN)["epoch"] == 1


def test_what_a_further_process_wrote_last_goes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    trained()
    before = contents(RUN)
    waited: list[str] = []
    child = SimpleNamespace(kill=lambda: waited.append("kill"), wait=lambda: waited.append("wait"))

    def fit(self: pl.Trainer, *_: object, **__: object) -> None:
        self.strategy._launcher = SimpleNamespace(procs=[child])
        (RUN / "error-rank-1.txt").write_text("of a process that failed")
        raise ZeroDivisionError

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    with pytest.raises(ZeroDivisionError):
        engine.resume("run", ["trainer.max_epochs=2"])
    assert waited == ["kill", "wait"], "so that it cannot write later"
    assert contents(RUN) == before


def test_other_weights_are_told_by_their_shapes() -> None:
    trained()
    for name in ("last", "best"):
        path = RUN / f"checkpoints/{name}.ckpt"
        checkpoint = checkpoint_io.load(path)
        checkpoint["state_dict"]["network.head.weight"] = torch.zeros(3, 4)
        checkpoint_io.save(checkpoint, path)
    before = contents(RUN)
    with pytest.raises(CheckpointError, match=r"network.head.weight \[3, 4\] there, \[2, 4\] here"):
        engine.resume("run", ["trainer.max_epochs=2"])
    assert contents(RUN) == before


def test_settings_that_were_edited_by_hand_are_compared_too() -> None:
    trained()
    path = RUN / "config.yaml"
    path.write_text(path.read_text().replace("batch_size: 8", "batch_size: 4"))
    with pytest.raises(ConfigError, match=r"^data.batch_size: the run has trained with 8"):
        engine.resume("run", [])


def test_a_run_that_trains_is_left_alone() -> None:
    trained()
    with RunFolder(RUN).held():
        before = contents(RUN)
        with pytest.raises(RunError, match="is being trained by another process"):
            engine.resume("run", ["trainer.max_epochs=2"])
        assert contents(RUN) == before


def test_nothing_of_another_kind_goes_on(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, "weights.ckpt")
    with pytest.raises(CheckpointError):
        engine.resume("weights.ckpt", [])
    trained()
    torch.save({"state_dict": {}}, "run/checkpoints/weights.ckpt")
    with pytest.raises(CheckpointError, match="it is no checkpoint of a run's training"):
        engine.resume("run/checkpoints/weights.ckpt", [])


def test_time_that_is_used_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of the run, not of one of its parts."""
    trained(trainer__max_time="00:01:00:00", trainer__max_epochs=9, scheduler=None)
    path = RUN / "checkpoints/previous.ckpt"
    checkpoint = checkpoint_io.load(path)
    checkpoint["callbacks"]["Timer"]["time_elapsed"]["train"] = 3601.0
    checkpoint_io.save(checkpoint, path)
    before = contents(RUN)
    with pytest.raises(ConfigError) as caught:
        engine.resume(str(path), [])
    assert str(caught.value) == (
        "trainer.max_time: the run has trained for 3601 s of 3600 s, all its parts together; to go on give "
        "it more: trainer.max_time=00:02:00:00, or null"
    )
    assert contents(RUN) == before
    engine.resume(str(path), ["trainer.max_time=00:02:00:00"])
    assert toy_run.last(RUN)["epoch"] == 8


def test_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    trained(test=True)
    first = json.loads((RUN / "metrics.json").read_text())
    checkpoint = checkpoint_io.load(RUN / "checkpoints/last.ckpt")
    checkpoint["past"] = {"seconds": 1000.0, "peak_memory": 1 << 50, "corrupt_files": {"a.png": "is empty"}}
    checkpoint_io.save(checkpoint, RUN / "checkpoints/last.ckpt")
    engine.resume("run", [])
    second = json.loads((RUN / "metrics.json").read_text())
    assert 1000 <= second["seconds"] < 1600
    assert second["peak_memory"] == 1 << 50
    assert second["corrupt_files"] == {"a.png": "is empty"}
    assert second["final"] == pytest.approx(first["final"], rel=1e-6)
    assert (second["best"], second["series"]) == (first["best"], first["series"])


def test_a_new_run_that_takes_no_step_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kept").mkdir()

    def load(*_: object) -> None:
        raise ConfigError("data.root: nothing is there")

    for run in (None, Path("deep/er/run"), Path("kept/run")):
        with monkeypatch.context() as patch:
            patch.setattr("toy.ToyData.load", load)
            with pytest.raises(ConfigError, match="nothing is there"):
                engine.train(toy_run.configure(run, {"trainer.max_epochs": 1}))
    assert sorted(path.name for path in Path().iterdir()) == ["kept"]
    assert list(Path("kept").iterdir()) == []
    toy_run.train(Path("kept/run"), trainer__max_epochs=1)  # the same words, corrected


def test_a_run_that_fails_after_its_first_step_is_kept() -> None:
    with pytest.raises(RunError, match="not finite at step 0"):
        trained(module__poison=0)
    assert json.loads((RUN / "run.json").read_text())["status"] == "failed"


def test_what_was_used_is_what_is_recorded() -> None:
    trained()
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    used = {name: config[name] for name in ("precision", "channels_last", "keep_memory")}
    assert "auto" not in used.values()
    assert {name: toy_run.last(RUN)["config"][name] for name in used} == used


def test_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(RunError, match=r"run.json: cannot be written: No space"):
            trained()
    assert not RUN.exists()
    with monkeypatch.context() as patch:
        patch.setattr("vision_apps.core.metrics_logger.csv.writer", full)
        with pytest.raises(RunError, match=r"run: No space left .* resume=run$"):
            trained()
    shutil.rmtree(RUN)


def test_further_processes_are_given_the_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may read the configuration before the first step writes it."""
    trained()
    import sys

    seen: list[list[str]] = []
    fit = engine.pl.Trainer.fit
    monkeypatch.setattr(
        engine.pl.Trainer, "fit", lambda self, *a, **k: (seen.append(list(sys.argv)), fit(self, *a, **k))[1]
    )
    engine.resume("run", ["trainer.max_epochs=2"])
    checkpoint = (RUN / "checkpoints/last.ckpt").absolute()
    assert seen[0][1:] == [
        "train", "--replay", str(RUN.absolute()), f"--checkpoint={checkpoint}", "trainer.max_epochs=2",
    ]  # fmt: skip
    assert process.rank() == 0
