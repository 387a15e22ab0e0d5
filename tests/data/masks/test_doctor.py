"""What the doctor says of masks on disk, line by line."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vision_apps.data.masks.coding import MaskCoding, identity
from vision_apps.data.masks.doctor import findings, strays

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 2, 4, 3), dtype=np.uint8)


def pairs(root: Path, masks: list[Any], first: int = 0) -> list[tuple[str, str]]:
    """A 2 x 4 picture for every mask."""
    found = []
    for number, mask in enumerate(masks, first):
        paths = root / f"{number}.png", root / f"{number}_mask.png"
        Image.fromarray(PICTURES[number]).save(paths[0])
        Image.fromarray(np.asarray(mask, np.uint8)).save(paths[1])
        found.append((str(paths[0]), str(paths[1])))
    return found


def told(
    splits: dict[str, list[tuple[str, str]]], coding: MaskCoding | None = None, names: str = "abc"
) -> list[str]:
    return list(findings(splits, coding or MaskCoding(len(names)), list(names), 10_000))


def test_the_share_of_every_class(tmp_path: Path) -> None:
    good = [[0, 0, 0, 1], [2, 255, 1, 1]]
    splits = {"train": pairs(tmp_path, [good]), "val": pairs(tmp_path, [[[0] * 4] * 2, good], first=1)}
    assert told(splits) == [
        "train: 1 masks; a 37.50%, b 37.50%, c 12.50%; ignored 12.50%",
        "val: 2 masks; a 68.75%, b 18.75%, c 6.25%; ignored 6.25%",
    ]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    masks = [[[0, 9, 9, 7], [0] * 4], [[255] * 4] * 2, [[0, 1]] * 4]
    listed = pairs(tmp_path, masks)
    assert told({"train": listed})[1:] == [
        f"{tmp_path / '0_mask.png'}: 37.50% of the pixels have values that are no class: 7, 9",
        f"{tmp_path / '1_mask.png'}: every pixel is ignored",
        f"{tmp_path / '2_mask.png'}: the mask is 2 x 4 pixels, its picture {tmp_path / '2.png'} 4 x 2; the "
        "picture may be turned by its EXIF orientation and the mask not",
    ]


def test_the_orientation_of_the_picture_counts(tmp_path: Path) -> None:
    image = Image.fromarray(PICTURES[0])
    exif = image.getexif()
    exif[0x0112] = 6
    listed = pairs(tmp_path, [np.zeros((4, 2))])
    image.save(listed[0][0], exif=exif)
    assert len(told({"train": listed})) == 1  # turned, it is 2 x 4 as its mask is


def test_a_flood_is_cut(tmp_path: Path) -> None:
    lines = told({"train": pairs(tmp_path, [[[255] * 4] * 2] * 8)})
    assert len(lines) == 1 + 5 + 1
    assert lines[-1] == "3 further masks that are all ignored"


def test_binary_masks_among_others_are_told(tmp_path: Path) -> None:
    binary, index = [[0, 255, 255, 0], [0] * 4], [[0, 1, 1, 0], [0] * 4]
    said = (
        "masks: 1 hold only 0 and 255, as binary masks do, and 255 is ignored; if it is a class, say so, for "
        "instance 'data.values={255:1}'"
    )
    mixed = {"train": pairs(tmp_path, [binary, index])}
    assert told(mixed, names="ab")[1:] == [said]
    assert told(mixed)[1:] == []  # of three classes one may well be without objects
    assert told({"train": mixed["train"][:1]})[1:] == [said]
    assert told({"train": mixed["train"][:1]}, MaskCoding(2, values={0: 0, 255: 1}), "ab")[1:] == []


def test_labels_from_1_are_told(tmp_path: Path) -> None:
    splits = {"train": pairs(tmp_path, [[[1, 2, 3, 255], [1] * 4]])}
    assert told(splits)[-1] == (
        "masks: the values begin at 1, the classes at 0; say so with 'data.values={1:0,2:1,3:2}'"
    )
    shifted = MaskCoding(3, values=identity(3) | {1: 0, 2: 1, 3: 2})
    assert len(told(splits, shifted)) == 1


def test_palettes_that_contradict_each_other(tmp_path: Path) -> None:
    listed = pairs(tmp_path, [np.ones((2, 4))] * 2)
    for (_, mask), color in zip(listed, ([9, 9, 9], [8, 8, 8]), strict=True):
        image = Image.fromarray(np.ones((2, 4), np.uint8))
        image.putpalette([0, 0, 0, *color])
        image.save(mask)
    assert told({"train": listed})[1:] == [
        f"{listed[1][1]}: index 1 is the colour [8, 8, 8], in {listed[0][1]} it is [9, 9, 9]; the indices of "
        "this palette may mean other classes"
    ]


def test_unknown_colors(tmp_path: Path) -> None:
    mask = [[[1, 1, 1]] * 4, [[2, 2, 2]] * 2 + [[3, 3, 3]] * 2]
    coding = MaskCoding(2, colors={(1, 1, 1): 0, (2, 2, 2): 1})
    assert told({"train": pairs(tmp_path, [mask])}, coding, "ab") == [
        "train: 1 masks; a 66.67%, b 33.33%; ignored 0.00%",
        f"{tmp_path / '0_mask.png'}: 25.00% of the pixels have colours that are no class: [3, 3, 3]",
    ]


def test_broken_files_are_passed_over(tmp_path: Path) -> None:
    listed = pairs(tmp_path, [[[0] * 4] * 2] * 3)
    Path(listed[2][1]).write_bytes(b"broken")
    assert told({"train": [listed[0], listed[2]], "test": [listed[1]]})[2:] == []


def test_files_of_no_pair(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "b.png", "notes.txt", ".hidden.png"):
            (tmp_path / folder / name).touch()
    images, masks = tmp_path / "images", tmp_path / "masks"
    assert list(strays([(str(images / "a.png"), str(masks / "a.png"))])) == [
        f"{masks / 'b.png'}: a mask without a picture or in no list, not used",
        f"{images / 'b.png'}: a picture without a mask or in no list, not used",
    ]
    for number in range(7):
        (masks / f"x{number}.png").touch()
    assert "3 further masks without a picture" in list(
        strays([(str(images / "a.png"), str(masks / "a.png"))])
    )


def test_masks_among_their_pictures_are_no_strays(tmp_path: Path) -> None:
    for name in ("a.png", "a_mask.png", "b.png"):
        (tmp_path / name).touch()
    assert list(strays([(str(tmp_path / "a.png"), str(tmp_path / "a_mask.png"))])) == [
        f"{tmp_path / 'b.png'}: a mask without a picture or in no list, not used"
    ]
