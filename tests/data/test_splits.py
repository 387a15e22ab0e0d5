"""Which samples are held out, and that it is the same wherever they lie and whatever else lies there.

The numbers were recorded once; runs of before are compared with runs of now by them.
"""

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vision_apps.core.data import SPLITS
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.masks.cityscapes import Cityscapes
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.data.splits import draw, place

Numbers = dict[str, list[int]]


def picture(path: Path, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (4, 4)).save(path)


def numbers(splits: dict[str, list[bytes | str]]) -> Numbers:
    """Of the pictures ``07.png`` and so on, in their order."""
    return {split: [int(Path(os.fsdecode(path)).stem) for path in paths] for split, paths in splits.items()}


def in_labels(root: Path, split_seed: int, **options: Any) -> Numbers:
    for number in range(20):
        picture(root / f"{'ab'[number % 2]}{'/deep' * (number % 3 == 0)}" / f"{number:02d}.png")
    data = ImageFolder(str(root), split_seed=split_seed, **options)
    data.prepare_data()
    return numbers({split: list(listing.files) for split, listing in data.listings.items()})


def in_masks(root: Path, split_seed: int, **options: Any) -> Numbers:
    for number in range(20):
        for folder in ("images", "masks"):
            picture(
                root / folder / f"{'ab'[number % 2]}{'/deep' * (number % 3 == 0)}" / f"{number:02d}.png", "L"
            )
    data = MaskFolder(str(root), class_names=["ground", "thing"], split_seed=split_seed, **options)
    data.prepare_data()
    return numbers({split: list(pairs.images) for split, pairs in data.pairs.items()})


def in_boxes(root: Path, split_seed: int, **options: Any) -> Numbers:
    for number in range(20):
        picture(root / "images" / f"{number:02d}.png")
    lines = "".join(f"{number:02d}.png,0,0,2,2,thing\n" for number in range(20))
    (root / "all.csv").write_text(lines)
    data = BoxCsv(str(root), split_seed=split_seed, **options)
    data.prepare_data()
    return numbers({split: [item.path for item in items] for split, items in data.annotations.items()})


NAMES = [f"{'ab'[number % 2]}/{number:03d}.png" for number in range(200)]
CLASSES = [name[0] for name in NAMES]
FRACTIONS = {"val": 0.2, "test": 0.1}


def test_a_place_is_a_hash_of_seed_and_name() -> None:
    digest = blake2b(b"7\0a/\xc3\xa9.png", digest_size=8).digest()
    assert place("a/\u00e9.png", 7) == int.from_bytes(digest, "big") / 2**64
    assert place("a/e\u0301.png", 7) == place("a/\u00e9.png", 7), "as macOS writes it"
    assert 0 <= place(os.fsdecode(b"\xe9.png"), 7) < 1, "a name that is no UTF-8"


def test_the_ends_of_the_line_are_held_out() -> None:
    drawn = draw(NAMES, FRACTIONS, 0, CLASSES)
    for name, split in zip(NAMES, drawn, strict=True):
        where = place(name, 0)
        assert split == ("test" if where < 0.1 else "val" if where >= 0.8 else "train")
    assert [drawn.count(split) for split in SPLITS] == [136, 38, 26]


@given(st.sets(st.integers(0, 199), min_size=60), st.integers(0, 3))
def test_a_new_file_moves_no_other(rows: set[int], seed: int) -> None:
    some = [NAMES[row] for row in sorted(rows)]
    few = dict(zip(some, draw(some, FRACTIONS, seed), strict=True))
    every = dict(zip(NAMES, draw(NAMES, FRACTIONS, seed), strict=True))
    assert few.items() <= every.items()


@given(st.lists(st.integers(0, 4), min_size=3, max_size=40), st.integers(0, 5))
def test_no_class_is_left_out(classes: list[int], seed: int) -> None:
    names = [f"{row}.png" for row in range(len(classes))]
    drawn = draw(names, FRACTIONS, seed, classes)
    assert set(drawn) == set(SPLITS)
    for own in set(classes):
        found = [split for split, one in zip(drawn, classes, strict=True) if one == own]
        assert len(found) < 3 or {"train", "test"} <= set(found)
        assert len(found) < 5 or set(found) == set(SPLITS)


@given(st.lists(st.integers(0, 4), min_size=3, max_size=40), st.integers(0, 5))
def test_sets_of_one_class_are_that_class(classes: list[int], seed: int) -> None:
    names = [f"{row}.png" for row in range(len(classes))]
    sets = [{own} for own in classes]
    tested = {"test": 0.1}
    assert draw(names, tested, seed, class_sets=sets) == draw(names, tested, seed, classes)


@given(st.lists(st.sets(st.integers(0, 4)), max_size=20), st.integers(0, 5))
def test_what_moves_for_one_class_leaves_training_to_the_others(sets: list[set[int]], seed: int) -> None:
    bare: list[set[int]] = [set()] * 60  # so that no split is empty anyway
    names = [f"{row}.png" for row in range(len(sets) + 60)]
    drawn = draw(names, FRACTIONS, seed, class_sets=[*bare, *sets], each_validates=True)
    for own in set().union(*sets):
        found = [split for split, one in zip(drawn[60:], sets, strict=True) if own in one]
        assert "train" in found
        alone = sum(one == {own} for one in sets)
        assert alone < 3 or set(found) == set(SPLITS)
    unmoved = draw(names, FRACTIONS, seed)
    assert drawn[:60] == unmoved[:60]


@given(st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=2, max_size=8), st.integers(0, 50))
def test_few_pictures_with_objects_leave_each_class_to_training(sets: list[set[int]], seed: int) -> None:
    names = [f"{row}.png" for row in range(len(sets))]
    drawn = draw(names, {"val": 0.2}, seed, class_sets=sets)
    assert set(drawn) == {"train", "val"}
    learned = set().union(*(own for own, split in zip(sets, drawn, strict=True) if split == "train"))
    spare = [  # pictures without which each class is still there
        row
        for row, own in enumerate(sets)
        if own <= set().union(*(other for place, other in enumerate(sets) if place != row))
    ]
    assert not spare or learned == set().union(*sets)


def test_a_class_of_few_samples_is_learned_from_rather_than_validated_on() -> None:
    names = [f"{row}.png" for row in range(24)]
    drawn = draw(names, {"val": 0.2}, 0, [row // 4 for row in range(24)])
    alone = draw(names, {"val": 0.2}, 0)
    assert all(one != "val" or one == other for one, other in zip(drawn, alone, strict=True))
    for seed in range(20):
        fewest = draw(names[:5], {"val": 0.1}, seed, [0, 0, 0, 1, 2])
        assert fewest[3:] == ["train"] * 2 and "val" in fewest
        of_two_and_three = draw(names[:5], {"val": 1e-9}, seed, [0, 0, 1, 1, 1])
        assert of_two_and_three[:2] == ["train"] * 2 and "val" in of_two_and_three, "who has more gives"
    five = draw(names, {"val": 0.2}, 0, [row // 5 for row in range(24)])
    assert all("val" in five[first : first + 5] for first in (0, 5, 10, 15))


def test_the_nearest_stands_in() -> None:
    names = sorted(NAMES[:10], key=lambda name: place(name, 0))
    assert not {"val", "test"} & set(draw(names, {"val": 1e-9, "test": 1e-9}, 0)[1:-1])
    assert draw(names, {"test": 1e-9}, 0) == ["test", *["train"] * 9]
    assert draw(names, {"val": 1e-9}, 0) == [*["train"] * 9, "val"]


def test_what_was_drawn_before_stays() -> None:
    names = sorted(NAMES[:10], key=lambda name: place(name, 0))
    known = dict(zip(names[1:], draw(names[1:], {"test": 1e-9}, 0), strict=True))
    assert draw(names, {"test": 1e-9}, 0, known=known)[:2] == ["train", "test"]
    # what it was trained on does not become a test where that has gone
    assert set(draw(names[2:], {"test": 1e-9}, 0, known=known)) == {"train"}
    assert draw([*names[2:], "new.png"], {"test": 1e-9}, 0, known=known)[-1] == "test"
    one, two = "\u00e9.png", "e\u0301.png"  # the same name on two systems
    for name in (one, two):
        assert draw([name, *names], {"test": 1e-9}, 0, known={one: "val"})[0] == "val"


RECORDED = {
    ("in_labels", 0): {
        "train": [5, 18, 8, 7, 13, 17, 14, 19, 0, 10],
        "val": [6, 15, 3, 11, 12],
        "test": [1, 16, 2, 4, 9],
    },
    ("in_labels", 7): {
        "train": [15, 3, 19, 1, 5, 11, 10, 17, 8, 2, 16],
        "val": [12, 0, 13, 6, 14, 4],
        "test": [7, 9, 18],
    },
    ("in_masks", 0): {
        "train": [12, 14, 4, 10, 6, 0, 3, 9, 18, 16, 11, 1, 8],
        "val": [7, 19, 2, 13],
        "test": [5, 15, 17],
    },
    ("in_masks", 7): {
        "train": [15, 4, 1, 18, 19, 17, 7, 12, 3, 9, 5, 14, 11],
        "val": [8, 0, 16, 2],
        "test": [6, 13, 10],
    },
    ("in_boxes", 0): {
        "train": [8, 9, 14, 13, 7, 17, 10, 0, 6, 2, 11, 15, 1],
        "val": [16, 4, 12, 19, 3],
        "test": [5, 18],
    },
    ("in_boxes", 7): {
        "train": [13, 15, 9, 14, 17, 4, 11, 16, 7, 19, 1, 6, 5, 12, 2],
        "val": [10, 0],
        "test": [3, 18, 8],
    },
}


@pytest.mark.parametrize("split_seed", [0, 7])
@pytest.mark.parametrize("found", [in_labels, in_masks, in_boxes])
def test_what_is_held_out_and_in_which_order(
    tmp_path: Path, found: Callable[..., Numbers], split_seed: int
) -> None:
    at_first = found(tmp_path / "here", split_seed, val_fraction=0.2, test_fraction=0.15)
    assert at_first == RECORDED[found.__name__, split_seed]
    (tmp_path / "here").rename(tmp_path / "there")
    options = {"val_fraction": 0.2, "test_fraction": 0.15, "seed": 5}
    assert found(tmp_path / "there", split_seed, **options) == at_first, (
        "neither the place nor the seed matters"
    )


def test_the_names_of_the_samples(tmp_path: Path) -> None:
    in_labels(tmp_path, 0)
    data = ImageFolder(str(tmp_path), limit_test=1)
    data.prepare_data()
    assert data.drawn == ("val", "test")
    names = {split: data.sample_names(split) for split in SPLITS}
    assert {"a/02.png", "b/deep/03.png"} <= {*names["train"], *names["val"], *data._in_splits["test"]}
    assert len(names["test"]) == 1
    assert all((tmp_path / name).is_file() for name in names["val"])


def test_too_few_to_hold_out(tmp_path: Path) -> None:
    for name in "ab":
        picture(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match="2 pictures are too few to hold some of them out for test"):
        ImageFolder(str(tmp_path), test_fraction=0.1).prepare_data()


CITIES = {
    0: {"train": "23170", "val": "456", "test": "73021645"},
    7: {"train": "14623", "val": "057", "test": "47231560"},
}


@pytest.mark.parametrize("split_seed", [0, 7])
def test_which_cities_are_held_out(tmp_path: Path, split_seed: int) -> None:
    for number, city in enumerate("abcdefgh"):
        for split in ("train", "val"):
            name = f"{city}/{number}"
            picture(tmp_path / "leftImg8bit" / split / f"{name}_leftImg8bit.png")
            picture(tmp_path / "gtFine" / split / f"{name}_gtFine_labelIds.png", "L")
    data = Cityscapes(str(tmp_path), split_seed=split_seed, val_fraction=0.3)
    data.prepare_data()
    found = {
        split: "".join(Path(image).name[0] for image, _ in pairs.paths())
        for split, pairs in data.pairs.items()
    }
    assert found == CITIES[split_seed]
    assert data.drawn == ("val",)


@pytest.mark.parametrize("data", [ImageFolder, MaskFolder, BoxCsv])
@pytest.mark.parametrize("name", ["val_fraction", "test_fraction"])
@pytest.mark.parametrize("share", [0.0, 0.5, -0.1, 1.0])
def test_shares_that_cannot_be_held_out(data: Callable[..., object], name: str, share: float) -> None:
    with pytest.raises(ConfigError, match=f"data.{name}: expected a share of more than 0 and less than 0.5"):
        data("nowhere", **{name: share})
