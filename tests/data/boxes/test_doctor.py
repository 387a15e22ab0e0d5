"""The doctor of boxes: each suspicion is told for exactly that bug, and right data get none."""

from collections.abc import Callable

import numpy as np
import pytest

from vision_apps.data.boxes import doctor
from vision_apps.data.boxes.annotation import Annotation, annotation

NAMES = ["cat", "dog", "owl"]


def right(count: int = 30, seed: int = 0, width: int = 200, height: int = 100) -> list[Annotation]:
    """Pictures with zero to three objects of all classes anywhere, some of them at the edges."""
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        n = number % 4
        w, h = rng.integers(10, width // 2, n), rng.integers(10, height // 2, n)
        x, y = (rng.random(n) * (width - w)).round(), (rng.random(n) * (height - h)).round()
        boxes = np.stack([x, y, x + w, y + h], 1).tolist()
        if n:
            boxes[0] = [0, boxes[0][1], boxes[0][2], height]
        labels = [(number + place) % len(NAMES) for place in range(n)]
        items.append(
            annotation(
                f"{seed}-{number}.png",
                (height, width),
                boxes,
                labels,
                image_id=number,
                source=f"{seed}-{number}.xml",
            )
        )
    return items


def changed(items: list[Annotation], change: Callable[[np.ndarray], np.ndarray]) -> list[Annotation]:
    return [item._replace(boxes=change(item.boxes).astype(np.float32)) for item in items]


def findings(items: list[Annotation]) -> list[str]:
    """Beyond the counts and the pictures that are empty on purpose."""
    splits = {"train": items, "val": right(8, 1), "test": right(8, 2)}
    lines = list(
        doctor.findings(splits, [*items, *splits["val"], *splits["test"]], NAMES, 200, lambda *_: "add some")
    )
    assert len(lines) >= 6
    return [line for line in lines[6:] if "have no object" not in line]


@pytest.mark.parametrize("seed", range(5))
def test_right_data_are_left_in_peace(seed: int) -> None:
    assert findings(right(seed=seed)) == []
    assert findings(right(seed=seed, width=60, height=60)) == []
    assert list(doctor.coordinates(right(1))) == []  # too few to say anything


def test_counts_and_histogram() -> None:
    items = [
        annotation("a", (9, 9), [[0, 0, 1, 1]] * 3, [2, 2, 0], [True, False, False], image_id=0, source="a"),
        annotation("b", (9, 9), [], [], image_id=1, source="b"),
    ]
    assert doctor.counts("val", items) == "val: 2 pictures, 3 objects, at most 3 in one, 1 of them ignored"
    assert doctor.histogram("val", items, NAMES) == "val: objects of each class: cat 1, dog 0, owl 2"
    assert doctor.counts("val", []) == "val: 0 pictures, 0 objects, at most 0 in one"


CORNERS = {
    "x, y, width, height where two corners x1, y1, x2, y2 are read": lambda b: np.hstack(
        [b[:, :2], b[:, 2:] - b[:, :2]]
    ),
    "two corners x1, y1, x2, y2 where x, y, width, height are read": lambda b: np.hstack(
        [b[:, :2], b[:, :2] + b[:, 2:]]
    ),
    "y before x (y1, x1, y2, x2)": lambda b: b[:, [1, 0, 3, 2]],
    "centre, width, height where two corners are read": lambda b: np.hstack(
        [(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]]
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CORNERS)
def test_coordinates_that_mean_something_else(name: str, seed: int) -> None:
    (line,) = doctor.coordinates(changed(right(60, seed), CORNERS[name]))
    assert line.startswith("coordinates: ") and line.endswith(
        f"nearly all would fit if the files have {name}"
    )


def test_shares_read_as_pixels() -> None:
    (line,) = doctor.coordinates(changed(right(), lambda b: b / [200, 100, 200, 100]))
    assert "look like shares of the picture's sides" in line


def test_nonsense_is_not_explained() -> None:
    rng = np.random.default_rng(0)
    assert list(doctor.coordinates(changed(right(), lambda b: rng.normal(0, 300, b.shape)))) == []


def test_labels_that_count_from_one() -> None:
    shifted = [item._replace(labels=np.where(item.labels == 0, 1, item.labels)) for item in right()]
    assert list(doctor.label_offset(right(), NAMES)) == []
    (line,) = doctor.label_offset(shifted, NAMES)
    assert line.startswith("labels: no object is of the first class, 'cat': the labels may count from 1")
    # a last class that is missing too says nothing of the kind, and neither does a single class
    middle = [item._replace(labels=np.ones_like(item.labels)) for item in right()]
    assert list(doctor.label_offset(middle, NAMES)) == []
    assert list(doctor.label_offset(right(), ["thing"])) == []


def test_classes_that_cannot_be_learned() -> None:
    train = [item._replace(labels=np.minimum(item.labels, 1)) for item in right()]
    splits = {"train": train, "val": right(8, 1), "test": right(8, 2)}
    (line,) = doctor.obstacles(splits, NAMES, lambda split, other: f"{split}, {other}: add some")
    owls = [sum((item.labels == 2).sum() for item in splits[split]) for split in ("val", "test")]
    every = [sum(len(item.labels) for item in splits[split]) for split in ("val", "test")]
    told = [
        f"and {split} has {own} ({own / all_:.0%} of its objects)"
        for split, own, all_ in zip(("val", "test"), owls, every, strict=True)
    ]
    assert line == (
        "labels: train has no objects of 1 of 3 classes (owl), which are not learned, "
        f"{', '.join(told)}; train, True: add some"
    )
    (line,) = doctor.obstacles(
        {**splits, "val": train, "test": train}, NAMES, lambda split, other: f"{split}, {other}"
    )
    assert line.endswith("(owl), which are not learned; train, False")
    assert list(doctor.obstacles({"train": right()}, NAMES, lambda *_: "")) == []


def test_classes_that_no_figure_knows() -> None:
    one = [item._replace(labels=np.minimum(item.labels, 1)) for item in right(8, 1)]
    splits = {"train": right(), "val": one, "test": []}
    (line,) = doctor.obstacles(splits, NAMES, lambda split, other: f"{split}, {other}: add some")
    assert line == (
        "labels: val has no objects of 1 of 3 classes (owl), of which its figures say nothing; "
        "val, True: add some"
    )


def test_boxes_that_are_all_one_part_of_their_pictures() -> None:
    def whole(width: int, height: int) -> Annotation:
        return annotation("a", (height, width), [[0, 0, width, height]], [0], image_id=0, source="a.xml")

    pictures = [whole(100 + number, 300 - number) for number in range(6)]
    (line,) = doctor.one_place(pictures)
    assert "all 6 of train (100%) are the same part" in line and "task=classification" in line
    assert list(doctor.one_place(pictures[:4])) == []  # too few to say anything
    other = annotation("b", (100, 100), [[0, 0, 100, 90]], [0], image_id=1, source="b.xml")
    assert list(doctor.one_place([*pictures, other])) == []


def test_boxes_that_cannot_be_used() -> None:
    item = annotation(
        "a.png",
        (100, 200),
        [
            [5, 5, 5, 9],
            [-9, 0, 20, 20],
            [300, 0, 310, 9],
            [9, 9, 2, 20],
            [float("nan")] * 4,
            [0, 0, 200.9, 100],
        ],
        [0] * 6,
        image_id=0,
        source="a.xml",
    )
    expected = {
        "(5, 5, 5, 9)": "has no size and is left out",
        "(-9, 0, 20, 20)": "stands out of its picture by more than 1 px and is cut",
        "(300, 0, 310, 9)": "lies outside its picture and is left out",
        "(9, 9, 2, 20)": "has its second corner before the first and is left out",
        "(nan, nan, nan, nan)": "is no number and is left out",
    }
    assert list(doctor.unusable([item])) == [
        f"box: a.xml, box {number}: {box} in a picture of 200 x 100 {text}"
        for number, (box, text) in enumerate(expected.items())
    ]
    assert list(doctor.unusable([item] * 5))[-1] == "box: 5 further boxes are like that"


def test_duplicates() -> None:
    item = annotation("a", (9, 9), [[0, 0, 4, 4]] * 3, [0, 0, 1], image_id=0, source="a.xml")
    assert list(doctor.duplicates([item])) == ["boxes: 1 stand twice with the same class: a.xml"]


def test_pictures_listed_twice_or_without_objects() -> None:
    items = right(8)
    assert list(doctor.twice({"train": [*items, items[1]]})) == [
        "pictures: 1 are listed more than once in train: 0-1.png"
    ]
    assert list(doctor.empty_pictures({"train": items, "val": items[1:4]})) == [
        "pictures: 2 of train have no object and train as empty: 0-0.png, 0-4.png"
    ]


def test_objects_that_fitting_makes_too_small() -> None:
    item = annotation(
        "a", (500, 1000), [[0, 0, 20, 100], [0, 0, 40, 100]], [0, 0], image_id=0, source="a.xml"
    )
    assert list(doctor.vanishing([item], 100)) == [
        "boxes: 1 of 2 (50%) are narrower than 3 px once pictures are resized; data.image_size=160 keeps them"
    ]
    assert list(doctor.vanishing([item], 160)) == []
    assert list(doctor.vanishing([item], 100, least=0.5)) == []
    assert list(doctor.vanishing([item], 200)) == []
    assert list(doctor.vanishing([], 200)) == []
