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
    assert kept is not None
    expected = sorted(range(len(values)), key=values.__getitem__)[:count]
    assert kept[0].images.tolist() == expected
    assert kept[1].value.tolist() == [-row for row in expected]
    assert kept[0].extra is None


def test_what_has_no_quality_is_passed_over() -> None:
    nan = float("nan")
    kept = fed([nan, 2.0, nan, 1.0], [2, 2], 3).take()
    assert kept is not None and kept[0].images.tolist() == [3, 1]
    assert fed([nan, nan], [1, 1], 3).take() is None


def test_taking_starts_anew() -> None:
    worst = fed([3.0, 1.0], [2], 1)
    assert worst.take() is not None
    assert worst.take() is None
    worst.update(torch.tensor([9.0]), Batch(torch.tensor([7])), Answer(torch.tensor([7])))
    kept = worst.take()
    assert kept is not None and kept[0].images.tolist() == [7]
