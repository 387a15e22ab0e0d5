"""Whichever process fails, its reason is what is told."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import toy_run
from test_ddp import PLAIN, TWO, wait_for_children

from vision_apps.core import engine, first_cause, ranks
from vision_apps.core.errors import DataError, RunError
from vision_apps.core.run_folder import RunFolder

LOST = RuntimeError("connection closed by peer")


def fail(folder: RunFolder, own: Exception, *others: tuple[int, Exception]) -> None:
    """The first process, while others failed one after the other."""
    with first_cause.told(folder, 0):
        for rank, error in others:
            with contextlib.suppress(type(error)), first_cause.told(folder, rank):
                raise error
        raise own


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(ranks, "world", lambda: 3)
    monkeypatch.setattr(first_cause, "_PATIENCE", 0.2)
    return RunFolder(tmp_path)


def test_the_earliest_is_told(folder: RunFolder) -> None:
    with pytest.raises(RunError, match=r"^process 2: 7.png: broken$"):
        fail(folder, LOST, (2, DataError("7.png: broken")), (1, RuntimeError("connection reset")))
    assert "Traceback" in (folder.path / "error-rank-1.txt").read_text()


def test_a_fault_of_the_program_has_its_traceback(folder: RunFolder) -> None:
    with pytest.raises(
        RunError, match=r"^process 1: TypeError: no such thing; its traceback is in .*error-rank-1.txt$"
    ):
        fail(folder, LOST, (1, TypeError("no such thing")))
    assert "test_first_cause.py" in (folder.path / "error-rank-1.txt").read_text()


def test_what_was_written_before_is_no_reason(folder: RunFolder) -> None:
    (folder.path / "error-rank-1.txt").write_text("long ago")
    with pytest.raises(RuntimeError, match=r"^connection closed by peer$"):
        fail(folder, LOST)


def test_its_own_reason_is_told(folder: RunFolder) -> None:
    with pytest.raises(DataError):
        fail(folder, DataError("7.png: broken"), (1, LOST))


@pytest.mark.slow
@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("of_user", [True, False])
def test_in_a_run(of_user: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", toy_run.environment()["PYTHONPATH"])
    failing: dict[str, Any] = {"_target_": "toy_ranks.Fails", "rank": 1, "of_user": of_user}
    with pytest.raises(RunError) as caught:
        engine.train(toy_run.configure(Path("run"), PLAIN | TWO | {"callbacks.fails": failing}))
    wait_for_children()
    reason = "process 1: picture 7 is broken" if of_user else "process 1: TypeError: picture 7 is broken"
    assert str(caught.value).startswith(reason)
    record = json.loads(Path("run/run.json").read_text())
    assert record["status"] == "failed" and record["error"].startswith(f"RunError: {reason}")
    assert reason in Path("run/log.txt").read_text()
