"""Suppression against the greedy algorithm written as a loop, and by hand on two boxes."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from vision_apps.applications.detection.suppression import suppress

PAIR = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10]])  # IoU 9 / 11


def test_two_boxes_of_one_class_and_of_two() -> None:
    same = suppress(PAIR, torch.tensor([[0.9, 0.0], [0.8, 0.0]]), 0.05, 0.5, 10)
    assert same.boxes.tolist() == [[0, 0, 10, 10]] and same.labels.tolist() == [0]
    different = suppress(PAIR, torch.tensor([[0.8, 0.0], [0.0, 0.9]]), 0.05, 0.5, 10)
    assert (
        different.labels.tolist() == [1, 0] and different.scores.tolist() == torch.tensor([0.9, 0.8]).tolist()
    )
    assert len(suppress(PAIR, torch.tensor([[0.9], [0.8]]), 0.05, 0.9, 10).boxes) == 2


def test_the_threshold_and_the_number_of_detections() -> None:
    scores = torch.tensor([[0.9, 0.5], [0.04, 0.6]])
    assert len(suppress(PAIR, scores, 0.05, 0.9, 10).boxes) == 3
    assert suppress(PAIR, scores, 0.05, 0.9, 1).labels.tolist() == [0]


def test_boxes_of_their_own_for_each_class() -> None:
    boxes = torch.stack([PAIR, PAIR + 50], dim=1)
    found = suppress(boxes, torch.tensor([[0.9, 0.0], [0.0, 0.8]]), 0.05, 0.5, 10)
    assert found.boxes.tolist() == [[0, 0, 10, 10], [51, 50, 61, 60]]


def test_boxes_without_area_and_scores_that_are_no_number_are_dropped() -> None:
    boxes = torch.tensor([[0.0, 0, 0, 10], [5, 5, 4, 9], [0, 0, 3, 3]])
    assert len(suppress(boxes, torch.tensor([[0.9], [0.9], [float("nan")]]), 0.05, 0.5, 10).boxes) == 0


def test_nothing_in_nothing_out() -> None:
    found = suppress(torch.zeros(0, 4), torch.zeros(0, 3), 0.05, 0.5, 10)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,) and found.labels.dtype == torch.int64


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 10_000))
def test_suppression_is_the_greedy_loop(count: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 40
    boxes = torch.cat([corners, corners + 5 + torch.rand(count, 2, generator=generator) * 20], dim=1)
    scores = torch.rand(count, classes, generator=generator)
    kept: list[tuple[float, int, int]] = []
    order = sorted(((scores[i, k].item(), i, k) for i in range(count) for k in range(classes)), reverse=True)
    overlaps = box_iou(boxes, boxes)
    for score, i, k in order:
        if score > 0.2 and all(k != other or overlaps[i, j] <= 0.4 for _, j, other in kept):
            kept.append((score, i, k))
    found = suppress(boxes, scores, 0.2, 0.4, 1000)
    assert found.scores.tolist() == [score for score, _, _ in kept]
    assert found.labels.tolist() == [k for _, _, k in kept]


def test_a_score_of_exactly_the_threshold_is_left_out() -> None:
    """As torchvision has it: what scores above it is kept."""
    assert suppress(PAIR, torch.tensor([[0.5], [0.25]]), 0.25, 0.9, 10).scores.tolist() == [0.5]
    assert suppress(PAIR, torch.tensor([[0.5], [0.25]]), 0.2499, 0.9, 10).scores.tolist() == [0.5, 0.25]


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]]), torch.tensor([[0.9], [0.8]])
    assert len(suppress(boxes, scores, 0.05, 0.5, 10).boxes) == 2
    assert len(suppress(boxes, scores, 0.05, 0.4999, 10).boxes) == 1
