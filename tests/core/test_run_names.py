"""``last`` and ``best:METRIC``: which run that is, in every command, and what is said where it is none."""

import json
from pathlib import Path

import pytest
import toy_run
import yaml

from vision_apps.cli import main
from vision_apps.compare import reading
from vision_apps.core import engine, run_names
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.core.run_folder import RunFolder


def made(
    name: str,
    started: str,
    best: float | None = None,
    task: str = "toy",
    monitor: str = "val/acc",
    **final: float,
) -> Path:
    """The small files of a run."""
    folder = Path("runs") / task / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"task": {"name": task}}))
    (folder / "run.json").write_text(json.dumps({"started": started, "choices": {"task": task}}))
    if best is not None:
        told = {
            "monitor": monitor,
            "mode": "max",
            "best": {"value": best},
            "final": {"val/acc": 0.1, **final},
        }
        (folder / "metrics.json").write_text(json.dumps(told))
    return folder


def test_the_last_and_the_best() -> None:
    made("1-a", "2026-01-01", 0.7, **{"test/loss": 2.0})
    best = made("2-b", "2026-01-02", 0.9, **{"test/loss": 3.0})
    last = made("3-c", "2026-01-03")  # stopped
    made("1-d", "2025-01-01", 0.99, task="other", monitor="val/loss")  # has val/acc, too
    made("4-e", "2025-01-04", float("nan"))
    assert RunFolder.find("last")[0].path == last
    assert run_names.named("best:val/acc") == best
    assert run_names.named("best:test/loss:min") == Path("runs/toy/1-a")
    assert run_names.named("best:test/loss:max") == best
    assert [run.folder.path for run in reading.gather(["best:val/acc", "runs/toy/1-a"], None).runs] == [
        best,
        Path("runs/toy/1-a"),
    ]


def test_what_is_no_run_is_told() -> None:
    with pytest.raises(CheckpointError, match="last: there is no run below runs/"):
        RunFolder.find("last")
    made("1-a", "2026-01-01", 0.7, **{"test/loss": 2.0})
    with pytest.raises(
        ConfigError, match=r"has test/los; did you mean 'test/loss'\?; they have test/loss, v"
    ):
        run_names.named("best:test/los")
    with pytest.raises(
        ConfigError, match=r"which values are good\? Expected best:test/loss:max .*best:val/acc$"
    ):
        run_names.named("best:test/loss")
    made("1-a", "2026-01-02", 0.8, task="other")
    with pytest.raises(ConfigError, match="best:val/acc: runs of other, toy have it; name one"):
        run_names.named("best:val/acc")


def test_a_file_of_that_name_comes_before() -> None:
    made("1-a", "2026-01-01", 0.7)
    Path("last").mkdir()
    Path("last/config.yaml").touch()
    assert RunFolder.find("last")[0].path == Path("last")


@pytest.mark.usefixtures("toy")
def test_a_run_records_the_folder_and_not_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    first = Path("runs/toy/first")
    toy_run.train(first, trainer__max_epochs=1)
    engine.train(toy_run.configure(None, {"init": "last", "trainer.max_epochs": 1}))
    (second,) = set(Path("runs/toy").iterdir()) - {first}
    assert RunFolder(second).read_config()["init"] == str(first)
    capsys.readouterr()
    assert main(["test", "best:val/loss"]) == 0
    assert "test.json and images/ in runs/toy/" in capsys.readouterr().out
