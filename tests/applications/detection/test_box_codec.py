"""The codec against the paper's formulas on a hand-made pair, and its round trip."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder

from vision_apps.applications.detection.box_codec import LARGEST, decode, encode

UNIT = (1.0, 1.0, 1.0, 1.0)
corner = st.floats(-50, 150, width=32)
side = st.floats(1, 60, width=32)
box = st.tuples(corner, corner, side, side).map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])


def test_the_formulas_of_the_paper() -> None:
    reference = torch.tensor([10.0, 20, 30, 60])  # centre 20, 40, size 20 x 40
    target = torch.tensor([20.0, 20, 60, 40])  # centre 40, 30, size 40 x 20
    expected = [1.0, -0.25, math.log(2), math.log(0.5)]
    assert encode(target, reference, UNIT).tolist() == pytest.approx(expected)
    weighted = [10 * expected[0], 10 * expected[1], 5 * expected[2], 5 * expected[3]]
    assert encode(target, reference, (10, 10, 5, 5)).tolist() == pytest.approx(weighted)
    assert decode(torch.tensor(weighted), reference, (10, 10, 5, 5)).tolist() == pytest.approx(
        target.tolist()
    )


@given(st.lists(st.tuples(box, box), min_size=1, max_size=8))
def test_decoding_gives_back_what_was_encoded(pairs: list) -> None:
    boxes, references = (torch.tensor(side) for side in zip(*pairs, strict=True))
    again = decode(encode(boxes, references, (10, 10, 5, 5)), references, (10, 10, 5, 5))
    torch.testing.assert_close(again, boxes, rtol=1e-4, atol=1e-2)


def test_one_reference_serves_the_boxes_of_all_classes() -> None:
    references = torch.tensor([[0.0, 0, 10, 10], [5, 5, 25, 15]])
    deltas = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    together = decode(deltas, references[:, None], UNIT)
    for k in range(3):
        torch.testing.assert_close(together[:, k], decode(deltas[:, k], references, UNIT))


def test_sizes_are_bounded() -> None:
    decoded = decode(torch.tensor([0.0, 0, 80, 80]), torch.tensor([0.0, 0, 16, 16]), UNIT)
    assert decoded.isfinite().all()
    assert (decoded[2] - decoded[0]).item() == pytest.approx(1000, rel=1e-4) and LARGEST > 4.1


def test_as_torchvision_decodes() -> None:
    """Also what shrinks by more than the bound of what grows, which is not bounded."""
    generator = torch.Generator().manual_seed(0)
    deltas = 20 * torch.randn(100, 4, generator=generator)
    corner = 50 * torch.rand(100, 2, generator=generator)
    references = torch.cat([corner, corner + 1 + 40 * torch.rand(100, 2, generator=generator)], dim=1)
    weights = (10.0, 10.0, 5.0, 5.0)
    assert (deltas[:, 2:] / 5).min() < -LARGEST and (deltas[:, 2:] / 5).max() > LARGEST
    expected = BoxCoder(weights).decode_single(deltas, references)
    torch.testing.assert_close(decode(deltas, references, weights), expected, rtol=1e-5, atol=1e-4)
