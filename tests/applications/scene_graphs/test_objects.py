"""The objects of a picture as a person says them."""

import pytest
import torch

from vision_apps.applications.scene_graphs.objects import encoded, given_objects
from vision_apps.core.errors import DataError

NAMES = ["cat", "traffic light", "dog"]
SIZE = (40, 60)


def test_with_classes_and_without() -> None:
    boxes, labels = given_objects("Traffic Light 1,2,10,20; 5.5, 6 ,30,39;dog 0,0,99,99;", SIZE, NAMES)
    assert boxes.tolist() == [[1, 2, 10, 20], [5.5, 6, 30, 39], [0, 0, 60, 40]]
    assert labels.tolist() == [1, len(NAMES), 2]
    inputs = encoded(torch.zeros(1, 3, *SIZE, dtype=torch.uint8), {"objects": "cat 1,2,3,4"}, NAMES)
    assert inputs.boxes is not None and inputs.boxes.shape == (1, 1, 4)
    assert encoded(torch.zeros(1, 3, *SIZE, dtype=torch.uint8), {}, NAMES).boxes is None


def test_a_box_that_reaches_beyond_the_picture_is_told(caplog: pytest.LogCaptureFixture) -> None:
    given_objects("cat 1,2,60,40", SIZE, NAMES)
    assert not caplog.text
    given_objects("cat 1,2,60,40; dog 5,-3,9000,30", SIZE, NAMES)
    assert "'dog 5,-3,9000,30' reaches beyond this picture of 60 x 40 px" in caplog.text
    assert "what is taken of it is 5,0,60,30" in caplog.text and "'cat" not in caplog.text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 of them"),
        ("cat", "expected a class, or none, and x1,y1,x2,y2"),
        ("cat 1,2,3", "expected a class, or none, and x1,y1,x2,y2"),
        ("bird 1,2,3,4", "'bird' is no class of this run; expected one of cat, traffic light, dog"),
        ("cat 10,2,3,4", "no area in this picture of 60 x 40 px"),
        ("cat 70,2,80,4", "no area in this picture of 60 x 40 px"),
        (";".join(["1,2,3,4"] * 1001), "1001 of them"),
    ],
)
def test_what_cannot_be_understood(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"^objects: .*{reason}"):
        given_objects(text, SIZE, NAMES)
