"""What is known of many runs from their small files."""

import json
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from vision_apps.core.errors import RunError
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.run_list import runs


def made(name: str, started: str, **record: object) -> RunFolder:
    folder = RunFolder.create("runs", "toy", f"runs/{name}")
    folder.note(id=name, started=started, **record)
    return folder


def test_newest_first_and_not_what_lies_inside_of_a_run() -> None:
    made("a", "2026-01-01T00:00:00+00:00")
    made("sweeps/0001-x/trials/0000/seed-1", "2026-03-01T00:00:00+00:00", title="0000 lr=1")
    RunFolder.create("runs/a/predictions", "toy", "runs/a/inside").note(id="inside")
    Path("runs/.dashboard/b").mkdir(parents=True)
    Path("runs/.dashboard/b/run.json").write_text("{}")
    assert [run.title for run in runs(Path("runs"))] == ["0000 lr=1", "a"]
    assert runs(Path("nowhere")) == []


def test_a_run_is_listed_once_whatever_links_lead_to_it() -> None:
    made("study/0001-x", "2026-01-01T00:00:00+00:00")
    Path("runs/a-link").symlink_to("study/0001-x", target_is_directory=True)
    Path("runs/all").symlink_to("study", target_is_directory=True)
    Path("runs/study/up").symlink_to("..", target_is_directory=True)
    assert [run.folder.path for run in runs(Path("runs"))] == [Path("runs/study/0001-x")]
    assert [run.folder.path for run in runs(Path("runs/a-link"))] == [Path("runs/a-link")]


@pytest.mark.parametrize("content", ["", '{"id": "a', "[1]"])
def test_a_cut_off_file_is_an_empty_record(content: str) -> None:
    folder = RunFolder.create("runs", "toy")
    (folder.path / "run.json").write_text(content)
    (folder.path / "metrics.json").write_text(content)
    (run,) = runs(Path("runs"))
    assert run.metrics == {}
    assert "id" not in run.record


def test_status() -> None:
    folder = made("a", "2026-01-01T00:00:00+00:00")
    assert folder.status == "stopped"
    folder.write_json("metrics.json", {})
    assert folder.status == "finished"
    folder.note(status="failed", error="why")
    assert folder.status == "failed"
    folder.note(status=None, error=None)
    assert json.loads((folder.path / "run.json").read_text()).keys() == {"id", "started"}


def test_a_run_is_running_while_its_process_lives() -> None:
    folder = made("a", "2026-01-01T00:00:00+00:00")
    script = (
        "import sys; from vision_apps.core.run_folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).held(): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"held\n"
    assert folder.status == "running"
    with pytest.raises(RunError, match="is being trained by another process"), folder.held():
        pass
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert folder.status == "stopped"
    with folder.held():
        assert folder.path.is_dir()


def test_a_run_of_somebody_else_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock of a file that may only be read cannot be taken, only asked for."""
    folder = made("a", "2026-01-01T00:00:00+00:00")
    with folder.held():
        pass  # leaves the file

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with folder.held():
        monkeypatch.setattr(filelock.FileLock, "acquire", refused)
        assert folder.status == "running"
    assert folder.status == "stopped"
