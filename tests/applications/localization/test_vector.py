"""The label vector: by hand, there and back, and under a mirror."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.localization.vector import decode, encode, mirror

H, W, K = 60, 200, 3
edges = st.tuples(st.integers(0, W - 1), st.integers(0, H - 1), st.integers(1, W), st.integers(1, H))


def box_of(x: int, y: int, width: int, height: int) -> list[float]:
    return [x, y, min(W, x + width), min(H, y + height)]


boxes = st.lists(edges.map(lambda e: box_of(*e)), min_size=1, max_size=5).map(
    lambda rows: torch.tensor(rows, dtype=torch.float32)
)


def test_by_hand() -> None:
    """10 px from the left, 15 px above the lower edge, 30 px high, 80 px wide; a picture of 60 x 200."""
    vector = encode(torch.tensor([10.0, 15.0, 90.0, 45.0]), torch.tensor(1), K, H, W)
    torch.testing.assert_close(vector, torch.tensor([0.05, 0.25, 0.5, 0.4, 1, 0, 1, 0]))


def test_the_whole_picture_and_its_corners() -> None:
    corners = {
        (0, 0, W, H): [0, 0, 1, 1],
        (0, H / 2, W / 2, H): [0, 0, 0.5, 0.5],  # lower left: the origin
        (W / 2, 0, W, H / 2): [0.5, 0.5, 0.5, 0.5],  # upper right
    }
    for box, expected in corners.items():
        vector = encode(torch.tensor([box], dtype=torch.float32), torch.tensor([0]), K, H, W)
        assert vector[0, :4].tolist() == expected


def test_nothing_is_all_zeros() -> None:
    vector = encode(torch.tensor([[3.0, 4.0, 30.0, 40.0]]), torch.tensor([-1]), K, H, W)
    assert vector.tolist() == [[0.0] * (5 + K)]


@given(boxes=boxes, label=st.integers(0, K - 1))
def test_there_and_back(boxes: Tensor, label: int) -> None:
    labels = torch.full((len(boxes),), label)
    found = decode(encode(boxes, labels, K, H, W), H, W)
    torch.testing.assert_close(found.boxes, boxes, atol=1e-3, rtol=0)
    assert found.presence.eq(1).all()
    assert found.classes.argmax(dim=1).eq(label).all() and found.classes.sum() == len(boxes)


@given(boxes=boxes)
def test_a_mirrored_picture_has_a_mirrored_vector(boxes: Tensor) -> None:
    """In pixels x1, x2 change places; in the vector only the left corner moves."""
    mirrored = torch.stack((W - boxes[:, 2], boxes[:, 1], W - boxes[:, 0], boxes[:, 3]), dim=1)
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    before, after = encode(boxes, labels, K, H, W), encode(mirrored, labels, K, H, W)
    expected = before.clone()
    expected[:, 0] = 1 - before[:, 0] - before[:, 3]
    torch.testing.assert_close(after, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(decode(after, H, W).boxes, mirrored, atol=1e-3, rtol=0)
    torch.testing.assert_close(mirror(before[:, :4]), after[:, :4], atol=1e-6, rtol=0)


@given(boxes=boxes)
def test_a_picture_upside_down_moves_only_the_lower_corner(boxes: Tensor) -> None:
    turned = torch.stack((boxes[:, 0], H - boxes[:, 3], boxes[:, 2], H - boxes[:, 1]), dim=1)
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    before, after = encode(boxes, labels, K, H, W), encode(turned, labels, K, H, W)
    torch.testing.assert_close(after[:, 1], 1 - before[:, 1] - before[:, 2], atol=1e-6, rtol=0)
    torch.testing.assert_close(after[:, [0, 2, 3]], before[:, [0, 2, 3]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [0.5, 3])
def test_the_vector_does_not_change_with_the_resolution(scale: float) -> None:
    box, label = torch.tensor([[20.0, 12.0, 120.0, 36.0]]), torch.tensor([2])
    scaled = encode(box * scale, label, K, int(H * scale), int(W * scale))
    torch.testing.assert_close(scaled, encode(box, label, K, H, W))
