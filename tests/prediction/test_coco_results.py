"""Boxes that were found, as pycocotools loads them beside the user's own annotation file."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vision_apps.core.errors import DataError
from vision_apps.data.boxes.coco import to_json
from vision_apps.prediction.coco_results import listed, results

NAMES = ["cat", "dog"]


def mine(tmp_path: Path, *files: str, names: list[str] | None = None) -> Path:
    """An annotation file with ids of its own: of pictures from 1000 down, of categories from 90 down."""
    images = [{"id": 1000 - n, "file_name": file, "width": 40, "height": 30} for n, file in enumerate(files)]
    content: dict[str, Any] = {
        "images": images,
        "categories": [{"id": 90 - n, "name": name} for n, name in enumerate(names or NAMES)],
        "annotations": [
            {
                "id": 1 + n,
                "image_id": image["id"],
                "category_id": 90 - n % 2,
                "bbox": [n, 2, 10, 8],
                "area": 80,
                "iscrowd": 0,
            }
            for n, image in enumerate(images)
        ],
    }
    (tmp_path / "mine.json").write_text(json.dumps(content))
    return tmp_path / "mine.json"


def found(*files: str) -> bytes:
    """What `predict` writes of a detector that is right."""
    return to_json(
        [
            {
                "file": file,
                "width": 40,
                "height": 30,
                "objects": [{"class": NAMES[n % 2], "box": [n, 2, n + 10, 10], "score": 0.9}],
            }
            for n, file in enumerate(files)
        ],
        NAMES,
    )


def test_pycocotools_evaluates_them(tmp_path: Path) -> None:
    files = [f"val/{n}.jpg" for n in range(5)]
    file = mine(tmp_path, *files)
    content, left = results(found(*(f"/data/photos/{name}" for name in files)), listed(file))
    (tmp_path / "results.json").write_bytes(content)
    assert left == []
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("known", "asked", "is_it"),
    [
        ("a.jpg", "photos/a.jpg", True),
        ("images/a.jpg", "elsewhere/a.jpg", True),
        ("images\\a.jpg", "images/a.jpg", True),
        ("A.JPG", "photos/a.jpg", True),
        ("a.jpg", "a.png", False),
        ("xa.jpg", "a.jpg", False),
    ],
)
def test_which_picture_is_meant(tmp_path: Path, known: str, asked: str, is_it: bool) -> None:
    content, left = results(found(asked), listed(mine(tmp_path, known)))
    assert [entry["image_id"] for entry in json.loads(content)] == [1000] * is_it
    assert left == [asked] * (not is_it)


def test_what_the_file_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"mine\.json: has no category dog, which the run tells; it has cat, bird"
    ):
        results(found("a.jpg"), listed(mine(tmp_path, "a.jpg", names=["cat", "bird"])))
    with pytest.raises(DataError, match=r"c0/a\.jpg and c1/a\.jpg are both its picture a\.jpg"):
        results(found("c0/a.jpg", "c1/a.jpg"), listed(mine(tmp_path, "a.jpg")))
    (tmp_path / "none.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataError, match=r"expected 'images' with 'id' and 'file_name'"):
        listed(tmp_path / "none.json")
