"""VOC's averages against cases computed by hand and against the definition written out."""

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable
from vision_apps.applications.detection.voc_ap import averages, judge, voc_figures


def test_averages_by_hand() -> None:
    # right, wrong, right of 4 objects: precision 1 up to recall 1/4, then 2/3 up to 1/2;
    # recall 0, .1, .2 have precision 1; .3, .4, .5 have 2/3; the other five have 0
    right = torch.tensor([True, False, True])
    assert averages(right, 4) == pytest.approx(((3 * 1 + 3 * 2 / 3) / 11, 0.25 * 1 + 0.25 * 2 / 3))


def test_a_recall_that_is_reached_exactly_counts() -> None:
    # 3 of 10: recall .3 is reached, though 0.1 * 3 > 3 / 10 in floats
    assert averages(torch.ones(3, dtype=torch.bool), 10) == pytest.approx((4 / 11, 0.3))


def test_precision_is_interpolated() -> None:
    # wrong first: 1/2 at recall 1 counts for every recall below it
    assert averages(torch.tensor([False, True]), 1) == pytest.approx((0.5, 0.5))


def test_the_ends() -> None:
    assert averages(torch.empty(0, dtype=torch.bool), 3) == (0, 0)
    assert averages(torch.zeros(5, dtype=torch.bool), 3) == (0, 0)
    assert averages(torch.ones(3, dtype=torch.bool), 3) == pytest.approx((1, 1))


def one_picture(boxes: list[list[float]], ignored: list[bool]) -> GroundTruthTable:
    zeros = torch.zeros(len(boxes)).long()
    return GroundTruthTable(torch.tensor(boxes), zeros, torch.tensor(ignored), zeros)


def answers(boxes: list[list[float]], scores: list[float]) -> DetectionTable:
    zeros = torch.zeros(len(boxes)).long()
    return DetectionTable(torch.tensor(boxes), torch.tensor(scores), zeros, zeros)


def test_duplicates_are_wrong_and_difficult_objects_count_neither_way() -> None:
    truths = one_picture([[0, 0, 10, 10], [20, 20, 40, 40.0]], [False, True])
    found = answers(
        [[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 39], [21, 20, 40, 40], [60, 60, 70, 70.0]],
        [0.7, 0.9, 0.8, 0.6, 0.5],
    )
    verdicts = judge(found, truths)  # best first: .9 right, .8 on difficult, .7 duplicate, .6 difficult, .5
    assert verdicts.right.tolist() == [True, False, False, False, False]
    assert verdicts.counted.tolist() == [True, False, True, False, True]


def test_an_answer_goes_to_the_object_it_overlaps_most_even_if_that_is_taken() -> None:
    # COCO would give the second answer the free object, the development kit calls it a duplicate
    truths = one_picture([[0, 0, 10, 10], [0, 0, 10, 14.0]], [False, False])
    found = answers([[0, 0, 10, 10], [0, 0, 10, 11.0]], [0.9, 0.8])
    assert judge(found, truths).right.tolist() == [True, False]


def test_an_iou_of_exactly_one_half_is_enough() -> None:
    truths = one_picture([[0, 0, 10, 10.0]], [False])
    assert judge(answers([[0, 0, 10, 5.0]], [0.9]), truths).right.tolist() == [True]
    assert judge(answers([[0, 0, 10, 4.9]], [0.9]), truths).right.tolist() == [False]


def written_out(found: DetectionTable, truths: GroundTruthTable, label: int) -> tuple[list[bool], int]:
    """The assignment for one class, box by box."""

    def iou(a: list[float], b: list[float]) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        if w <= 0 or h <= 0:
            return 0.0
        area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        return w * h / (sum(area) - w * h)

    objects = [
        (i, box, ignored)
        for box, k, ignored, i in zip(*(f.tolist() for f in truths[:4]), strict=True)
        if k == label
    ]
    rows = [
        (score, i, box) for box, score, k, i in zip(*(f.tolist() for f in found), strict=True) if k == label
    ]
    taken: set[int] = set()
    right = []
    for _, image, box in sorted(rows, key=lambda row: -row[0]):  # stable
        best, which = -1.0, -1
        for number, (i, truth, _) in enumerate(objects):
            if i == image and iou(box, truth) > best:
                best, which = iou(box, truth), number
        if best < 0.5:
            right.append(False)
        elif not objects[which][2]:
            right.append(which not in taken)
            taken.add(which)
    return right, sum(not ignored for _, _, ignored in objects)


def curve(right: list[bool], objects: int) -> list[tuple[Fraction, Fraction]]:
    return [
        (Fraction(sum(right[:n]), objects), Fraction(sum(right[:n]), n)) for n in range(1, 1 + len(right))
    ]


@given(seed=st.integers(0, 10**6))
def test_equals_the_definition(seed: int, random_tables: Any) -> None:
    found, truths = random_tables(seed, images=8)
    figures = voc_figures(found, truths, 3)
    means = []
    for label in range(3):
        right, objects = written_out(found, truths, label)
        if not objects:
            assert figures.voc[label].isnan() and figures.voc07[label].isnan()
            continue
        points = curve(right, objects)
        eleven = [max((p for r, p in points if r >= Fraction(k, 10)), default=Fraction(0)) for k in range(11)]
        assert float(figures.voc07[label]) == pytest.approx(float(sum(eleven) / 11))
        area, before = Fraction(0), Fraction(0)
        for recall in sorted({r for r, _ in points}):
            area += (recall - before) * max(p for r, p in points if r >= recall)
            before = recall
        assert float(figures.voc[label]) == pytest.approx(float(area))
        means.append(float(area))
    expected = sum(means) / len(means) if means else float("nan")
    assert figures.means()["voc_ap"] == pytest.approx(expected, nan_ok=True)
