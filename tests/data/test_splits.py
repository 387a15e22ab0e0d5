"""The same files come to the same splits in the same order for the same seed, in every kind of folder.

The numbers were recorded once; runs of before are compared with runs of now by them.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vision_apps.core.errors import ConfigError
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.masks.cityscapes import Cityscapes
from vision_apps.data.masks.folder import MaskFolder

Numbers = dict[str, list[int]]


def picture(path: Path, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (4, 4)).save(path)


def numbers(splits: dict[str, list[bytes | str]]) -> Numbers:
    """Of the pictures ``07.png`` and so on, in their order."""
    return {split: [int(Path(os.fsdecode(path)).stem) for path in paths] for split, paths in splits.items()}


def in_labels(root: Path, seed: int, **options: float) -> Numbers:
    for number in range(20):
        picture(root / f"{'ab'[number % 2]}{'/deep' * (number % 3 == 0)}" / f"{number:02d}.png")
    data = ImageFolder(str(root), seed=seed, **options)
    data.prepare_data()
    return numbers({split: list(listing.files) for split, listing in data.listings.items()})


def in_masks(root: Path, seed: int, **options: float) -> Numbers:
    for number in range(20):
        for folder in ("images", "masks"):
            picture(
                root / folder / f"{'ab'[number % 2]}{'/deep' * (number % 3 == 0)}" / f"{number:02d}.png", "L"
            )
    data = MaskFolder(str(root), class_names=["ground", "thing"], seed=seed, **options)
    data.prepare_data()
    return numbers({split: list(pairs.images) for split, pairs in data.pairs.items()})


def in_boxes(root: Path, seed: int, **options: float) -> Numbers:
    for number in range(20):
        picture(root / "images" / f"{number:02d}.png")
    lines = "".join(f"{number:02d}.png,0,0,2,2,thing\n" for number in range(20))
    (root / "all.csv").write_text(lines)
    data = BoxCsv(str(root), seed=seed, **options)
    data.prepare_data()
    return numbers({split: [item.path for item in items] for split, items in data.annotations.items()})


ALIKE = {  # folders of labels and of masks
    0: {
        "train": [5, 15, 9, 2, 14, 6, 16, 7, 8, 0, 13, 3, 12, 10],
        "val": [17, 4, 19, 18],
        "test": [11, 1],
    },
    7: {
        "train": [9, 10, 19, 4, 14, 1, 5, 2, 7, 12, 11, 3, 6, 16],
        "val": [18, 8, 17, 0],
        "test": [13, 15],
    },
}
BOXES = {
    0: {
        "train": [10, 14, 18, 19, 13, 3, 4, 2, 5, 0, 7, 1, 11],
        "val": [12, 6, 17, 8],
        "test": [16, 9, 15],
    },
    7: {
        "train": [4, 16, 6, 0, 18, 13, 5, 19, 1, 17, 10, 3, 12],
        "val": [11, 7, 14, 8],
        "test": [9, 2, 15],
    },
}


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("found", "recorded"), [(in_labels, ALIKE), (in_masks, ALIKE), (in_boxes, BOXES)])
def test_what_is_held_out_and_in_which_order(
    tmp_path: Path, found: Callable[..., Numbers], recorded: dict[int, Numbers], seed: int
) -> None:
    assert found(tmp_path, seed, val_fraction=0.2, test_fraction=0.15) == recorded[seed]


CITIES = {
    0: {"train": "54713", "val": "062", "test": "71534026"},
    7: {"train": "16405", "val": "273", "test": "50614327"},
}


@pytest.mark.parametrize("seed", [0, 7])
def test_which_cities_are_held_out(tmp_path: Path, seed: int) -> None:
    for number, city in enumerate("abcdefgh"):
        for split in ("train", "val"):
            name = f"{city}/{number}"
            picture(tmp_path / "leftImg8bit" / split / f"{name}_leftImg8bit.png")
            picture(tmp_path / "gtFine" / split / f"{name}_gtFine_labelIds.png", "L")
    data = Cityscapes(str(tmp_path), seed=seed, val_fraction=0.3)
    data.prepare_data()
    found = {
        split: "".join(Path(image).name[0] for image, _ in pairs.paths())
        for split, pairs in data.pairs.items()
    }
    assert found == CITIES[seed]


@pytest.mark.parametrize("data", [ImageFolder, MaskFolder, BoxCsv])
@pytest.mark.parametrize("name", ["val_fraction", "test_fraction"])
@pytest.mark.parametrize("share", [0.0, 0.5, -0.1, 1.0])
def test_shares_that_cannot_be_held_out(data: Callable[..., object], name: str, share: float) -> None:
    with pytest.raises(ConfigError, match=f"data.{name}: expected a share of more than 0 and less than 0.5"):
        data("nowhere", **{name: share})
