"""Overlaps against torchvision's, and where that is not a number."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_area, box_iou

from vision_apps.networks.boxes import area, intersection, iou


def some_boxes(count: int, seed: int) -> torch.Tensor:
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed)) * 40
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


@given(seed=st.integers(0, 10**6))
def test_values_are_those_of_torchvision_to_the_last_bit(seed: int) -> None:
    first, second = some_boxes(9, seed), some_boxes(7, seed + 1)
    every = iou(first[:, None], second)
    assert torch.equal(every, box_iou(first, second))
    assert torch.equal(iou(first[:7], second), every[:7].diagonal())
    assert torch.equal(area(first), box_area(first))
    assert torch.equal(iou(first, first), torch.ones(9))


def test_a_box_without_an_area_overlaps_nothing() -> None:
    empty = torch.zeros(2, 4)
    assert iou(empty, torch.tensor([[0.0, 0, 0, 0], [0, 0, 5, 5]])).tolist() == [0, 0]
    assert iou(empty.double(), empty.double()).tolist() == [0, 0]


def test_what_is_shared() -> None:
    box, others = torch.tensor([2.0, 2, 6, 6]), torch.tensor([[0.0, 0, 3, 4], [6, 6, 8, 8], [0, 0, 9, 9]])
    assert intersection(box, others).tolist() == [2, 0, 16]
    assert box.tolist() == [2, 2, 6, 6]  # nothing is changed in place
