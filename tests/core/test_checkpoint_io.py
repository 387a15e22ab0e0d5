"""Checkpoint files: whole or not there, plain data only, never executed."""

import errno
import io
import multiprocessing
import os
import pickle
import re
import resource
import signal
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from vision_apps.core import checkpoint_io
from vision_apps.core.command import command
from vision_apps.core.errors import CheckpointError, RunError

FILE = Path("run/checkpoints/last.ckpt")
DAMAGED = (
    r"{} is truncated or damaged and cannot be read(: it [\w ']+)?(; name the run folder instead of the file "
    r"to use the newest readable checkpoint of the run)?"
)


def content(value: float) -> dict[str, Any]:
    return {"state_dict": {"weight": torch.full((1000,), value)}, "config": {"seed": 0, "none": None}}


def value(path: Path = FILE) -> float:
    return float(checkpoint_io.load(path)["state_dict"]["weight"][0])


@pytest.fixture
def saved() -> None:
    checkpoint_io.save(content(1.0), FILE)


def names() -> list[str]:
    return sorted(os.listdir(FILE.parent))


@pytest.mark.usefixtures("saved")
def test_there_and_back() -> None:
    loaded = checkpoint_io.load(FILE)
    assert torch.equal(loaded["state_dict"]["weight"], torch.ones(1000))
    assert loaded["config"] == {"seed": 0, "none": None}
    checkpoint_io.save(content(2.0), FILE)
    assert value() == 2.0
    assert names() == ["last.ckpt"]


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("moment", ["torch.save", "os.fsync", "os.replace"])
def test_killed_while_writing(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: Any, **kwargs: Any) -> None:
        raise SystemExit  # no handler of the code under test sees it, as none would see a kill

    with monkeypatch.context() as patch:
        patch.setattr(moment, killed)
        with pytest.raises(SystemExit):
            checkpoint_io.save(content(2.0), FILE)
    assert value() == 1.0
    checkpoint_io.save(content(3.0), FILE)
    assert value() == 3.0


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("moment", ["torch.save", "os.fsync", "os.replace"])
def test_full_disk(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(moment, full)
        with pytest.raises(RunError) as caught:
            checkpoint_io.save(content(2.0), FILE)
    start, _, end = str(caught.value).partition(" MiB are free there. ")
    assert start.startswith(
        f"{FILE}: the checkpoint could not be written ([Errno 28] No space left on device); "
    )
    going_on = command("train", "resume=run")
    assert end == f"The checkpoint before it is intact: make room, then continue with {going_on}"
    assert value() == 1.0
    assert names() == ["last.ckpt"]  # nothing of the failed one takes room


def _save_within(limit: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead of the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        checkpoint_io.save(content(2.0), FILE)
    except RunError:
        os._exit(7)
    os._exit(0)


@pytest.mark.usefixtures("saved")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit on a file's size does not bind")
@pytest.mark.parametrize("limit", [0, 100, 3000])
def test_a_write_that_the_system_refuses(limit: int) -> None:
    child = multiprocessing.get_context("fork").Process(target=_save_within, args=(limit,))
    child.start()
    child.join(30)
    assert child.exitcode == 7
    assert value() == 1.0
    assert names() == ["last.ckpt"]


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_truncated(share: float) -> None:
    whole = FILE.read_bytes()
    FILE.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.load(FILE)
    assert re.fullmatch(DAMAGED.format(FILE), str(caught.value))


@pytest.mark.parametrize("text", [b"not a checkpoint", b"PK\x03\x04rest", bytes(1000)])
def test_something_else(text: bytes) -> None:
    Path("file.ckpt").write_bytes(text)
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.load("file.ckpt")
    assert re.fullmatch(DAMAGED.format("file.ckpt"), str(caught.value))


@pytest.mark.parametrize(
    "error", [TypeError, AttributeError, AssertionError, struct.error, UnicodeDecodeError]
)
def test_however_the_unpickler_fails(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error(*(("utf-8", b"", 0, 1, "noise") if error is UnicodeDecodeError else ("noise",)))

    Path("file.ckpt").write_bytes(b"noise")
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.load("file.ckpt")
    assert re.fullmatch(DAMAGED.format("file.ckpt"), str(caught.value))


def test_no_such_file() -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.load("gone.ckpt")
    assert str(caught.value) == "gone.ckpt does not exist: expected a checkpoint (.ckpt)"


@pytest.mark.parametrize("data", [[1, 2], {"weights": 1}])
def test_data_that_is_no_checkpoint(data: Any) -> None:
    torch.save(data, "file.ckpt")
    with pytest.raises(
        CheckpointError, match=r"^file.ckpt is not a checkpoint of a run: it has no 'state_dict'$"
    ):
        checkpoint_io.load("file.ckpt")


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("executed",)


REFUSED = (
    "bomb.ckpt holds more than plain data and was refused without being executed; use a checkpoint that "
    "vision_apps wrote"
)


def refused() -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.load("bomb.ckpt")
    assert str(caught.value) == REFUSED
    assert not Path("executed").exists()


def test_bomb_is_refused_and_not_executed() -> None:
    torch.save({"state_dict": {}, "config": Bomb()}, "bomb.ckpt")
    refused()


def test_bomb_in_the_format_of_old_files() -> None:
    torch.save({"state_dict": {}, "config": Bomb()}, "bomb.ckpt", _use_new_zipfile_serialization=False)
    refused()


def test_bare_pickle() -> None:
    Path("bomb.ckpt").write_bytes(pickle.dumps({"state_dict": Bomb()}, 2))
    with pytest.raises(CheckpointError):
        checkpoint_io.load("bomb.ckpt")
    assert not Path("executed").exists()


def test_bomb_put_into_a_good_file() -> None:
    buffer = io.BytesIO()
    torch.save(content(1.0), buffer)
    with zipfile.ZipFile(buffer) as good, zipfile.ZipFile("bomb.ckpt", "w") as bad:
        for name in good.namelist():
            bomb = pickle.dumps({"state_dict": Bomb()}, 2)
            bad.writestr(name, bomb if name.endswith("data.pkl") else good.read(name))
    refused()


def test_partial_function_is_not_plain_data() -> None:
    """What a partial optimizer in the hyperparameters would be: today's torch refuses it, and so do we."""
    import functools

    torch.save({"state_dict": {}, "hyper": functools.partial(torch.optim.SGD, lr=0.1)}, "bomb.ckpt")
    refused()


def test_newest_readable() -> None:
    folder = FILE.parent
    order = ("last.ckpt", "previous.ckpt", "best.ckpt")
    for number, name in enumerate(order):
        checkpoint_io.save(content(float(number)), folder / name)
    assert checkpoint_io.newest(folder, order)[0] == folder / "last.ckpt"
    (folder / "last.ckpt").write_bytes(b"")
    path, checkpoint, problems = checkpoint_io.newest(folder, order)
    assert path == folder / "previous.ckpt"
    assert float(checkpoint["state_dict"]["weight"][0]) == 1.0
    (problem,) = problems
    assert re.fullmatch(DAMAGED.format(folder / "last.ckpt"), problem)
    (folder / "last.ckpt").unlink()
    (folder / "previous.ckpt").unlink()
    assert checkpoint_io.newest(folder, order)[::2] == (folder / "best.ckpt", [])


def test_none_readable() -> None:
    FILE.parent.mkdir(parents=True)
    with pytest.raises(CheckpointError) as caught:
        checkpoint_io.newest(FILE.parent, ("last.ckpt", "previous.ckpt"))
    assert str(caught.value) == (
        "run/checkpoints has no checkpoint that can be read (last.ckpt, previous.ckpt):\n"
        "  the run stopped before its first checkpoint"
    )
    FILE.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"last.ckpt is truncated or damaged"):
        checkpoint_io.newest(FILE.parent, ("last.ckpt", "previous.ckpt"))
