"""YOLO's text folders."""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_convert

from vision_apps.core.errors import DataError
from vision_apps.data.boxes.yolo import YoloFolder
from vision_apps.data.boxes.yolo_layout import label_files
from vision_apps.data.boxes.yolo_lines import Object, Reading, read_lines

NAMES = ["cat", "dog"]


def prepared(root: Path, **options: object) -> YoloFolder:
    data = YoloFolder(str(root), image_size=32, **options)  # type: ignore[arg-type]
    data.prepare_data()
    return data


def read_labels(file: Path, names: list[str]) -> list[Object]:
    return Reading(None, None, file).objects(read_lines(file, names))


def counts(data: YoloFolder) -> list[int]:
    return [len(data.annotations[split]) for split in ("train", "val", "test")]


share = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(st.integers(0, 1), share, share, share, share), max_size=5))
def test_lines_are_what_torchvision_makes_of_them(tmp_path: Path, rows: list[tuple[float, ...]]) -> None:
    file = tmp_path / "a.txt"
    file.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    found = read_labels(file, NAMES)
    assert [label for label, *_ in found] == [row[0] for row in rows]
    corners = torch.tensor([row[1:] for row in found], dtype=torch.float64).reshape(-1, 4)
    given = torch.tensor([row[1:] for row in rows], dtype=torch.float64).reshape(-1, 4)
    assert torch.allclose(corners, box_convert(given, "cxcywh", "xyxy"), atol=1e-7)


def test_polygons_give_their_bounds(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1 0.5 0.1 0.9 0.4 0.2 0.6\n\n0 0.5 0.5 0.2 0.4\n")
    polygon, box = read_labels(file, NAMES)
    assert polygon == (1, 0.2, 0.1, 0.9, 0.6)
    assert box == pytest.approx((0, 0.4, 0.3, 0.6, 0.7))


def test_shares_become_pixels(tmp_path: Path) -> None:
    YoloFolder.fake(tmp_path)
    data = prepared(tmp_path)
    assert counts(data) == [12, 6, 6] and data.facts["class_names"] == ["circle", "square"]
    for item in data.annotations["train"]:
        sides = torch.tensor([item.width, item.height] * 2)
        lines = read_labels(label_files(item.path)[0], data.facts["class_names"]) if len(item.labels) else []
        for box, (_, *corners) in zip(item.boxes, lines, strict=True):
            assert torch.allclose(torch.from_numpy(box), torch.tensor(corners) * sides, atol=1e-3)
            assert abs(box - box.round()).max() < 1e-3  # drawn on whole pixels
    # without a text file and with an empty one
    empty = [item for items in data.annotations.values() for item in items if not len(item.labels)]
    assert {label_files(item.path)[0].is_file() for item in empty} == {True, False}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "2 0.5 0.5 0.1 0.1",
            "class 2 is not among 0..1 (cat, dog); classes count from 0, these seem to count from 1",
        ),
        ("7 0.5 0.5 0.1 0.1", "class 7 is not among 0..1 (cat, dog)"),
        ("-1 0.5 0.5 0.1 0.1", "class -1 is not among 0..1 (cat, dog)"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 is not among 0..1 (cat, dog)"),
        (
            "0 0.5 0.5 0.1",
            "expected 'class cx cy w h', or 'class' and the x y of at least three corners, found 4 numbers",
        ),
        (
            "0 0.5 0.5 0.1 0.1 0.9",
            "expected 'class cx cy w h', or 'class' and the x y of at least three corners, found 6 "
            "numbers; is the last one a score? data.lines=scored",
        ),
        (
            "0 200 100 30 30",
            "expected shares of the picture's sides from 0 to 1, found 200: are these pixels?",
        ),
        ("cat 0.5 0.5 0.1 0.1", "expected numbers, found 'cat 0.5 0.5 0.1 0.1'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, text: str) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(DataError) as caught:
        read_labels(file, NAMES)
    assert str(caught.value) == f"{file}, line 2: {text}"


def test_where_the_text_is() -> None:
    assert label_files("/a/images/train/x.jpg")[0] == Path("/a/labels/train/x.txt")
    assert label_files("/images/b/Images/x.png") == [
        Path("/images/b/labels/x.txt"),
        Path("/labels/b/Images/x.txt"),
        Path("/images/b/Images/x.txt"),
    ]
    assert label_files("/a/pictures/images.jpg") == [Path("/a/pictures/images.txt")]


def test_descriptions_of_several_tools(tmp_path: Path) -> None:
    YoloFolder.fake(tmp_path)
    file = tmp_path / "data.yaml"
    # a mapping of names, a path of another machine, entries that begin with ../, a list, valid for val
    file.write_text(
        "path: /somebody/else\ntrain: [../images/train, images/test]\nvalid: ./images/val\n"
        "names: {0: circle, 1: square}\nnc: 2\n"
    )
    data = prepared(tmp_path)
    assert counts(data) == [15, 6, 3]  # a tenth of the 18 is held out for the test, of each class one
    # a file of paths, relative to it
    (tmp_path / "list.txt").write_text("images/train/0000.png\n./images/train/0001.png\n")
    file.write_text("train: images/train\nval: images/val\ntest: list.txt\nnames: [circle, square]\n")
    assert counts(prepared(tmp_path)) == [12, 6, 2]
    file.rename(tmp_path / "my.yaml")
    assert counts(prepared(tmp_path, yaml="my.yaml")) == [12, 6, 2]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("train: images/train\n", "expected 'names' as a list, or as a mapping from 0, 1, ..., not None"),
        (
            "train: images/train\nnames: {1: a, 2: b}\n",
            "expected 'names' as a list, or as a mapping from 0, 1, ..., not {'1': 'a', '2': 'b'}",
        ),
        ("train: images/train\nnames: [a, b]\nnc: 3\n", "it says nc: 3 and names 2 classes"),
        ("train: images/train\nnames: [a, a]\n", "two classes have the same name: ['a', 'a']"),
        ("val: images/val\nnames: [a, b]\n", "it has no 'train'"),
        ("- a\n", "expected 'train', 'val' and 'names'"),
        ("a: [\n", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "cannot be read as YAML"),
    ],
)
def test_descriptions_that_are_none(tmp_path: Path, content: str, text: str) -> None:
    YoloFolder.fake(tmp_path)
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'data.yaml'}: {text}")


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    YoloFolder.fake(tmp_path)
    shutil.rmtree(tmp_path / "images" / "val")
    with pytest.raises(DataError, match=r"data\.yaml says val: 'images/val', and none of .* is there"):
        prepared(tmp_path)
    (tmp_path / "images" / "val").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        prepared(tmp_path)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"there is no file .*data\.yaml"):
        prepared(tmp_path)


def test_a_picture_that_is_listed_and_not_there(tmp_path: Path) -> None:
    YoloFolder.fake(tmp_path)
    (tmp_path / "list.txt").write_text("images/train/gone.png\n")
    text = (tmp_path / "data.yaml").read_text().replace("test: images/test", "test: list.txt")
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"its picture .*gone\.png is not there"):
        prepared(tmp_path)
