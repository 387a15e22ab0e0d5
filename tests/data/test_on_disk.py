"""Names that were written down on another system find their files."""

import errno
import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.class_names import renumbering
from vision_apps.core.errors import DataError
from vision_apps.data.boxes.coco import CocoJson
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.boxes.yolo import YoloFolder
from vision_apps.data.files import FileData
from vision_apps.data.labels.folder import ImageFolder, fake_pictures
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.data.on_disk import OnDisk, pictures_below

NFC, NFD = "caf\u00e9", "cafe\u0301"
ONE_FOLDER = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="there they are one file")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def prepared(data: FileData) -> FileData:
    data.prepare_data()
    return data


@ONE_FOLDER
def test_a_name_is_found_as_it_is_and_otherwise_as_it_may_be_spelled(tmp_path: Path) -> None:
    touch(tmp_path / NFD / "A.JPG", tmp_path / "b.png", tmp_path / "B.png", tmp_path / "c.png")
    disk = OnDisk()
    assert disk.find(tmp_path / "b.png") == str(tmp_path / "b.png")
    assert disk.find(tmp_path / "C.PNG") == str(tmp_path / "c.png")
    assert disk.find(tmp_path / NFC / "a.jpg") == str(tmp_path / NFD / "A.JPG")
    assert disk.find(f"{tmp_path}/{NFC}\\a.jpg") == str(tmp_path / NFD / "A.JPG")
    assert disk.find(tmp_path / NFC) == str(tmp_path / NFD)
    assert disk.find(tmp_path) == str(tmp_path) and disk.find(f"{tmp_path}/") == f"{tmp_path}/"
    assert disk.find(tmp_path / "B.PNG") is None  # two are like it
    assert disk.find(tmp_path / "d.png") is None and disk.find(tmp_path / "no" / "c.png") is None
    touch(tmp_path / NFC / "a.jpg")
    assert OnDisk().find(tmp_path / NFC / "a.jpg") == str(tmp_path / NFC / "a.jpg")


def test_a_relative_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a" / "b.PNG")
    monkeypatch.chdir(tmp_path)
    assert OnDisk().find("a/b.png") == "a/b.PNG" and OnDisk().find("./a/../a/b.PNG") == "./a/../a/b.PNG"


def test_links_to_folders_are_followed_and_end(tmp_path: Path) -> None:
    touch(
        tmp_path / "data" / "a.jpg", tmp_path / "elsewhere" / "more" / "b.JPG", tmp_path / "data" / ".c.jpg"
    )
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path / "data")
    assert sorted(pictures_below(tmp_path / "data")) == [
        str(tmp_path / "data" / "a.jpg"),
        str(tmp_path / "data" / "linked" / "more" / "b.JPG"),
    ]
    assert list(pictures_below(tmp_path / "nowhere")) == []
    (tmp_path / "data" / "class").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"data/class: is a link to .*gone, where nothing is"):
        list(pictures_below(tmp_path / "data"))


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a system that keeps it from this user says so; root may read everything."""
    touch(tmp_path / "a" / "b.jpg")
    original = os.scandir

    def scandir(folder: str) -> object:
        if Path(folder) == tmp_path / "a":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return original(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="a: cannot be read: Permission denied"):
        list(pictures_below(tmp_path))


@pytest.mark.parametrize("kind", [CocoJson, BoxCsv, VocFolder, YoloFolder, MaskFolder, ImageFolder])
def test_capitals_of_extensions_change_nothing(tmp_path: Path, kind: type) -> None:
    options = kind.fake(tmp_path)
    before = totals(kind(**options))
    for path in [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".png", ".txt", ".xml")]:
        if path.parent != tmp_path and "ImageSets" not in path.parts:
            path.rename(path.with_suffix(path.suffix.upper()))
    assert totals(kind(**options)) == before


def totals(data: FileData) -> tuple[int, int]:
    """Pictures and objects of all splits together."""
    data.prepare_data()
    objects = (
        [len(i.labels) for own in data.annotations.values() for i in own] if isinstance(data, BoxData) else []
    )
    return sum(len(data.sample_names(split)) for split in ("train", "val", "test")), sum(objects)


@ONE_FOLDER
def test_accents_of_a_class_are_spelled_in_two_ways(tmp_path: Path) -> None:
    for split, name in (("train", NFC), ("val", NFD), ("test", NFC)):
        fake_pictures(tmp_path / split / name, 3, 16, seed=0)
        fake_pictures(tmp_path / split / "tea", 2, 16, seed=1)
    data = prepared(ImageFolder(str(tmp_path)))
    assert data.facts["class_names"] == [NFC, "tea"]
    assert {split: sorted(listing.labels.tolist()) for split, listing in data.listings.items()} == {
        split: [0, 0, 0, 1, 1] for split in ("train", "val", "test")
    }
    assert data.sample_names("val") == [name.replace(NFD, NFC) for name in data.sample_names("val")]
    assert renumbering(["tea", NFD], [NFC, "tea"]) == [1, 0]


@ONE_FOLDER
def test_accents_of_pairs_are_spelled_in_two_ways(tmp_path: Path) -> None:
    masks = MaskFolder.fake(tmp_path / "m")
    yolo = YoloFolder.fake(tmp_path / "y")
    for folder, name in (("m/images", NFC), ("m/masks", NFD), ("y/images", NFC), ("y/labels", NFD)):
        for path in [path for path in (tmp_path / folder).rglob("*") if path.is_file()]:
            path.rename(path.with_name(f"{name}{path.name}"))
    assert sum(map(len, prepared(MaskFolder(**masks)).pairs.values())) == 16
    data = prepared(YoloFolder(**yolo))
    assert all(sum(len(item.labels) for item in items) > 3 for items in data.annotations.values())


@pytest.mark.parametrize("names", [("Train", "VAL", "Test"), ("training", "dev", "testing")])
def test_folders_of_splits_by_other_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name, count in zip(names, (6, 3, 2), strict=True):
        fake_pictures(tmp_path / name / "a", count, 16, seed=0)
        fake_pictures(tmp_path / name / "b", count, 16, seed=1)
    data = prepared(ImageFolder(str(tmp_path)))
    assert data.facts["class_names"] == ["a", "b"] and data.drawn == ()
    assert [len(data.listings[split]) for split in ("train", "val", "test")] == [12, 6, 4]


def test_folders_that_are_not_read_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("train/a", "val/a", "extra/a"):
        fake_pictures(tmp_path / name, 4, 16, seed=0)
    prepared(ImageFolder(str(tmp_path)))
    assert caplog.text.count("beside train/, val/, nothing is read of extra; train/") == 1


def test_text_files_beside_their_pictures(tmp_path: Path) -> None:
    options = YoloFolder.fake(tmp_path)
    expected = {split: sum(len(i.labels) for i in own) for split, own in boxes(options).items()}
    for path in list((tmp_path / "labels").rglob("*.txt")):
        path.rename(tmp_path / "images" / path.relative_to(tmp_path / "labels"))
    found = boxes(options)  # the folders of labels are there, and empty
    assert {split: sum(len(i.labels) for i in own) for split, own in found.items()} == expected
    for split in ("train", "val", "test"):
        (tmp_path / "labels" / split).rmdir()
    assert {split: sum(len(i.labels) for i in own) for split, own in boxes(options).items()} == expected


def boxes(options: dict) -> dict:
    return prepared(YoloFolder(**options)).annotations


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    options = YoloFolder.fake(tmp_path / "y")
    first = tmp_path / "y" / "images" / "train" / "0000.png"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(first.with_suffix(".jpg"))
    with pytest.raises(DataError, match=r"0000\.txt: .*0000\.jpg and 0000\.png have the same name"):
        boxes(options)
    options = VocFolder.fake(tmp_path / "v")
    picture = next((tmp_path / "v" / "JPEGImages").iterdir())
    Image.open(picture).save(picture.with_suffix(".png"))
    with pytest.raises(DataError, match=rf"{picture.name} and {picture.stem}\.png have the same name"):
        prepared(VocFolder(**options))


def test_a_picture_that_is_listed_twice_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = CocoJson.fake(tmp_path)
    file = tmp_path / "annotations" / "train.json"
    content = json.loads(file.read_text())
    alone = prepared(CocoJson(**options)).annotations["train"]
    content["images"] += [{**image, "id": 1000 + image["id"]} for image in content["images"][:2]]
    first = content["images"][0]["id"]
    own = [one for one in content["annotations"] if one["image_id"] == first]
    another = {**own[0], "id": 9000, "image_id": 1000 + first, "bbox": [1, 2, 3, 4], "area": 12}
    content["annotations"] += [{**own[0], "id": 9001, "image_id": 1000 + first}, another]
    file.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        joined = prepared(CocoJson(**options)).annotations["train"]
    assert caplog.messages[0] == (
        f"data: {file}: 2 pictures are in 'images' more than once and are one picture each, with the objects "
        "of all (1 that were the same left out; what two people marked a little differently is there twice): "
        "000000.jpg as 3, 1003, 000001.jpg as 6, 1006"
    )
    more = {item.path: len(item.labels) for item in joined}
    less = {item.path: len(item.labels) for item in alone}
    assert more == {path: count + path.endswith("000000.jpg") for path, count in less.items()}
    content["images"][-1]["width"] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(
        DataError, match=r"000001\.jpg is in 'images' more than once, as 6, 1006, with different"
    ):
        prepared(CocoJson(**options))


def test_samples_of_two_splits_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    YoloFolder.fake(tmp_path)
    file = tmp_path / "data.yaml"
    file.write_text(file.read_text().replace("val: images/val", "val: [images/val, images/train]"))
    with caplog.at_level(logging.WARNING):
        prepared(YoloFolder(str(tmp_path)))
    assert "data: 12 of 18 samples of val are trained on too: images/train/" in caplog.text
    assert "samples of test" not in caplog.text


def test_names_of_classes_are_what_is_written(tmp_path: Path) -> None:
    """YAML reads no, on, 1.10, 012, 1e3 and 12:30 as false, true, 1.1, 10, 1000 and 750."""
    YoloFolder.fake(tmp_path)
    file = tmp_path / "data.yaml"
    splits = file.read_text().partition("names:")[0]
    written = ["no", "on", "1.10", "012", "1e3", "12:30", "null", f"{NFC}"]
    for names in (f"[{', '.join(written)}]", "".join(f"\n  {n}: {name}" for n, name in enumerate(written))):
        file.write_text(f"{splits}names: {names}\nnc: 8\n")
        assert prepared(YoloFolder(str(tmp_path))).facts["class_names"] == written


def test_names_with_spaces_in_lists(tmp_path: Path) -> None:
    options = VocFolder.fake(tmp_path)
    for folder in ("Annotations", "JPEGImages"):
        for path in list((tmp_path / folder).iterdir()):
            path.rename(path.with_name(f"my {path.name}"))
    for path in (tmp_path / "ImageSets" / "Main").iterdir():
        path.write_text("".join(f"my {line}  1\n" for line in path.read_text().split()))
    data = prepared(VocFolder(**options))
    assert {split: len(items) for split, items in data.annotations.items()} == {
        "train": 12,
        "val": 6,
        "test": 6,
    }
