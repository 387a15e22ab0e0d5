"""Palettes that say another class than the index, and masks of 0 and 255."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.masks.coding import read_mask
from vision_apps.data.masks.folder import MaskFolder

COLORS = [[0, 0, 0], [200, 0, 0], [0, 0, 200]]
TRUTH = np.kron(np.array([[0, 1], [2, 0]], np.uint8), np.ones((8, 8), np.uint8))
COUNT = 10


def write(root: Path, mask: Image.Image, classes: str = "") -> Path:
    for number in range(COUNT):
        for name in ("images", "masks"):
            (root / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", mask.size, (number, 0, 0)).save(root / "images" / f"{number}.jpg")
        mask.save(root / "masks" / f"{number}.png")
    if classes:
        (root / "classes.txt").write_text(classes)
    return root


def indexed(order: list[int], colors: list[list[int]], truth: np.ndarray = TRUTH) -> Image.Image:
    """The truth as a palette picture in which class k has the index order[k]."""
    image = Image.fromarray(np.array(order, np.uint8)[truth])
    palette = [[1, 2, 3]] * (max(order) + 1)
    for label, index in enumerate(order):
        palette[index] = colors[label]
    image.putpalette([level for color in palette for level in color])
    return image


def classes_of(root: Path, **options: Any) -> np.ndarray:
    data = MaskFolder(str(root), **options)
    data.prepare_data()
    _, mask = next(data.pairs["train"].paths())
    return read_mask(mask, data.coding).numpy()


NAMES = "ground 0 0 0\nred 200 0 0\nblue 0 0 200\n"


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 0, 1], [0, 2, 1]])
def test_another_order_is_refused_or_read_by_colour(tmp_path: Path, order: list[int]) -> None:
    write(tmp_path, indexed(order, COLORS), NAMES)
    with pytest.raises(
        DataError, match=r"its index \d is class \d, and its palette shows it as .*data\.palettes=color"
    ):
        classes_of(tmp_path)
    assert np.array_equal(classes_of(tmp_path, palettes="color"), TRUTH)
    assert np.array_equal(classes_of(tmp_path, palettes="index"), np.array(order)[TRUTH])


def test_the_same_order_and_other_colours_are_read_by_index(tmp_path: Path) -> None:
    assert np.array_equal(classes_of(write(tmp_path / "a", indexed([0, 1, 2], COLORS), NAMES)), TRUTH)
    other = [[9, 9, 9], [8, 8, 8], [7, 7, 7]]
    assert np.array_equal(classes_of(write(tmp_path / "b", indexed([0, 1, 2], other), NAMES)), TRUTH)
    assert np.array_equal(
        classes_of(write(tmp_path / "c", indexed([0, 1, 2], COLORS), "ground\nred\nblue\n")), TRUTH
    )


def test_one_mask_of_many_is_refused_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), NAMES)
    indexed([1, 0, 2], COLORS).save(tmp_path / "masks" / "3.png")
    with pytest.raises(
        DataError, match=r"3\.png: its index 0 is class 0, and its palette shows it as \[200, 0, 0\]"
    ):
        classes_of(tmp_path, val_fraction=0.01, test_fraction=0.01)


def test_white_as_index_0(tmp_path: Path) -> None:
    truth = np.minimum(TRUTH, 1)
    write(tmp_path, indexed([1, 0], [[0, 0, 0], [255, 255, 255]], truth), "ground\nthing\n")
    with pytest.raises(
        DataError, match=r"its index 0 is class 0, and its palette shows it as \[255, 255, 255\]"
    ):
        classes_of(tmp_path)
    assert np.array_equal(classes_of(tmp_path, palettes="color"), truth)


def test_colours_have_to_be_known(tmp_path: Path) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), "ground\nred\nblue\n")
    with pytest.raises(ConfigError, match=r"data\.palettes: color, and nothing says which colour"):
        classes_of(tmp_path, palettes="color")


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_masks_of_0_and_255_get_their_names(tmp_path: Path, mode: str) -> None:
    truth = np.minimum(TRUTH, 1)
    write(tmp_path, Image.fromarray(truth * 255).convert(mode))
    data = MaskFolder(str(tmp_path))
    data.prepare_data()
    assert data.class_names == ["background", "object"]
    _, mask = next(data.pairs["train"].paths())
    assert np.array_equal(read_mask(mask, data.coding).numpy(), truth)


def test_masks_in_red_and_black_do_not(tmp_path: Path) -> None:
    write(tmp_path, Image.fromarray(np.stack([np.minimum(TRUTH, 1) * 255, *[TRUTH * 0] * 2], -1)))
    with pytest.raises(ConfigError, match=r"data\.class_names: the classes have no names"):
        classes_of(tmp_path)


@pytest.mark.parametrize(
    ("moved", "options"),
    [
        ({"masks": "annots"}, {"masks": "annots"}),
        ({"images": "JPEGImages", "masks": "SegmentationClass"}, {}),
        ({"masks": "Masks", "images": "IMAGES"}, {}),
    ],
)
def test_folders_of_other_names(tmp_path: Path, moved: dict[str, str], options: dict[str, str]) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), NAMES)
    for old, new in moved.items():
        (tmp_path / old).rename(tmp_path / new)
    if options:
        with pytest.raises(DataError, match=r"annots/ has pictures of the same names: data\.masks=annots"):
            classes_of(tmp_path)
    assert np.array_equal(classes_of(tmp_path, **options), TRUTH)


@pytest.mark.parametrize(("before", "after"), [(".png", ".jpg.png"), (".png", ".PNG"), ("", "")])
def test_masks_that_are_called_after_the_whole_name(tmp_path: Path, before: str, after: str) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), NAMES)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(path.name.replace(before, after)))
    assert np.array_equal(classes_of(tmp_path), TRUTH)


def test_a_suffix_is_proposed(tmp_path: Path) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), NAMES)
    for path in list((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(path.name.replace(".png", "_mask.png")))
    with pytest.raises(DataError, match=r"data\.mask_suffix=_mask\)"):
        classes_of(tmp_path)
    assert np.array_equal(classes_of(tmp_path, mask_suffix="_mask"), TRUTH)


def test_masks_that_lost_their_picture_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, indexed([0, 1, 2], COLORS), NAMES)
    (tmp_path / "images" / "4.jpg").unlink()
    classes_of(tmp_path)
    assert "1 masks in" in caplog.text and "4.png" in caplog.text
