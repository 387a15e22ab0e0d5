"""Boxes in CSV files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.errors import DataError
from vision_apps.data.boxes.csv import BoxCsv, read_csv


def prepared(root: Path, **options: object) -> BoxCsv:
    data = BoxCsv(str(root), image_size=32, **options)  # type: ignore[arg-type]
    data.prepare_data()
    return data


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a.jpg,1.5,2,30,40,cat\n\nb.jpg,,,,,\n")
    first, second = read_csv(file)
    assert first == ("a.jpg", (1.5, 2, 30, 40), "cat", f"{file}, line 1")
    assert second == ("b.jpg", (), "", f"{file}, line 3")


@pytest.mark.parametrize(
    "heading",
    [
        "filename,x0,y0,x1,y1,class\na.jpg,1,2,3,4,cat",
        "\ufeffImage,X1,Y1,X2,Y2,Label\na.jpg,1,2,3,4,cat",
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,60,40,cat,1,2,3,4",
    ],
)
def test_headings(tmp_path: Path, heading: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(heading, encoding="utf-8")
    (row,) = read_csv(file)
    assert (row.filename, row.box, row.name) == ("a.jpg", (1, 2, 3, 4), "cat")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a.jpg,1,2,3,cat", "expected 'filename,x0,y0,x1,y1,class', found 'a.jpg,1,2,3,cat'"),
        ("a.jpg,1,2,x,4,cat", "expected numbers as corners, found '1,2,x,4'"),
        ("a.jpg,1,2,3,4,", "the box has no class"),
        (",1,2,3,4,cat", "there is no filename"),
        ("a.jpg,,,,,cat", "expected numbers as corners, found ',,,'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, text: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"b.jpg,1,2,3,4,cat\n{line}\n")
    with pytest.raises(DataError) as caught:
        list(read_csv(file))
    assert str(caught.value) == f"{file}, line 2: {text}"


def test_no_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="expected UTF-16 text"):
        prepared(tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(DataError, match="there is no CSV file"):
        prepared(tmp_path)
    with pytest.raises(DataError, match=r"data\.csv: there is no file .*b\.csv"):
        prepared(tmp_path, csv="b.csv")


def test_equal_names_in_folders_of_the_class_are_different_pictures(tmp_path: Path) -> None:
    node = BoxCsv.fake(tmp_path)
    data = BoxCsv(**node, test_fraction=0.2)
    data.prepare_data()
    for folder in ("circle", "square"):
        picture(tmp_path / "images" / folder / "same.jpg")
        with (tmp_path / "annotations" / f"{folder}.csv").open("a") as file:
            file.write(f"same.jpg,1,2,30,30,{folder}\n")
    again = BoxCsv(**node, test_fraction=0.2)
    again.prepare_data()
    count = sum(len(items) for items in again.annotations.values())
    assert count == sum(len(items) for items in data.annotations.values()) + 2 == 26
    before, after = ({item.path for item in one.annotations["test"]} for one in (data, again))
    assert before <= after and len(after - before) <= 2, "those that were there before have not moved"


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_splits_by_name_and_objects_joined(tmp_path: Path, val: str) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "b").mkdir()
    (tmp_path / "train.csv").write_text("a.jpg,1,2,30,30,cat\nb/../a.jpg,5,5,9,9,dog\n")
    (tmp_path / f"{val}.csv").write_text("b.jpg,,,,,\n")
    (tmp_path / "test.csv").write_text("c.jpg,0,0,9,9,ant\n")
    data = prepared(tmp_path)
    assert data.facts["class_names"] == ["ant", "cat", "dog"]
    (item,) = data.annotations["train"]
    assert item.labels.tolist() == [1, 2] and item.boxes.tolist() == [[1, 2, 30, 30], [5, 5, 9, 9]]
    assert (item.height, item.width) == (40, 60)
    assert len(data.annotations["val"][0].labels) == 0
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, classes=["cat", "dog"])
    assert str(caught.value) == (
        f"{tmp_path / 'test.csv'}, line 1: class 'ant' is not among cat, dog; add it to data.classes, or "
        "leave data.classes null to take all that occur"
    )


def test_one_file_and_another_folder(tmp_path: Path) -> None:
    lines = []
    for number in range(10):
        picture(tmp_path / "photos" / f"p{number}.jpg")
        lines.append(f"p{number}.jpg,1,2,30,30,cat\n")
    (tmp_path / "mine.csv").write_text("".join(lines))
    (tmp_path / "notes.csv").write_text("hello\n")
    data = prepared(tmp_path, csv="mine.csv", images="photos")
    assert [len(data.annotations[split]) for split in ("train", "val", "test")] == [7, 1, 2]
    with pytest.raises(DataError, match=r"notes\.csv, line 1: expected"):
        prepared(tmp_path, images="photos")
    with pytest.raises(
        DataError, match=r"mine\.csv, line 1: its picture .*p0\.jpg is not there \(10 pictures"
    ):
        prepared(tmp_path, csv="mine.csv")


def test_a_broken_picture_is_told_before_anything_is_read(tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "val"), ("c", "test")):
        picture(tmp_path / "images" / f"{name}.jpg")
        (tmp_path / f"{split}.csv").write_text(f"{name}.jpg,1,2,30,30,cat\n")
    (tmp_path / "images" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"data: 1 file is broken:\n  .*b\.jpg: cannot be decoded"):
        prepared(tmp_path)
