"""The worst answers of an evaluation, against sorting all of them."""

from typing import NamedTuple

import hypothesis
import torch
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.core.worst import Worst


class Batch(NamedTuple):
    images: Tensor
    extra: Tensor | None = None


class Answer(NamedTuple):
    value: Tensor


def fed(values: list[float], sizes: list[int], count: int) -> Worst:
    worst, start = Worst(count), 0
    numbers = torch.arange(len(values))
    for size in sizes:
        rows = numbers[start : start + size]
        if len(rows):
            worst.update(torch.tensor(values)[rows], Batch(rows), Answer(-rows))
        start += size
    return worst


@hypothesis.given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=40, unique=True), st.integers(1, 7), st.integers(1, 9)
)
def test_it_keeps_what_sorting_all_would(values: list[int], size: int, count: int) -> None:
    kept = fed([float(v) for v in values], [size] * len(values), count).take()
    expected = sorted(range(len(values)), key=values.__getitem__)[:count]
    assert [judged.sample.images.tolist() for judged in kept] == [[row] for row in expected]
    assert [judged.answer.value.tolist() for judged in kept] == [[-row] for row in expected]
    assert [judged.quality for judged in kept] == sorted(values)[:count]
    assert all(judged.sample.extra is None for judged in kept)


def test_what_has_no_quality_is_passed_over() -> None:
    nan, inf = float("nan"), float("inf")
    kept = fed([nan, 2.0, nan, 1.0, inf], [2, 3], 3).take()
    assert [judged.sample.images.item() for judged in kept] == [3, 1, 4]
    assert fed([nan, nan], [1, 1], 3).take() == []


def test_taking_starts_anew() -> None:
    worst = fed([3.0, 1.0], [2], 1)
    assert len(worst.take()) == 1
    assert worst.take() == []
    worst.update(torch.tensor([9.0]), Batch(torch.tensor([7])), Answer(torch.tensor([7])))
    assert [judged.sample.images.item() for judged in worst.take()] == [7]


def test_batches_may_differ_in_length_and_size() -> None:
    worst = Worst(2)
    for size in (3, 5, 4):
        images, sequence = torch.zeros(2, 3, size, size), torch.arange(2 * size).view(2, size)
        worst.update(torch.tensor([float(size), 9.0]), Batch(images, sequence), Answer(sequence))
    assert [tuple(judged.answer.value.shape) for judged in worst.take()] == [(1, 3), (1, 4)]


def test_a_kept_sample_does_not_keep_its_batch() -> None:
    worst = Worst(1)
    worst.update(torch.tensor([1.0, 0.0]), Batch(torch.zeros(2, 1000)), Answer(torch.zeros(2, 5)))
    (kept,) = worst.take()
    assert kept.sample.images.untyped_storage().nbytes() == 4 * 1000
