"""Two processes train as one: the same configuration, the same global batch, one run folder."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy_run

from vision_apps.cli import main
from vision_apps.core import engine
from vision_apps.core.errors import ConfigError

pytestmark = pytest.mark.usefixtures("toy")
PLAIN: dict[str, Any] = {
    "model": {"_target_": "toy_ranks.PlainNet"},
    "precision": "32-true",
    "channels_last": False,
    "trainer.max_epochs": 2,
}
TWO = {"trainer.strategy": "ddp", "trainer.devices": 2}


def recorded(folder: Path) -> dict[str, Any]:
    return {"callbacks.ranks": {"_target_": "toy_ranks.RankRecord", "folder": str(folder.absolute())}}


def records(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda record: (record["seed"], record["rank"]))


def assert_two_train_as_one(first: dict[str, Any], second: dict[str, Any], alone: dict[str, Any]) -> None:
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["config"] == second["config"]
    assert first["run"] == second["run"]
    for mine, yours, all_of_it in zip(first["samples"], second["samples"], alone["samples"], strict=True):
        assert len(mine) == len(yours) == 4
        assert sorted(mine + yours) == sorted(all_of_it)
    mean = [(a + b) / 2 for a, b in zip(first["losses"], second["losses"], strict=True)]
    assert mean == pytest.approx(alone["losses"], abs=1e-5)
    assert mean[0] == pytest.approx(alone["losses"][0], abs=1e-6)
    assert first["weights"] == second["weights"] == pytest.approx(alone["weights"], abs=1e-4)


def wait_for_children() -> None:
    """The second process leaves when the first has left the group."""
    patience = time.monotonic() + 600
    for listing in Path("/proc/self/task").glob("*/children"):
        for child in listing.read_text().split():
            with contextlib.suppress(OSError):  # it has ended
                while "--replay" in Path(f"/proc/{child}/cmdline").read_text():
                    assert time.monotonic() < patience
                    time.sleep(0.1)


@pytest.mark.slow
def test_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a notebook or another program: afterwards everything is as it was."""
    monkeypatch.setenv("PYTHONPATH", toy_run.environment()["PYTHONPATH"])
    engine.train(toy_run.configure(Path("alone"), PLAIN | recorded(Path("one"))))
    before = sys.argv, dict(os.environ), sys.modules["__main__"].__spec__
    engine.train(toy_run.configure(None, PLAIN | TWO | recorded(Path("two"))))
    wait_for_children()
    assert (sys.argv, dict(os.environ), sys.modules["__main__"].__spec__) == before
    assert_two_train_as_one(*records(Path("two")), *records(Path("one")))
    (run,) = Path("runs/toy").iterdir()
    assert len(toy_run.rows(run)) == len(toy_run.rows(Path("alone")))  # written once, not once per process
    for (*key, value), (*other, expected) in zip(toy_run.rows(run), toy_run.rows(Path("alone")), strict=True):
        assert key == other
        assert value == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "freeze", ["backbone.1", {"backbone": 0.5, "backbone.1": 0.25}], ids=["kept", "thawed"]
)
def test_frozen_parts(freeze: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What thaws is learned by both alike from its first step on; none waits for what is frozen. So it is
    when they go on in the middle."""
    monkeypatch.setenv("PYTHONPATH", toy_run.environment()["PYTHONPATH"])
    parts = {**PLAIN, "model": {"_target_": "toy_parts.PlainParts"}, "freeze": freeze, "scheduler": None}
    engine.train(toy_run.configure(Path("alone"), parts | recorded(Path("one"))))
    engine.train(toy_run.configure(Path("two"), parts | TWO | recorded(Path("both"))))
    wait_for_children()
    assert_two_train_as_one(*records(Path("both")), *records(Path("one")))
    whole = toy_run.last(Path("two"))
    engine.resume("two/checkpoints/previous.ckpt", [f"callbacks.ranks.folder={Path('both').absolute()}"])
    wait_for_children()
    for part in ("state_dict", "optimizer_states"):
        toy_run.assert_same_state(whole[part], toy_run.last(Path("two"))[part])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "submitit_local"])
def test_in_a_sweep(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The children of each job train with this job's configuration, not with the sweep's command line: one
    job after another, and both at a time in processes that the launcher starts."""
    monkeypatch.setenv("PYTHONPATH", toy_run.environment()["PYTHONPATH"])
    words = [
        "-m",
        f"hydra/launcher={launcher}",
        "seed=0,1",
        "model=plain",
        "data.augment=null",
        "precision=32-true",
        "trainer.max_epochs=1",
    ]
    words += ["trainer.strategy=ddp", "trainer.devices=2", "channels_last=false"]
    words += [
        "+callbacks.ranks._target_=toy_ranks.RankRecord",
        "+callbacks.ranks.folder=" + str(Path("two").absolute()),
    ]
    assert main(toy_run.command(*words)[3:]) == 0
    wait_for_children()
    one, other = records(Path("two"))[:2], records(Path("two"))[2:]
    assert [record["seed"] for record in one + other] == [0, 0, 1, 1]
    assert one[0]["config"] == one[1]["config"]
    assert other[0]["config"] == other[1]["config"]
    assert one[0]["weights"] == one[1]["weights"] != other[0]["weights"] == other[1]["weights"]
    assert len(list(Path("runs/toy").iterdir())) == 2


def test_processes_that_somebody_else_starts_share_a_named_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(ConfigError) as caught:
        engine.train(toy_run.configure(None))
    assert str(caught.value) == (
        "run.dir: must be given when torchrun or srun starts the processes, so that they share one folder; "
        "for instance run.dir=runs/toy/my-run"
    )
    assert not Path("runs").exists()
