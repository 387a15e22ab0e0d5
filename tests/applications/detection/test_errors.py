"""The kinds of errors on pictures made by hand, and sums that have to agree."""

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from vision_apps.applications.detection.errors import DROPPED, KINDS, RIGHT, Split, split_errors
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable

OBJECT = [0, 0, 100, 100.0]


def split(
    truths: list[tuple[list[float], int, bool]],
    found: list[tuple[list[float], float, int]],
    score_threshold: float = 0,
) -> Split:
    """All in one picture."""
    boxes, labels, ignored = zip(*truths, strict=True) if truths else ([], [], [])
    truth = GroundTruthTable(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(ignored, dtype=torch.bool),
        torch.zeros(len(truths), dtype=torch.int64),
    )
    boxes, scores, marks = zip(*found, strict=True) if found else ([], [], [])
    answers = DetectionTable(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(marks, dtype=torch.int64),
        torch.zeros(len(found), dtype=torch.int64),
    )
    return split_errors(answers, truth, 2, score_threshold)


def kind(made: Split) -> list[str]:
    names = {RIGHT: "right", DROPPED: "dropped", **dict(enumerate(KINDS))}
    return [names[k] for k in made.kinds.tolist()]


@pytest.mark.parametrize(
    ("box", "label", "expected", "missed"),
    [
        ([0, 0, 100, 60.0], 0, "right", 0),
        ([0, 0, 100, 30.0], 0, "localization", 0),
        ([0, 0, 100, 60.0], 1, "classification", 0),
        ([0, 0, 100, 30.0], 1, "both", 1),
        ([0, 0, 100, 5.0], 0, "background", 1),
        ([200, 200, 250, 250.0], 1, "background", 1),
    ],
)
def test_each_kind(box: list[float], label: int, expected: str, missed: int) -> None:
    made = split([(OBJECT, 0, False)], [(box, 0.9, label)])
    assert kind(made) == [expected]
    assert made.counts()["missed"] == missed
    assert sum(made.counts().values()) == (expected != "right") + missed


def test_an_iou_of_exactly_the_bounds() -> None:
    """One half is right, as COCO and VOC have it; .1 is a bad place and no background."""
    half, tenth = [0, 0, 100, 50.0], [0, 0, 100, 10.0]
    assert kind(split([(OBJECT, 0, False)], [(half, 0.9, 0)])) == ["right"]
    assert kind(split([(OBJECT, 0, False)], [(half, 0.9, 1)])) == ["classification"]
    assert kind(split([(OBJECT, 0, False)], [(OBJECT, 0.9, 0), (half, 0.8, 0)])) == ["right", "duplicate"]
    assert kind(split([(OBJECT, 0, False)], [(tenth, 0.9, 0)])) == ["localization"]
    assert kind(split([(OBJECT, 0, False)], [(tenth, 0.9, 1)])) == ["both"]
    assert kind(split([(OBJECT, 0, True)], [([0, 0, 200, 100.0], 0.9, 0)])) == ["dropped"]


def test_the_second_answer_is_a_duplicate() -> None:
    made = split([(OBJECT, 0, False)], [([0, 0, 100, 80.0], 0.5, 0), (OBJECT, 0.9, 0)])
    assert made.found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert kind(made) == ["right", "duplicate"]
    assert made.matched.tolist() == [0, -1]
    assert made.precision_recall() == (0.5, 1.0)


def test_what_scores_too_little_is_not_there() -> None:
    made = split([(OBJECT, 0, False)], [(OBJECT, 0.29, 0)], score_threshold=0.3)
    assert kind(made) == [] and made.counts()["missed"] == 1
    assert made.precision_recall() == (0.0, 0.0)
    assert kind(split([(OBJECT, 0, False)], [(OBJECT, 0.3, 0)], score_threshold=0.3)) == ["right"]


def test_a_picture_without_objects() -> None:
    made = split([], [(OBJECT, 0.9, 1)])
    assert kind(made) == ["background"] and made.confusion[2].tolist() == [0, 1, 0]
    precision, recall = made.precision_recall()
    assert precision == 0 and recall != recall


def test_ignored_regions_excuse_only_what_lies_in_them() -> None:
    crowd = ([0, 0, 100, 100.0], 0, True)
    inside, outside = [10, 10, 30, 30.0], [90, 90, 130, 130.0]
    made = split([crowd], [(inside, 0.9, 0), (outside, 0.8, 0), (inside, 0.7, 1)])
    assert kind(made) == ["dropped", "background", "background"]
    assert made.confusion.sum() == 2 and made.counts()["missed"] == 0
    # an object in the crowd is found before the crowd excuses
    made = split([crowd, (inside, 0, False)], [(inside, 0.9, 0)])
    assert kind(made) == ["right"]


def test_confusion_by_hand() -> None:
    other = [200, 0, 300, 100.0]
    lonely = [0, 300, 50, 350.0]
    truths = [(OBJECT, 0, False), (other, 1, False), (lonely, 1, False)]
    found = [(OBJECT, 0.9, 0), (other, 0.8, 0), ([500, 500, 600, 600.0], 0.7, 1), (OBJECT, 0.6, 1)]
    made = split(truths, found)
    # rows: truth 0, truth 1, background; the second answer on the first object stands in the last row
    assert made.confusion.tolist() == [[1, 0, 0], [1, 0, 1], [0, 2, 0]]


def test_what_is_right_takes_no_second_object() -> None:
    """The first answer is right about the first object and overlaps the second as well, which is left to the
    second answer, of the wrong class."""
    truths = [(OBJECT, 0, False), ([0, 0, 100, 80.0], 1, False)]
    made = split(truths, [([0, 0, 100, 90.0], 0.9, 0), ([0, 0, 100, 78.0], 0.5, 0)])
    assert made.matched.tolist() == [0, -1]
    assert made.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_a_wrong_class_does_not_take_the_object_of_the_right_one() -> None:
    made = split([(OBJECT, 0, False)], [(OBJECT, 0.9, 1), (OBJECT, 0.4, 0)])
    assert kind(made) == ["classification", "right"]
    assert made.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


@given(seed=st.integers(0, 10**6), score=st.sampled_from([0.0, 0.3, 0.8]))
def test_everything_is_counted_once(seed: int, score: float, random_tables: Any) -> None:
    found, truths = random_tables(seed)
    made = split_errors(found, truths, 3, score)
    counted = made.kinds != DROPPED
    right = made.kinds == RIGHT
    objects = ~truths.ignored
    assert len(made.kinds) == int((found.scores >= score).sum())
    assert sum(made.counts().values()) - int(made.missed.sum()) == int((counted & ~right).sum())
    # rows are objects, columns are answers
    assert made.confusion[:3].sum(1).tolist() == torch.bincount(truths.labels[objects], minlength=3).tolist()
    labels = torch.bincount(made.found.labels[counted], minlength=3)
    assert made.confusion[:, :3].sum(0).tolist() == labels.tolist()
    assert made.confusion.diagonal()[:3].sum() == right.sum() and made.confusion[3, 3] == 0
    # a match is one to one, of one picture and class, and overlaps enough
    rows, columns = right.nonzero()[:, 0], made.matched[right]
    assert len(columns.unique()) == len(columns)
    assert torch.equal(made.found.labels[rows], made.truths.labels[columns])
    assert torch.equal(made.found.images[rows], made.truths.images[columns])
    overlap = box_iou(made.found.boxes[rows], made.truths.boxes[columns]).diagonal()
    assert (overlap >= 0.5 - 1e-9).all()


@given(seed=st.integers(0, 10**6))
def test_kinds_as_the_definition_has_them(seed: int, random_tables: Any) -> None:
    found, truths = random_tables(seed)
    truths = GroundTruthTable(*(field[~truths.ignored] for field in truths[:4]))
    made = split_errors(found, truths, 3, 0.0)
    names = Counter[str]()
    for row in range(len(made.kinds)):
        if made.matched[row] >= 0:
            continue
        here = truths.images == made.found.images[row]
        overlap = box_iou(made.found.boxes[row : row + 1], truths.boxes[here])[0].tolist()
        same = (truths.labels[here] == made.found.labels[row]).tolist()
        own = max((o for o, s in zip(overlap, same, strict=True) if s), default=0.0)
        other = max((o for o, s in zip(overlap, same, strict=True) if not s), default=0.0)
        if 0.1 <= own < 0.5:
            names["localization"] += 1
        elif other >= 0.5:
            names["classification"] += 1
        elif own >= 0.5:
            names["duplicate"] += 1
        elif max(own, other) < 0.1:
            names["background"] += 1
        else:
            names["both"] += 1
    counts = made.counts()
    assert {name: names[name] for name in KINDS[:-1]} == {name: counts[name] for name in KINDS[:-1]}
