"""VOC folders as tools and people leave them: which XML file is of which picture."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.errors import DataError
from vision_apps.data.boxes.voc import VocFolder

COUNT = 10


def xml(filename: str, name: str = "cat") -> str:
    return (
        f"<annotation><filename>{filename}</filename><object><name>{name}</name><bndbox><xmin>1</xmin>"
        "<ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>"
    )


def write(
    root: Path,
    pictures: list[str],
    files: list[tuple[str, str]],
    images: str = "JPEGImages",
    at: str = "Annotations",
) -> Path:
    """Pictures and XML files, each with its ``<filename>``, by their names below the two folders."""
    for number, name in enumerate(pictures):
        path = root / images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((10, 12, 3), number, np.uint8)).save(path)
    for name, filename in files:
        path = root / at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(xml(filename))
    return root


def read(root: Path, **options: Any) -> dict[str, int]:
    """Of each picture how many objects it has, over all splits."""
    data = VocFolder(str(root), **options)
    data.prepare_data()
    every = [item for items in data.annotations.values() for item in items]
    found = {str(Path(item.path).relative_to(root)): len(item.labels) for item in every}
    assert len(found) == len(every)  # each once
    return found


NUMBERS = range(COUNT)
EACH_ONCE: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "filename alone": ([f"IMG_{n}.jpg" for n in NUMBERS], [(f"{n}.xml", f"IMG_{n}.jpg") for n in NUMBERS]),
    "filename with a folder": (
        [f"IMG_{n}.jpg" for n in NUMBERS],
        [(f"{n}.xml", rf"C:\data\IMG_{n}.jpg") for n in NUMBERS],
    ),
    "filename in other capitals": (
        [f"IMG_{n}.JPG" for n in NUMBERS],
        [(f"{n}.xml", f"img_{n}.jpg") for n in NUMBERS],
    ),
    "filename with another extension": (
        [f"IMG_{n}.png" for n in NUMBERS],
        [(f"{n}.xml", f"IMG_{n}.jpg") for n in NUMBERS],
    ),
    "name with the extension": (
        [f"{n}.jpg" for n in NUMBERS],
        [(f"{n}.jpg.xml", f"{n}.jpg") for n in NUMBERS],
    ),
    "a copy's name": ([f"{n}.jpg" for n in NUMBERS], [(f"{n} (1).xml", f"{n}.jpg") for n in NUMBERS]),
    "an old filename": ([f"{n}.jpg" for n in NUMBERS], [(f"{n}.xml", f"old_{n}.jpg") for n in NUMBERS]),
    "capitals": ([f"a{n}.JPG" for n in NUMBERS], [(f"A{n}.XML", "") for n in NUMBERS]),
    "folders": ([f"s{n % 2}/{n}.jpg" for n in NUMBERS], [(f"s{n % 2}/{n}.xml", "") for n in NUMBERS]),
    "pictures in folders": ([f"s{n % 2}/{n}.jpg" for n in NUMBERS], [(f"{n}.xml", "") for n in NUMBERS]),
    "hidden files": (
        [f"{n}.jpg" for n in NUMBERS],
        [(f"{n}.xml", "") for n in NUMBERS] + [(f"._{n}.xml", "") for n in NUMBERS],
    ),
}


@pytest.mark.parametrize("kind", EACH_ONCE)
def test_each_picture_is_there_once_with_its_box(tmp_path: Path, kind: str) -> None:
    pictures, files = EACH_ONCE[kind]
    found = read(write(tmp_path, pictures, files))
    assert found == {f"JPEGImages/{name}": 1 for name in pictures}


@pytest.mark.parametrize(
    ("images", "at"),
    [
        ("", ""),
        ("images", "images"),
        ("images", "Annotations"),
        ("images", ""),
        ("jpegimages", "annotations"),
    ],
)
def test_layouts_of_one_folder(tmp_path: Path, images: str, at: str) -> None:
    names = [f"{n}.jpg" for n in NUMBERS]
    write(tmp_path, names, [(f"{n}.xml", "") for n in NUMBERS], images, at)
    assert read(tmp_path) == {str(Path(images, name)): 1 for name in names}


def test_split_folders_with_xml_beside_pictures(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("valid", 3), ("Test", 2)):
        write(
            tmp_path,
            [f"{n}.jpg" for n in range(count)],
            [(f"{n}.xml", "") for n in range(count)],
            split,
            split,
        )
    data = VocFolder(str(tmp_path))
    data.prepare_data()
    assert [len(data.annotations[split]) for split in ("train", "val", "test")] == [6, 3, 2]
    assert data.drawn == ()


@pytest.mark.parametrize("folder", ["ImageSets/Main", "ImageSets"])
@pytest.mark.parametrize("ending", ["", ".jpg", ".xml"])
def test_lists_name_pictures_as_people_do(tmp_path: Path, folder: str, ending: str) -> None:
    names = [f"my photo {n}" for n in NUMBERS]
    write(tmp_path, [f"{name}.jpg" for name in names], [(f"{name}.xml", "") for name in names])
    (tmp_path / folder).mkdir(parents=True)
    for split, own in (("Train", names[:6]), ("validation", names[6:8]), ("testing", names[8:])):
        (tmp_path / folder / f"{split}.txt").write_text("".join(f"{name}{ending}\n" for name in own))
    data = VocFolder(str(tmp_path))
    data.prepare_data()
    assert [len(data.annotations[split]) for split in ("train", "val", "test")] == [6, 2, 2]
    assert all(len(item.labels) == 1 for items in data.annotations.values() for item in items)


def test_pictures_that_lost_their_xml_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, [f"{n}.jpg" for n in NUMBERS], [(f"{n}.xml", "") for n in range(7)])
    with caplog.at_level(logging.WARNING):
        assert sum(read(tmp_path).values()) == 7
    assert "3 of 10 pictures have no XML file and are taken for pictures without objects" in caplog.text
    assert "7.jpg" in caplog.text


def test_xml_that_lost_its_picture_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [f"{n}.jpg" for n in range(8)], [(f"{n}.xml", "") for n in NUMBERS])
    with pytest.raises(
        DataError, match=r"8\.xml: its picture .*8\.jpg is not there \(2 pictures are missing\)"
    ):
        read(tmp_path)


def test_a_filename_that_contradicts_the_own_name_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, [f"{n}.jpg" for n in NUMBERS], [(f"{n}.xml", f"{(n + 1) % COUNT}.jpg") for n in NUMBERS])
    with caplog.at_level(logging.WARNING):
        read(tmp_path)
    assert "10 XML files name another picture that is there too; their own name is believed" in caplog.text


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in NUMBERS]
    write(tmp_path / "a", [*names, "3.png"], [(f"{n}.xml", f"{n}.jpg") for n in NUMBERS])
    with pytest.raises(DataError, match=r"JPEGImages: 3\.jpg and 3\.png have the same name"):
        read(tmp_path / "a")
    files = [(f"{name}.xml", "") for name in [*names, "3.png"]]
    assert len(read(write(tmp_path / "b", [*names, "3.png"], files))) == COUNT + 1


@pytest.mark.parametrize("name", ["annots", "labels", "xml"])
def test_a_folder_that_is_one_word_off_is_proposed(tmp_path: Path, name: str) -> None:
    write(tmp_path, [f"{n}.jpg" for n in NUMBERS], [(f"{n}.xml", "") for n in NUMBERS], at=name)
    with pytest.raises(DataError, match=rf"{name}/ has some: data\.annotations={name}"):
        read(tmp_path)
    assert len(read(tmp_path, annotations=name)) == COUNT
