"""Run folders: numbered without gaps, never shared, never overwritten."""

import multiprocessing
import os
import sys
import threading
from pathlib import Path

import pytest

from vision_apps.core.command import command
from vision_apps.core.errors import CheckpointError, RunError
from vision_apps.core.run_folder import RunFolder


def test_numbers_and_words() -> None:
    made = [RunFolder.create("runs", "toy") for _ in range(3)]
    assert [folder.name.split("-")[0] for folder in made] == ["0001", "0002", "0003"]
    assert len({folder.name.split("-", 1)[1] for folder in made}) == 3
    assert all(folder.checkpoints.is_dir() and folder.images.is_dir() for folder in made)
    assert made[0].path.parent == Path("runs/toy")


def test_goes_on_after_the_highest_number() -> None:
    for name in ("0007-mine", "notes", "12"):
        Path("runs/toy", name).mkdir(parents=True)
    assert RunFolder.create("runs", "toy").name.startswith("0008-")
    assert RunFolder.create("runs", "other").name.startswith("0001-")


def test_threads_at_the_same_moment() -> None:
    gate, made = threading.Barrier(8), []

    def create() -> None:
        gate.wait()
        made.extend(RunFolder.create("runs", "toy").name for _ in range(5))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir("runs/toy")) == sorted(made)
    assert [int(name.split("-")[0]) for name in sorted(made)] == list(range(1, 41))


def _create_five(gate: object) -> None:
    gate.wait()  # type: ignore[attr-defined]
    for _ in range(5):
        RunFolder.create("runs", "toy")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a fork of a process with threads is not safe")
def test_processes_at_the_same_moment() -> None:
    context = multiprocessing.get_context("fork")
    gate = context.Barrier(8)
    processes = [context.Process(target=_create_five, args=(gate,)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    assert [int(name.split("-")[0]) for name in sorted(os.listdir("runs/toy"))] == list(range(1, 41))


def test_a_given_folder_is_never_overwritten() -> None:
    RunFolder.create("runs", "toy", "here/mine").write("config.yaml", "kept: true\n")
    with pytest.raises(RunError) as caught:
        RunFolder.create("runs", "toy", "here/mine")
    assert str(caught.value) == (
        "run.dir: here/mine exists already and a run never overwrites another; choose another folder, "
        f"or continue it: {command('train', 'resume=here/mine')}"
    )
    assert Path("here/mine/config.yaml").read_text() == "kept: true\n"


def test_place_where_nothing_can_be_written() -> None:
    Path("file").write_text("")
    with pytest.raises(RunError) as caught:
        RunFolder.create("file/runs", "toy")
    assert str(caught.value) == (
        "run.root: cannot make a run folder below file/runs: Not a directory; "
        "choose a writable place, for instance run.root=/tmp/runs"
    )


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_no_right_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(
        self: Path, *args: object, **kwargs: object
    ) -> None:  # root has every right, so it is said here
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        RunError, match=r"^run.root: cannot make a run folder below runs: Permission denied; choose"
    ):
        RunFolder.create("runs", "toy")


def test_found_from_the_folder_and_from_a_checkpoint() -> None:
    folder = RunFolder.create("runs", "toy")
    folder.write_config({"seed": 1})
    checkpoint = folder.checkpoints / "last.ckpt"
    checkpoint.write_text("")
    assert RunFolder.find(folder.path)[0].path == folder.path
    assert RunFolder.find(folder.path)[1] is None
    found, path = RunFolder.find(str(checkpoint))
    assert (found.path, path) == (folder.path, checkpoint)
    copied = Path("elsewhere.ckpt")
    copied.write_text("")
    assert RunFolder.find("elsewhere.ckpt")[1] == copied


@pytest.mark.parametrize(("place", "what"), [("runs", "has no config.yaml"), ("missing", "does not exist")])
def test_neither(place: str, what: str) -> None:
    Path("runs").mkdir()
    with pytest.raises(CheckpointError) as caught:
        RunFolder.find(place)
    assert str(caught.value) == (
        f"{place} {what}: expected a run folder (runs/<task>/<number>-<words>), a checkpoint (.ckpt) in one, "
        "last, or best:METRIC"
    )


def test_configuration_there_and_back() -> None:
    folder = RunFolder.create("runs", "toy")
    config = {
        "seed": 1,
        "text": "größer",
        "number": 1e-4,
        "list": [1, None],
        "nested": {"on": True, "yes": "no"},
    }
    folder.write_config(config)
    assert folder.read_config() == config
    assert list(folder.read_config()) == list(config)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [1\n"])
def test_broken_configuration(text: str) -> None:
    folder = RunFolder.create("runs", "toy")
    folder.write("config.yaml", text)
    with pytest.raises(CheckpointError, match=r"config.yaml (is no YAML|is not a configuration)"):
        folder.read_config()


def test_small_files_are_whole_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create("runs", "toy")
    folder.write_json("metrics.json", {"a": 1})

    def killed(*paths: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.write_json("metrics.json", {"a": 2})
    assert folder.read_json("metrics.json") == {"a": 1}
    assert folder.read_json("missing.json") == {}
