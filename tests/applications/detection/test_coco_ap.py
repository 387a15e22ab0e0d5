"""COCO's figures against pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vision_apps.applications.detection.coco_ap import MOST, NAMES, coco_figures
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable


def reference(found: DetectionTable, truths: GroundTruthTable, images: Sequence[int]) -> Any:
    """pycocotools on the same tables."""

    def xywh(box: Sequence[float]) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    annotations = []
    for number, (box, label, ignored, image) in enumerate(
        zip(*(field.tolist() for field in truths[:4]), strict=True), 1
    ):
        x, y, w, h = xywh(box)
        area = w * h if truths.areas is None else float(truths.areas[number - 1])
        annotations.append(
            {"id": number, "image_id": image, "category_id": label, "bbox": [x, y, w, h], "area": area}
            | {"iscrowd": int(ignored)}
        )
    results = [
        {"image_id": image, "category_id": label, "bbox": xywh(box), "score": score}
        for box, score, label, image in zip(*(field.tolist() for field in found), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        classes = sorted({a["category_id"] for a in annotations} | {r["category_id"] for r in results})
        truth.dataset = {
            "images": [{"id": image} for image in images],
            "annotations": annotations,
            "categories": [{"id": label} for label in classes],
        }
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results) if results else COCO(), "bbox")
        evaluator.params.imgIds = list(images)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def assert_equal(
    found: DetectionTable, truths: GroundTruthTable, images: Sequence[int], classes: int
) -> None:
    evaluator = reference(found, truths, images)
    ours = coco_figures(found, truths, classes)
    values = [ours.figures[name] for name in NAMES]
    theirs = [np.nan if value == -1 else value for value in evaluator.stats]
    np.testing.assert_allclose(values, theirs, atol=1e-9, rtol=0)

    precision = evaluator.eval["precision"][:, :, :, 0, 2]
    for row, label in enumerate(evaluator.params.catIds):
        of_class = precision[:, :, row]
        expected = of_class.mean() if of_class.max() > -1 else np.nan
        np.testing.assert_allclose(float(ours.class_ap[label]), expected, atol=1e-9)
        curve = np.where(of_class[0] < 0, np.nan, of_class[0])
        np.testing.assert_allclose(ours.curve[:, label].numpy(), curve, atol=1e-9)
        np.testing.assert_allclose(float(ours.class_ap50[label]), curve.mean(), atol=1e-9)


@given(seed=st.integers(0, 10**6))
def test_equals_pycocotools(seed: int, random_tables: Any) -> None:
    found, truths = random_tables(seed)
    assert_equal(found, truths, range(12), 3)


def test_equals_pycocotools_with_more_answers_than_count(random_tables: Any) -> None:
    found, truths = random_tables(1, images=4, classes=1, answers=400)
    assert torch.bincount(found.images).max() > MOST
    assert_equal(found, truths, range(4), 1)


def test_an_iou_of_exactly_one_half_is_enough_for_ap50() -> None:
    zero = torch.zeros(1).long()
    truths = GroundTruthTable(torch.tensor([[0.0, 0, 10, 10]]), zero, torch.tensor([False]), zero)
    for bottom, ap50 in ((5.0, 1.0), (4.99, 0.0)):
        found = DetectionTable(torch.tensor([[0.0, 0, 10, bottom]]), torch.ones(1), zero, zero)
        figures = coco_figures(found, truths, 1).figures
        assert figures["ap50"] == ap50 and figures["ap75"] == 0


def test_areas_of_masks_decide_the_size(random_tables: Any) -> None:
    found, truths = random_tables(2)
    areas = truths.boxes.new_full((len(truths.labels),), 31.0**2)
    truths = truths._replace(areas=areas)
    assert_equal(found, truths, range(12), 3)
    figures = coco_figures(found, truths, 3).figures
    assert figures["ar_small"] == figures["ar100"] and np.isnan(figures["ap_large"])


def test_the_order_of_rows_and_the_numbers_of_pictures_do_not_matter(random_tables: Any) -> None:
    found, truths = random_tables(3)
    found = found._replace(scores=torch.rand(len(found.scores), dtype=torch.float64))  # no ties
    expected = coco_figures(found, truths, 3)
    shuffled = [torch.randperm(len(rows[0])) for rows in (found, truths)]
    again = coco_figures(
        DetectionTable(*(field[shuffled[0]] for field in found))._replace(
            images=found.images[shuffled[0]] * 7 + 2
        ),
        GroundTruthTable(*(field[shuffled[1]] for field in truths[:4]))._replace(
            images=truths.images[shuffled[1]] * 7 + 2
        ),
        3,
    )
    assert again.figures == pytest.approx(expected.figures, abs=1e-12, nan_ok=True)


def test_perfect_answers() -> None:
    boxes = torch.tensor([[0, 0, 20, 20], [5, 5, 60, 50.0], [0, 0, 150, 150]])
    labels, images = torch.tensor([0, 1, 1]), torch.tensor([0, 0, 3])
    truths = GroundTruthTable(boxes, labels, torch.zeros(3, dtype=torch.bool), images)
    figures = coco_figures(DetectionTable(boxes, torch.ones(3), labels, images), truths, 3)
    assert figures.figures == pytest.approx(dict.fromkeys(NAMES, 1.0))
    assert figures.class_ap.isnan().tolist() == [False, False, True]


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined() -> None:
    nothing = DetectionTable(torch.empty(0, 4), torch.empty(0), torch.empty(0).long(), torch.empty(0).long())
    box = torch.tensor([[0, 0, 20, 20.0]])
    zero = torch.zeros(1).long()
    one = GroundTruthTable(box, zero, torch.zeros(1, dtype=torch.bool), zero)
    figures = coco_figures(nothing, one, 2).figures
    assert figures["ap"] == figures["ar100"] == figures["ap_small"] == 0 and np.isnan(figures["ap_large"])
    none = GroundTruthTable(*(field[:0] for field in one[:4]))
    assert all(np.isnan(value) for value in coco_figures(nothing, none, 2).figures.values())
    found = DetectionTable(box, torch.ones(1), zero, zero)
    assert all(np.isnan(value) for value in coco_figures(found, none, 2).figures.values())
    # a crowd alone is no object
    crowd = one._replace(ignored=torch.ones(1, dtype=torch.bool))
    assert np.isnan(coco_figures(found, crowd, 2).figures["ap"])


def test_a_crowd_hides_what_lies_in_it() -> None:
    truths = GroundTruthTable(
        torch.tensor([[0, 0, 40, 40], [100, 100, 200, 200.0]]),
        torch.zeros(2).long(),
        torch.tensor([False, True]),
        torch.zeros(2).long(),
    )
    # two answers in the crowd, the better ones, then the object
    boxes = torch.tensor([[100, 100, 120, 120], [150, 150, 180, 190], [0, 0, 40, 40.0]])
    found = DetectionTable(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3).long(), torch.zeros(3).long())
    assert coco_figures(found, truths, 1).figures["ap"] == pytest.approx(1.0)
