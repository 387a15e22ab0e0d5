"""One wrong bit in a checkpoint is noticed before anything of it is used."""

import os
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_run

from vision_apps.core import checkpoint_io, checksum, engine
from vision_apps.core.errors import CheckpointError

FILE = Path("run/checkpoints/last.ckpt")


def content() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    weights = {f"layer.{number}": torch.randn(50, generator=generator) for number in range(5)}
    return {"state_dict": weights, "config": {"seed": 0, "text": "as it was"}, "global_step": 3}


def flipped(path: Path, bit: int) -> None:
    noisy = bytearray(path.read_bytes())
    noisy[bit // 8] ^= 1 << bit % 8
    path.write_bytes(noisy)


def test_the_file_is_as_torch_and_unzip_know_it() -> None:
    checkpoint_io.save(content(), FILE)
    assert torch.load(FILE, weights_only=True)["config"] == content()["config"]
    with zipfile.ZipFile(FILE) as archive:
        assert archive.testzip() is None
        assert archive.comment.decode().startswith("vision_apps.crc32=")


@pytest.mark.parametrize("sealed", [True, False], ids=["ours", "of torch alone"])
def test_five_hundred_flips(sealed: bool) -> None:
    """Of a file without our sum, those which no reader looks at may pass, and change nothing."""
    if sealed:
        checkpoint_io.save(content(), FILE)
    else:
        FILE.parent.mkdir(parents=True)
        torch.save(content(), FILE)
    whole, chance, passed = FILE.read_bytes(), random.Random(0), 0
    for bit in chance.sample(range(8 * len(whole)), 500):
        FILE.write_bytes(whole)
        flipped(FILE, bit)
        try:
            loaded = checkpoint_io.load(FILE)
        except CheckpointError:
            continue
        passed += 1
        toy_run.assert_same_state(loaded, content())
    assert passed == 0 or not sealed


def test_every_bit_of_the_sum_and_of_what_names_it() -> None:
    checkpoint_io.save(content(), FILE)
    whole = FILE.read_bytes()
    end = 8 * len(whole)
    for bit in range(end - 8 * 60, end, 7):
        FILE.write_bytes(whole)
        flipped(FILE, bit)
        with pytest.raises(CheckpointError, match=r"truncated or damaged"):
            checkpoint_io.load(FILE)


@pytest.mark.usefixtures("toy")
def test_a_run_goes_on_from_the_intact_one(caplog: pytest.LogCaptureFixture) -> None:
    for run in ("whole", "run"):
        toy_run.train(Path(run), trainer__max_epochs=2)
    flipped(FILE, 8 * (FILE.stat().st_size // 2))
    engine.resume("run", [])
    toy_run.assert_same_training(Path("whole"), Path("run"))
    assert (
        "last.ckpt is truncated or damaged and cannot be read: it does not have its checksum; going on from "
        "previous.ckpt"
    ) in caplog.text


def test_what_unpacks_to_any_size_is_refused_unpacked() -> None:
    FILE.parent.mkdir(parents=True)
    torch.save({"state_dict": {"zeros": torch.zeros(1_000_000)}}, "plain.ckpt")
    with (
        zipfile.ZipFile("plain.ckpt") as plain,
        zipfile.ZipFile(FILE, "w", compression=zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert FILE.stat().st_size < 20_000
    with pytest.raises(CheckpointError, match=r"it is packed, which torch never does, and could unpack"):
        checkpoint_io.load(FILE)


def test_members_that_are_the_same_bytes_a_thousand_times() -> None:
    with zipfile.ZipFile("twice.ckpt", "w") as archive:
        archive.writestr("archive/data/0", os.urandom(1000))
        archive.filelist *= 1000
    assert checksum.problem(Path("twice.ckpt")) == (
        "it is packed, which torch never does, and could unpack to any size"
    )
