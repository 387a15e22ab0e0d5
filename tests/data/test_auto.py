"""What suits data that nobody has described."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data import auto
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.masks.folder import MaskFolder


@pytest.mark.parametrize(
    ("samples", "batch"),
    [(1, 4), (20, 4), (63, 4), (64, 8), (127, 8), (128, 16), (299, 16), (300, 32), (10**6, 32)],
)
def test_batch_size(samples: int, batch: int) -> None:
    assert auto.batch_size(samples, full_from=300) == batch


def test_boxes_and_masks_have_small_batches_for_longer() -> None:
    assert (ImageFolder.full_batch_from, BoxCsv.full_batch_from, MaskFolder.full_batch_from) == (
        256,
        1280,
        1280,
    )


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ([(32, 32)] * 3, 128),
        ([(192, 256), (192, 300), (4000, 3000)], 192),
        ([(150, 500)], 160),
        ([(3000, 4000)], 192),
    ],
)
def test_square_side(sizes: list[tuple[int, int]], side: int) -> None:
    assert auto.square_side(sizes, 128, 192) == side


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(480, 640)] * 3, [256, 320]),  # 240 is no multiple of 32
        ([(640, 480)] * 3, [320, 256]),
        ([(500, 500)], 320),
        ([(60, 60)], 128),
        ([(480, 640), (640, 480), (500, 500)], 320),
        ([(100, 1600)], [32, 320]),  # a strip has one cell at least
    ],
)
def test_height_and_width(sizes: list[tuple[int, int]], expected: int | list[int]) -> None:
    assert auto.height_and_width(sizes, 128, 320) == expected


def pictures(root: Path, count: int, height: int, width: int) -> None:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            picture = np.full((height, width, 3), number, np.uint8)
            Image.fromarray(picture).save(root / name / f"{number}.png")


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, 50, 150, 400)
    data = ImageFolder(str(tmp_path), image_size="auto", batch_size="auto")
    data.prepare_data()
    chosen = {"image_size": 160, "batch_size": 8}
    assert data.settle() == chosen
    again = ImageFolder(str(tmp_path), **chosen)
    again.prepare_data()
    assert again.settle() == {}
    assert again.facts == data.facts
    for one in (data, again):
        assert one.load("train", ("images",))[0]["images"].shape == (3, 160, 160)
        assert one.load("test", ("images",))[0]["images"].shape == (3, 160, 160)


def test_what_was_given_stays(tmp_path: Path) -> None:
    pictures(tmp_path, 50, 150, 400)
    data = ImageFolder(str(tmp_path), image_size=64, batch_size=5)
    data.prepare_data()
    assert data.settle() == {}
    assert (data.batch_size, data.image_size) == (5, 64)
    narrow = ImageFolder(str(tmp_path), image_size="auto", resize=130)
    narrow.prepare_data()
    with pytest.raises(ConfigError, match=r"data\.resize: expected at least data\.image_size = 160, not 130"):
        narrow.settle()


def test_pictures_with_boxes(tmp_path: Path) -> None:
    pictures(tmp_path, 10, 240, 320)
    lines = [f"{name}/{number}.png,1,1,50,60,thing" for name in ("cat", "dog") for number in range(10)]
    (tmp_path / "all.csv").write_text("\n".join(lines))
    data = BoxCsv(str(tmp_path), images=".", image_size="auto", size_limits=(64, 192), batch_size="auto")
    data.prepare_data()
    assert data.settle() == {"batch_size": 4, "image_size": [160, 192]}
    assert data.load("train", ("images",))[0]["images"].shape == (3, 160, 192)
    assert data.facts["image_size"] == [160, 192]


def test_nothing_can_be_opened(tmp_path: Path) -> None:
    pictures(tmp_path, 10, 8, 8)
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"no picture")
    data = ImageFolder(str(tmp_path), image_size="auto")
    data.prepare_data()
    with pytest.raises(DataError, match=r"none of 1[0-9] pictures can be opened, such as .*png"):
        data.settle()


def test_another_word_than_auto_is_refused() -> None:
    from vision_apps.core.config.check import check

    for word in ("data.batch_size=automatic", "trainer.max_epochs=automatic", "data.image_size=automatic"):
        key = word.partition("=")[0]
        with pytest.raises(ConfigError, match=rf"{key}: expected "):
            check(compose(["task=classification", "data=folder", word]))
