"""COCO's JSON, read and written, against pycocotools."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from torchvision.ops import box_convert

from vision_apps.core.errors import DataError
from vision_apps.data.boxes.annotation import clean
from vision_apps.data.boxes.coco import Coco, CocoJson, to_json
from vision_apps.data.boxes.coco_content import read_json
from vision_apps.data.boxes.samples import list_annotations

CONTENT: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48},
        {"id": 3, "file_name": "b.jpg", "width": 30, "height": 40},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 2, 10, 20], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 5, "bbox": [3.5, 2, 10, 20.25], "iscrowd": 1},
    ],
    "categories": [{"id": 90, "name": "dog"}, {"id": 5, "name": "cat"}],
}


def official(file: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(file))


def written(tmp_path: Path, **changes: Any) -> Path:
    file = tmp_path / "file.json"
    file.write_text(json.dumps(CONTENT | changes))
    return file


def test_categories_in_the_order_of_their_ids(tmp_path: Path) -> None:
    names, (first, second) = read_json(written(tmp_path))
    assert names == ["cat", "dog"]
    assert first.labels.tolist() == [1, 0]
    assert first.boxes.tolist() == [[1, 2, 11, 22], [3.5, 2, 13.5, 22.25]]
    assert first.ignored.tolist() == [False, True]
    assert (first.height, first.width, first.image_id) == (48, 64, 7)
    assert second.path == "b.jpg" and len(second.boxes) == 0


def test_areas_are_those_of_the_file_and_otherwise_of_the_box(tmp_path: Path) -> None:
    first, second = CONTENT["annotations"]
    file = written(tmp_path, annotations=[first | {"area": 123.5}, second])
    _, (item, empty) = read_json(file)
    assert item.areas[0] == 123.5 and np.isnan(item.areas[1]) and len(empty.areas) == 0
    table = list_annotations([clean(item)[0], empty], 32, "letterbox")
    assert table.areas.tolist() == [123.5, 10 * 20.25]


@pytest.mark.parametrize("area", ["4", -1, [4]])
def test_an_area_that_is_none_is_refused(tmp_path: Path, area: Any) -> None:
    first, _ = CONTENT["annotations"]
    with pytest.raises(DataError, match="annotation 1: expected 'area' in pixels, 0 or more"):
        read_json(written(tmp_path, annotations=[first | {"area": area}]))


def test_what_pycocotools_reads(tmp_path: Path) -> None:
    root = tmp_path / "data"
    CocoJson.fake(root)
    for file in (root / "annotations").glob("*.json"):
        names, items = read_json(file)
        theirs = official(file)
        ids = theirs.getCatIds()
        assert names == [category["name"] for category in theirs.loadCats(ids)]
        assert {item.image_id for item in items} == set(theirs.getImgIds())
        for item in items:
            found = theirs.loadAnns(theirs.getAnnIds(imgIds=[item.image_id]))
            boxes = torch.tensor([one["bbox"] for one in found], dtype=torch.float32).reshape(-1, 4)
            assert torch.equal(box_convert(boxes, "xywh", "xyxy"), torch.from_numpy(item.boxes))
            assert item.labels.tolist() == [ids.index(one["category_id"]) for one in found]
            assert item.ignored.tolist() == [bool(one["iscrowd"]) for one in found]
            image = theirs.loadImgs([item.image_id])[0]
            assert (image["file_name"], image["height"], image["width"]) == item[:3]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"annotations": [{"id": 1, "image_id": 8, "category_id": 5, "bbox": [0, 0, 1, 1]}]},
            "annotation 1 has image_id 8, which is not in 'images' (7, 3)",
        ),
        (
            {"annotations": [{"id": 1, "image_id": 7, "category_id": 6, "bbox": [0, 0, 1, 1]}]},
            "annotation 1 has category_id 6, which is not in 'categories' (5, 90)",
        ),
        ({"annotations": [{"id": 1, "category_id": 5, "bbox": [0] * 4}]}, "annotation 1 has no 'image_id'"),
        ({"annotations": [{"id": 1, "image_id": 7, "bbox": [0] * 4}]}, "annotation 1 has no 'category_id'"),
        ({"annotations": [{"id": 1, "image_id": 7, "category_id": 5}]}, "annotation 1 has no 'bbox'"),
        (
            {"annotations": [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3]}]},
            "annotation 1: expected 'bbox' as [x, y, width, height], not [1, 2, 3]",
        ),
        ({"annotations": [{"image_id": 7}]}, "entry 0 of 'annotations' has no 'id'"),
        ({"images": [{"id": 1}], "annotations": []}, "image 1 has no 'file_name'"),
        (
            {"images": [{"id": 1, "file_name": "a", "width": 0.5}], "annotations": []},
            "image 1: expected a whole number of pixels as 'width', not 0.5",
        ),
        ({"images": None}, "expected a list of objects under 'images'"),
        ({"categories": [3]}, "expected a list of objects under 'categories'"),
        ({"images": [CONTENT["images"][0]] * 2}, "two entries of 'images' have the id 7"),
        (
            {"categories": [{"id": 5, "name": "cat"}, {"id": 90, "name": "cat"}]},
            "two categories are called 'cat' (5, 90), and objects are of both; give their objects one "
            "category_id, or the categories different names",
        ),
        (
            {"categories": [{"id": 5, "name": "cat"}, {"id": "90", "name": "dog"}]},
            "the ids of 'categories' are numbers and texts; expected one of both",
        ),
        ({"categories": [{"id": 5}], "annotations": []}, "category 5 has no 'name'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    file = written(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        read_json(file)
    assert str(caught.value) == f"{file}: {text}"


def test_other_files_than_annotations(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    for content, text in (
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe\xfa", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[]", "expected an object with 'images', 'annotations' and 'categories'"),
        (b"{}", "it has no list 'images': is it a file of results, not of annotations?"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=text.replace("?", r"\?")):
            read_json(file)


def test_files_of_different_categories(tmp_path: Path) -> None:
    root = tmp_path / "data"
    node = CocoJson.fake(root)
    file = root / "annotations" / "val.json"
    file.write_text(file.read_text().replace('"square"', '"triangle"'))
    with pytest.raises(
        DataError, match="its categories are circle, triangle; those to train on are circle, square"
    ):
        CocoJson(**node).prepare_data()


def test_one_file_of_everything_beside_its_pictures(tmp_path: Path) -> None:
    node = CocoJson.fake(tmp_path / "fake")
    root = tmp_path / "data" / "train"
    (tmp_path / "fake" / "images" / "train").rename(tmp_path / "moved")
    (tmp_path / "data").mkdir()
    (tmp_path / "moved").rename(root)
    (tmp_path / "fake" / "annotations" / "train.json").rename(root / "_annotations.coco.json")
    data = CocoJson(**node | {"root": str(tmp_path / "data")}, test_fraction=0.25)
    data.prepare_data()
    assert [len(data.load(split, ("images",))) for split in ("train", "val", "test")] == [8, 1, 3]
    data.load("train", data.fields)[0]


def test_named_files_and_folder(tmp_path: Path) -> None:
    node = CocoJson.fake(tmp_path)
    named = {
        "train_json": "annotations/test.json",
        "val_json": "annotations/train.json",
        "images": "images/test",
    }
    with pytest.raises(DataError, match="is not there"):  # the pictures of val are elsewhere
        CocoJson(**node, **named).prepare_data()
    with pytest.raises(DataError, match=r"data\.val_json: there is no file .*nowhere\.json"):
        CocoJson(**node, val_json="nowhere.json").prepare_data()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no JSON file to train on"):
        CocoJson(str(tmp_path / "empty")).prepare_data()


def test_sizes_that_are_not_said_are_measured(tmp_path: Path) -> None:
    node = CocoJson.fake(tmp_path)
    whole = CocoJson(**node)
    whole.prepare_data()
    for file in (tmp_path / "annotations").glob("*.json"):
        content = json.loads(file.read_text())
        for image in content["images"]:
            del image["width"], image["height"]
        file.write_text(json.dumps(content))
    measured = CocoJson(**node)
    measured.prepare_data()
    for split in ("train", "val", "test"):
        for one, other in zip(whole.annotations[split], measured.annotations[split], strict=True):
            assert one[:3] == other[:3]


def test_the_public_one_tests_on_the_official_val(tmp_path: Path) -> None:
    data = Coco(**Coco.fake(tmp_path))
    data.prepare_data()
    counts = {split: len(items) for split, items in data.annotations.items()}
    assert counts == {"train": 12, "val": 4, "test": 16}
    assert {Path(item.path).parent.name for item in data.annotations["test"]} == {"val2017"}
    (tmp_path / "annotations" / "instances_val2017.json").unlink()
    with pytest.raises(DataError, match=r"there is no file .*instances_val2017\.json"):
        Coco(str(tmp_path)).prepare_data()


corner = st.integers(0, 20_000).map(lambda value: value / 100)
found = st.fixed_dictionaries(
    {
        "class": st.sampled_from(["cat", "dog"]),
        "score": st.integers(0, 1000).map(lambda value: value / 1000),
        "box": st.tuples(corner, corner, corner, corner).map(
            lambda box: [box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1]
        ),
    }
)


@settings(max_examples=15)
@given(st.lists(st.lists(found, max_size=4), min_size=1, max_size=4))
def test_predictions_come_back(tmp_path: Path, pictures: list[list[dict[str, Any]]]) -> None:
    rows = [
        {
            "file": f"/some/wh\N{LATIN SMALL LETTER E WITH ACUTE}re/{number}.jpg",
            "width": 500,
            "height": 400,
            "objects": own,
        }
        for number, own in enumerate(pictures)
    ]
    file = tmp_path / "predictions.json"
    file.write_bytes(to_json(rows, ["cat", "dog"]))
    names, items = read_json(file)
    assert names == ["cat", "dog"]
    for row, item in zip(rows, items, strict=True):
        assert item[:3] == (row["file"], 400, 500)
        assert [names[label] for label in item.labels] == [one["class"] for one in row["objects"]]
        expected = np.array([one["box"] for one in row["objects"]], np.float32).reshape(-1, 4)
        assert np.allclose(item.boxes, expected, atol=0.011)
    # COCO's own tools read it
    theirs = official(file)
    assert [one["score"] for one in theirs.anns.values()] == [one["score"] for own in pictures for one in own]


def test_a_picture_under_two_names_is_refused(tmp_path: Path) -> None:
    """A file's own check knows names as they are written; this is the same file."""
    made = CocoJson.fake(tmp_path / "data")
    file = next(path for path in sorted((tmp_path / "data").rglob("*.json")) if "train" in path.name)
    content = json.loads(file.read_text())
    twin = content["images"][0] | {"id": 10_000, "file_name": f"./{content['images'][0]['file_name']}"}
    file.write_text(json.dumps(content | {"images": [*content["images"], twin]}))
    with pytest.raises(DataError, match=r"image 10000 .* is the picture of .*; put all objects of a picture"):
        CocoJson(**made).prepare_data()


def test_of_pictures_of_one_name_those_of_the_longest_last_part(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file's name is that of the other folder, where its pictures would lie."""
    CocoJson.fake(tmp_path)
    content = json.loads((tmp_path / "annotations" / "train.json").read_text())
    for folder in "ab":
        shutil.copytree(tmp_path / "images" / "train", tmp_path / "shots" / "images" / folder)
    for image in content["images"]:
        image["file_name"] = f"..\\label-studio\\upload\\b\\{image['file_name']}"
    (tmp_path / "shots" / "a.json").write_text(json.dumps(content))
    data = CocoJson(str(tmp_path / "shots"), train_json="a.json", image_size=32)
    with caplog.at_level("WARNING"):
        data.prepare_data()
    assert {Path(item.path).parent.name for item in data.annotations["train"]} == {"b"}
    assert caplog.messages[0].startswith("data: pictures are found by the last parts of their names: ")
