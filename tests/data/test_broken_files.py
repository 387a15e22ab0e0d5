"""Broken and hostile files in a user's folder: what the commands say, word for word."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from PIL import Image

from vision_apps.cli import main
from vision_apps.core.errors import DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data.labels.folder import ImageFolder, fake_pictures

BROKEN = Path("photos/train/a/0000.jpg")


class Batch(NamedTuple):
    images: torch.Tensor


@pytest.fixture
def photos() -> None:
    """Two classes, and a JPEG file that ends too early among them."""
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for seed, name in enumerate("ab"):
            fake_pictures(Path("photos") / split / name, count, 32, seed)
    BROKEN.write_bytes(BROKEN.read_bytes()[:200])


DATA = ["task=classification", "data=folder", "data.root=photos", "data.image_size=32", "data.workers=0"]
TINY = ["model=lenet5", "data.batch_size=8", "trainer=smoke", "trainer.max_epochs=1", "logger=csv"]
REASON = f"{BROKEN}: cannot be decoded: Truncated File Read"


def test_the_check_names_the_broken_file(photos: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", *DATA, "data.workers=1", "out=drawn"]) == 2
    said = capsys.readouterr()
    assert said.err == (
        f"error: 1 broken file; remove or mend, or leave out with data.on_corrupt=skip\n  {REASON}\n"
    )
    assert said.out.splitlines()[1:3] == [
        "train         8 samples, 1 broken",
        "       first 7 drawn in drawn/train.png",
    ]
    drawn = sorted(path.name for path in Path("drawn").iterdir())
    assert drawn == [".data-check", ".data-check-of", "test.png", "train.png", "val.png"]


def test_a_run_refuses_it(photos: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:  # inside Hydra, which would print a line of its own
        main(["train", *DATA, *TINY])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(
        f"error: data: {REASON}\n  Remove or mend the file, leave it out with data.on_corrupt=skip, "
        "or list all such files: vision-apps data check data=...\n"
    )


def test_a_run_leaves_it_out_and_says_so(photos: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *DATA, *TINY, "data.on_corrupt=skip"]) == 0
    (metrics,) = Path("runs/classification").glob("*/metrics.json")
    assert json.loads(metrics.read_text())["corrupt_files"] == {
        str(BROKEN): "cannot be decoded: Truncated File Read"
    }
    assert f"broken files that were left out: 1, all in metrics.json: {BROKEN}\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_pixel_bomb_in_a_folder_is_refused_or_left_out(tmp_path: Path) -> None:
    for name in ("train", "val", "test"):
        fake_pictures(tmp_path / name, 3, 16, seed=0)
    bomb = tmp_path / "train" / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    reason = (
        "too large for max_pixels = 50000000 or for Pillow: Image size (900000000 pixels) exceeds limit of "
        "178956970 pixels, could be decompression bomb DOS attack."
    )
    data = ImageFolder(str(tmp_path), image_size=16)
    data.prepare_data()
    samples = data.load("train", ("images",))
    skipping = BatchLoader(samples, Batch, batch_size=4, on_corrupt="skip")
    assert [len(batch.images) for batch in skipping] == [3]
    assert skipping.corrupt == {str(bomb): reason}
    with pytest.raises(DataError) as caught:
        list(BatchLoader(samples, Batch, batch_size=4))
    assert str(caught.value) == (
        f"data: {bomb}: {reason}\n  Remove or mend the file, leave it out with data.on_corrupt=skip, "
        "or list all such files: vision-apps data check data=..."
    )
