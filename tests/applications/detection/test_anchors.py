"""Anchors of a small map, written out, and their areas and aspects."""

import pytest
import torch

from vision_apps.applications.detection.anchors import anchors, centres, shapes


def test_centres_run_along_the_rows() -> None:
    assert centres((2, 3), 8).tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]


def test_squares_on_two_cells() -> None:
    assert anchors((1, 2), 8, [2.0], [1.0]).tolist() == [[-4, -4, 12, 12], [4, -4, 20, 12]]


def test_aspect_is_height_by_width_at_equal_area() -> None:
    sizes = shapes([3.0, 5.0], [0.5, 1.0, 2.0])
    assert sizes.prod(dim=1).tolist() == pytest.approx([9, 9, 9, 25, 25, 25])
    assert (sizes[:, 1] / sizes[:, 0]).tolist() == pytest.approx([0.5, 1, 2] * 2)


def test_all_shapes_of_a_cell_follow_each_other() -> None:
    boxes = anchors((3, 4), 16, [1.0, 2.0], [0.5, 2.0]).reshape(12, 4, 4)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    torch.testing.assert_close(middle, centres((3, 4), 16)[:, None].expand(-1, 4, -1))
    torch.testing.assert_close(boxes[5, :, 2:] - boxes[5, :, :2], 16 * shapes([1.0, 2.0], [0.5, 2.0]))
