"""Masks as labelling tools export them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mask_folders import counts, every, prepared, refusal, write

from vision_apps.core.errors import ConfigError
from vision_apps.data.masks.class_lists import Classes, read_label_map, read_pixel_values

CAT, DOG = [250, 50, 83], [51, 221, 255]
INDEX = np.array([[0, 1, 1], [2, 0, 0]])
COLORS = np.array([[0, 0, 0], CAT, DOG])


def roboflow(root: Path, classes: str = "Pixel Value, Class\n0, background\n1, cat\n2, dog\n") -> Path:
    for number, split in enumerate(("train", "train", "valid", "test")):
        name = f"{number}_jpg.rf.0a1b{number}"
        write(root / split / f"{name}.jpg", np.zeros((2, 3, 3)))
        write(root / split / f"{name}_mask.png", INDEX)
        (root / split / "_classes.csv").write_text(classes)
    return root


def cvat(root: Path, pictures: bool = True) -> Path:
    for name in ("one", "two.three", "four"):
        if pictures:
            write(root / "JPEGImages" / f"{name}.png", np.zeros((2, 3, 3)))
        write(root / "SegmentationClass" / f"{name}.png", COLORS[INDEX])
        write(root / "SegmentationObject" / f"{name}.png", COLORS[INDEX])
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nbig cat:250,50,83:ear,tail:\ndog:51,221,255::\n"
    )
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "Train.txt").write_text("one\nfour\n")
    (lists / "Validation.txt").write_text("two.three\n")
    return root


def test_roboflow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = prepared(roboflow(tmp_path), class_names=None)
    assert data.class_names == ["background", "cat", "dog"]
    assert counts(data) == [2, 1, 1]
    for sample in every(data):
        assert torch.equal(sample["masks"], torch.from_numpy(INDEX).to(torch.uint8))
    assert not caplog.records  # the class lists are read, so not left out


def test_masks_beside_their_pictures(tmp_path: Path) -> None:
    write(tmp_path / "a.png", np.zeros((2, 3, 3)))
    write(tmp_path / "a_seg.png", INDEX)
    write(tmp_path / "b.png", np.zeros((2, 3, 3)))
    assert "b.png needs b_seg.png" in refusal(tmp_path, mask_suffix="_seg")
    (tmp_path / "b.png").unlink()
    for name in "cd":
        write(tmp_path / f"{name}.png", np.zeros((2, 3, 3)))
        write(tmp_path / f"{name}_seg.png", INDEX)
    data = prepared(tmp_path, mask_suffix="_seg", class_names=["x", "y", "z"])
    assert counts(data) == [1, 1, 1]


def test_classes_of_two_splits_that_differ(tmp_path: Path) -> None:
    root = roboflow(tmp_path)
    (root / "valid" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, dog\n2, cat\n")
    assert refusal(root, class_names=None).startswith(
        f"{root / 'valid' / '_classes.csv'} and {root / 'train' / '_classes.csv'} say different classes: "
        "background, dog, cat and background, cat, dog;"
    )


def test_cvat(tmp_path: Path) -> None:
    data = prepared(cvat(tmp_path), class_names=None)
    assert data.class_names == ["background", "big cat", "dog"]
    assert data.palette == [[0, 0, 0], CAT, DOG]
    assert [Path(picture).name for picture in data.pairs["val"].pictures] == ["two.three.png"]
    assert counts(data) == [1, 1, 1]
    for sample in every(data):
        assert torch.equal(sample["masks"], torch.from_numpy(INDEX).to(torch.uint8))


def test_cvat_without_pictures(tmp_path: Path) -> None:
    root = cvat(tmp_path, pictures=False)
    expected = f"{root / 'SegmentationClass'} has masks and there is no JPEGImages beside it"
    assert expected in refusal(root, class_names=None)
    (root / "ImageSets" / "Segmentation" / "Train.txt").unlink()
    (root / "ImageSets" / "Segmentation" / "Validation.txt").unlink()
    assert expected in refusal(root, class_names=None)


def test_label_studio_brush(tmp_path: Path) -> None:
    write(tmp_path / "task-1-annotation-2-by-1-tag-cat-0.png", INDEX)
    assert "Label Studio's brush masks, one for each class" in refusal(tmp_path)


@pytest.mark.parametrize("line", ["cat", "cat:1,2::", "cat:1,2,256::", "cat:1,x,3::"])
def test_no_label_map(line: str, tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text(f"background:0,0,0::\n{line}\n")
    with pytest.raises(Exception, match=r"labelmap\.txt, line 2: expected 'name:r,g,b:parts:actions', found"):
        read_label_map(tmp_path / "labelmap.txt")


@pytest.mark.parametrize("line", ["2, cat", "1", "1, ", "x, cat"])
def test_no_pixel_values(line: str, tmp_path: Path) -> None:
    (tmp_path / "_classes.csv").write_text(f"Pixel Value, Class\n0, background\n{line}\n")
    with pytest.raises(Exception, match=r"_classes\.csv, line 3: expected '1, name', found"):
        read_pixel_values(tmp_path / "_classes.csv")


def test_names_with_commas_of_pixel_values(tmp_path: Path) -> None:
    (tmp_path / "_classes.csv").write_text('0, background\n1, "cat, big"\n')
    assert read_pixel_values(tmp_path / "_classes.csv") == Classes(["background", "cat, big"], None)


def test_a_name_of_its_own_wins(tmp_path: Path) -> None:
    root = roboflow(tmp_path)
    assert prepared(root, class_names=["a", "b", "c"]).class_names == ["a", "b", "c"]
    assert "data.class_names" in refusal(root, ConfigError, class_names=["a"])
