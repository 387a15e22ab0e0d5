"""VOC's XML, read and written, and the public VOC."""

import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data import public
from vision_apps.data.boxes.voc import Parsed, Voc, VocFolder, read_list, to_xml
from vision_apps.data.public import VOC_CLASSES

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>"
    "<xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)


def folder(root: Path, **files: str) -> Path:
    """A VOC folder: name to the inside of its annotation, each with a picture of 60 x 40."""
    for name in ("Annotations", "JPEGImages"):
        (root / name).mkdir(parents=True)
    for seed, (name, inside) in enumerate(files.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg")
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{inside}</annotation>")
    return root


def split(root: Path, **lists: str) -> None:
    (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    for name, names in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(names.split()) + "\n")


def prepared(root: Path, **options: Any) -> VocFolder:
    data = VocFolder(str(root), **options)
    data.prepare_data()
    return data


def cat(*box: float, name: str = "cat", difficult: int = 0) -> str:
    return OBJECT.format(*box, name=name, difficult=difficult)


def test_both_conventions_of_pixels(tmp_path: Path) -> None:
    root = folder(tmp_path, a=cat(1, 1, 60, 40), b=cat(11, 5, 20, 8, difficult=1), c=cat(1, 2, 3, 4))
    split(root, train="a", val="b", test="c")
    for one_based, boxes in (
        (False, ([1, 1, 60, 40], [11, 5, 20, 8])),
        (True, ([0, 0, 60, 40], [10, 4, 20, 8])),
    ):
        data = prepared(root, one_based=one_based)
        assert [data.annotations[name][0].boxes.tolist() for name in ("train", "val")] == [
            [boxes[0]],
            [boxes[1]],
        ]
        assert data.annotations["val"][0].ignored.tolist() == [True]
        assert (data.annotations["train"][0].height, data.annotations["train"][0].width) == (
            40,
            60,
        )  # measured


def test_classes_of_the_files_or_as_given(tmp_path: Path) -> None:
    root = folder(tmp_path, a=cat(1, 1, 9, 9), b=cat(1, 1, 9, 9, name="ant"), c=cat(1, 1, 9, 9))
    assert prepared(root).facts["class_names"] == ["ant", "cat"]
    assert prepared(root, classes=["cat", "dog", "ant"]).facts["class_names"] == ["cat", "dog", "ant"]
    with pytest.raises(DataError) as caught:
        prepared(root, classes=["cat"])
    assert str(caught.value) == (
        f"{root / 'Annotations' / 'b.xml'}: class 'ant' is not among cat; add it to data.classes, or leave "
        "data.classes null to take all that occur"
    )
    with pytest.raises(ConfigError, match=r"data\.classes: expected different names, not \['cat', 'cat'\]"):
        VocFolder(str(root), classes=["cat", "cat"])


def test_pictures_without_a_file_are_empty(tmp_path: Path) -> None:
    root = folder(tmp_path, a=cat(1, 1, 9, 9), b=cat(1, 1, 9, 9), c=cat(1, 1, 9, 9), d="")
    (root / "Annotations" / "b.xml").unlink()
    split(root, train="a b d", val="c", test="c")
    found = {item.image_id: len(item.labels) for item in prepared(root).annotations["train"]}
    assert found == {"a": 1, "b": 0, "d": 0}
    split(root, val="c", test="e")
    with pytest.raises(
        DataError, match=r"'e' is listed and has neither .*e\.xml nor a picture in .*JPEGImages"
    ):
        prepared(root)


def test_a_file_without_its_picture(tmp_path: Path) -> None:
    root = folder(tmp_path, a=cat(1, 1, 9, 9), b=cat(1, 1, 9, 9))
    (root / "JPEGImages" / "b.jpg").unlink()
    with pytest.raises(DataError) as caught:
        prepared(root)
    assert str(caught.value).startswith(
        f"data: {root / 'Annotations' / 'b.xml'}: its picture {root / 'JPEGImages' / 'b.jpg'} is not there\n"
    )


def test_the_xml_says_which_picture_where_its_own_name_does_not(tmp_path: Path) -> None:
    root = folder(tmp_path, a=cat(1, 1, 9, 9), b=f"<filename>other.jpg</filename>{cat(1, 1, 9, 9)}", c="")
    (root / "JPEGImages" / "b.jpg").rename(root / "JPEGImages" / "other.jpg")
    split(root, train="b", val="a", test="c")
    assert Path(prepared(root).annotations["train"][0].path).name == "other.jpg"


def test_lists(tmp_path: Path) -> None:
    names = {f"p{number}": cat(1, 1, 9, 9) for number in range(10)}
    root = folder(tmp_path, **names)
    assert {name: len(items) for name, items in prepared(root).annotations.items()} == {
        "train": 8,
        "val": 1,
        "test": 1,
    }
    split(root, trainval="p1 p2 p3 p4", test="p5")
    data = prepared(root)
    assert [len(data.annotations[name]) for name in ("train", "val", "test")] == [3, 1, 1]
    (root / "ImageSets" / "Main" / "trainval.txt").unlink()
    with pytest.raises(DataError, match=r"ImageSets/Main has neither train\.txt nor trainval\.txt"):
        prepared(root)
    file = tmp_path / "cat_train.txt"
    file.write_text("000001 -1\n000002  1\n\n")
    assert read_list(file) == ["000001 -1", "000002  1"]
    (root / "ImageSets" / "Main" / "train.txt").write_text("p1 -1\np2  1\np3\n")
    assert {Path(item.path).stem for own in prepared(root).annotations.values() for item in own} == {
        *("p1", "p2", "p3", "p5")
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><annotation>&d;</annotation>',
            "it declares a document type, which can hold entities; not read",
        ),
        (
            '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>',
            "it declares a document type, which can hold entities; not read",
        ),
        ("<annotation><object></annotation>", "cannot be read as XML: mismatched tag"),
        ("<annotation>&bomb;</annotation>", "cannot be read as XML: undefined entity"),
        ("", "cannot be read as XML"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "cannot be read as XML"),
        ("<annotation><object><name> </name></object></annotation>", "object 0 has no <name>"),
        (
            "<annotation><object><name>a</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
            "object 0 has no <bndbox> with xmin, ymin, xmax, ymax",
        ),
        (
            f"<annotation>{cat(1, 2, 3, 4).replace('4', 'x')}</annotation>",
            "expected numbers in <bndbox>, found 'x'",
        ),
        (
            "<annotation><size><width>big</width></size></annotation>",
            "expected numbers in <size/width>, found 'big'",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, text: str) -> None:
    root = folder(tmp_path, a=cat(1, 1, 9, 9), b="")
    file = root / "Annotations" / "b.xml"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        prepared(root)
    assert str(caught.value).startswith(f"{file}: ")
    assert text in str(caught.value)


def test_missing_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*Annotations"):
        prepared(tmp_path)
    with pytest.raises(DataError, match="no file names an object, so there are no classes"):
        prepared(folder(tmp_path / "empty", a="", b=""))


corner = st.integers(0, 200_000).map(lambda value: value / 100)
found = st.fixed_dictionaries(
    {
        "class": st.sampled_from(["cat", "big <dog> & co", "\N{SNOWMAN}"]),
        "score": st.integers(0, 1000).map(lambda value: value / 1000),
        "ignored": st.booleans(),
        "box": st.tuples(corner, corner, corner, corner).map(
            lambda box: [box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1]
        ),
    }
)


@given(st.lists(found, min_size=1, max_size=5), st.booleans())
def test_predictions_come_back(tmp_path: Path, objects: list[dict[str, Any]], one_based: bool) -> None:
    file = tmp_path / "one.xml"
    file.write_bytes(to_xml("some/where/one.jpg", 4002, 5001, objects, one_based=one_based))
    parsed = Parsed(file, one_based)
    assert (parsed.filename, parsed.width, parsed.height) == ("one.jpg", 4002, 5001)
    assert parsed.names == [one["class"] for one in objects]
    assert parsed.difficult == [one["ignored"] for one in objects]
    assert np.allclose(parsed.boxes, [one["box"] for one in objects], atol=0.0051)
    # and as any other reader sees it
    scores = [float(node.text or "") for node in ET.parse(file).getroot().iterfind("object/score")]
    assert scores == [one["score"] for one in objects]


def test_written_files_count_from_one_where_asked() -> None:
    root = ET.fromstring(to_xml("a.jpg", 60, 40, [{"class": "cat", "box": [0, 0, 60, 40]}], one_based=True))
    corners = [root.findtext(f"object/bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == ["1", "1", "60", "40"]


@pytest.mark.parametrize(
    ("year", "counts"),
    [(2007, (12, 6, 6)), (2012, (11, 1, 6)), ("07+12", (31, 5, 6))],
)
def test_the_public_splits(tmp_path: Path, year: Any, counts: tuple[int, int, int]) -> None:
    data = Voc(**Voc.fake(tmp_path), year=year)
    data.prepare_data()
    assert tuple(len(data.annotations[name]) for name in ("train", "val", "test")) == counts
    assert data.facts["class_names"] == VOC_CLASSES and len(VOC_CLASSES) == 20
    folders = {Path(item.path).parts[-3] for item in data.annotations["test"]}
    assert folders == {"VOC2012" if year == 2012 else "VOC2007"}


def test_the_fake_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    """Written from 1 and read from 0, the edges of a box are where brightness changes."""
    data = Voc(**Voc.fake(tmp_path))
    data.prepare_data()
    squares = [item for items in data.annotations.values() for item in items if item.labels.tolist() == [1]]
    assert len(squares) > 2
    for item in squares:
        pixels = np.asarray(Image.open(item.path).convert("L")).astype(float)
        x1, y1, x2, y2 = item.boxes[0].astype(int)
        rows, columns = pixels[:, x1:x2].mean(1) > 112, pixels[y1:y2].mean(0) > 112
        assert rows.nonzero()[0].tolist() == list(range(y1, y2))
        assert columns.nonzero()[0].tolist() == list(range(x1, x2))


def test_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Voc.fake(tmp_path / "fake")
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w") as files:
        files.add(tmp_path / "fake" / "VOCdevkit", "VOCdevkit")
    asked: list[str] = []

    def fetched(urls: list[str], root: Path, name: str, md5: str) -> Path:
        asked.append(name)
        assert len(md5) == 32 and all(url.startswith("https://") for url in urls)
        return archive

    monkeypatch.setattr(public, "download", fetched)
    root = tmp_path / "new"
    root.mkdir()
    Voc(**node | {"root": str(root)}, year="07+12", download=True).prepare_data()
    assert asked == ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"]
    Voc(**node | {"root": str(root)}, download=True).prepare_data()
    assert len(asked) == 3  # it is there
