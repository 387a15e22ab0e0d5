"""When a file counts as the same as its network."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.core.errors import RunError
from vision_apps.export import parity
from vision_apps.export.parity import FLOATS, WHOLE, Difference

NUMBERS = st.floats(-1e6, 1e6, width=32)
PAIRS = st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), min_size=1, max_size=3)


def compared(one: Any, other: Any, dtype: torch.dtype = torch.float32, **settings: Any) -> Difference:
    difference = Difference("x", **settings)
    difference.update(torch.tensor(one, dtype=dtype), torch.tensor(other, dtype=dtype))
    return difference


@given(PAIRS)
def test_floats_by_their_largest_difference(parts: list[list[tuple[float, float]]]) -> None:
    difference = Difference("x")
    for part in parts:
        one, other = torch.tensor(part).T
        difference.update(one, other)
    pairs = np.array([pair for part in parts for pair in part])
    apart = abs(pairs[:, 0] - pairs[:, 1])
    assert difference.largest == apart.max()
    assert difference.differing == np.count_nonzero(apart)
    assert difference.values == len(pairs)
    assert difference.good == (apart.max() <= 1e-4 * max(1, abs(pairs[:, 0]).max()))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3000))
def test_whole_numbers_by_how_many_differ(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=np.uint8).T
    difference = compared(one, other, torch.uint8)
    apart = abs(one.astype(int) - other.astype(int))  # and not modulo 256
    assert (difference.largest, difference.differing) == (apart.max(), np.count_nonzero(apart))
    assert difference.good == (np.mean(apart != 0) <= 1e-3)


@pytest.mark.parametrize(("wrong", "good"), [(0, True), (1, True), (2, False)])
def test_of_a_thousand_whole_numbers_one_may_differ(wrong: int, good: bool) -> None:
    other = [1] * wrong + [0] * (1000 - wrong)
    assert compared([0] * 1000, other, torch.int64).good is good
    assert compared([0] * 1000, other, torch.int64, exact=True).good is (wrong == 0)


@pytest.mark.parametrize(
    ("one", "other", "good"),
    [
        ([0.0, 1.0], [0.0, 1.0 + FLOATS / 2], True),
        ([0.0, 1.0], [0.0, 1.0 + FLOATS * 2], False),
        ([0.0, 1000.0], [0.05, 1000.0], True),  # relative to the largest of the output, not to the value
        ([0.0, 0.001], [0.0, 0.001 + FLOATS / 2], True),  # but at least to 1
        ([float("nan")], [1.0], False),
        ([1.0], [float("nan")], False),
        ([float("nan")], [float("nan")], False),  # a network that answers so is not fit to be exported
        ([1.0], [float("inf")], False),
        ([float("inf")], [1.0], False),  # an infinite value does not allow an infinite difference
        ([float("inf"), 1.0], [float("inf"), 1.0], False),
        ([], [], True),
    ],
)
def test_what_is_good(one: list[float], other: list[float], good: bool) -> None:
    assert compared(one, other).good is good


def test_only_the_same_is_exact() -> None:
    assert compared([0.5, 1.0], [0.5, 1.0], exact=True).good
    bad = compared([0.5, 1.0], [0.5, 1.0000001], exact=True)
    assert not bad.good
    assert str(bad) == "x: 1 of 2 values differ (allowed: none)"


def test_in_words() -> None:
    assert str(compared([0.0, 20.0], [0.0, 20.5])) == "x: largest difference 0.5 (allowed: 0.002)"
    assert str(compared([0, 7, 3], [0, 7, 5], torch.int64)) == (
        f"x: 1 of 3 values differ, by at most 2 (allowed: {WHOLE:.1%} of them)"
    )


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (torch.zeros(2, 3), r"torch.float32 \[3, 2\], the file torch.float32 \[2, 3\]"),
        (torch.zeros(3, 1), r"\[3, 2\], the file torch.float32 \[3, 1\]"),  # would be spread over the others
        (torch.zeros(3, 2, dtype=torch.float64), r"the file torch.float64 \[3, 2\]"),
    ],
)
def test_another_shape_or_type_is_an_error(other: Tensor, told: str) -> None:
    with pytest.raises(RunError, match=rf"does not answer as the network does: scores: .*{told}"):
        Difference("scores").update(torch.zeros(3, 2), other)


def test_two_are_joined() -> None:
    one, other = compared([1.0, 2.0], [1.0, 2.5]), compared([5.0], [5.25])
    one.join(other)
    assert one == compared([1.0, 2.0, 5.0], [1.0, 2.5, 5.25])
    one.join(compared([0.0], [3.0]))
    assert (one.largest, one.magnitude, one.differing, one.values) == (3.0, 5.0, 3, 4)


def test_larger_pictures_are_mirrored() -> None:
    images = torch.arange(3 * 3 * 8 * 6, dtype=torch.uint8).reshape(3, 3, 8, 6)
    larger = parity.larger(images)
    assert larger.shape == (2, 3, 10, 9)
    assert torch.equal(larger[..., :8, :6], images[:2])
    assert torch.equal(larger[..., :8, 6:], images[:2, :, :, [5, 4, 3]])
    assert torch.equal(larger[..., 8:, :], larger[..., [7, 6], :])


def test_few_pictures_are_repeated() -> None:
    images = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 3, 4, 4)
    repeated = parity.Samples(tiny.Batch(images), "somewhere", True).images
    assert repeated[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_every_picture_by_itself_and_all_together() -> None:
    module = tiny.Tiny(tiny.Net(), tiny.NAMES).eval()
    sizes: list[int] = []

    def graph(images: Tensor) -> tuple[Tensor, ...]:
        sizes.append(len(images))
        scores, chosen = module.graph(images)
        return scores + 0.25 * (len(images) == 8), chosen  # wrong in a batch only

    images = torch.randint(256, (8, 3, 8, 8), dtype=torch.uint8)
    scores, chosen = parity.of_graph(module, graph, ("scores", "chosen"), images)
    assert sizes == [1] * 8 + [8]
    assert (scores.name, scores.values, scores.good) == ("scores", 32, False)
    assert scores.largest == pytest.approx(0.25)
    assert (chosen.name, chosen.values, chosen.differing, chosen.good) == ("chosen", 16, 0, True)
