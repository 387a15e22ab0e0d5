"""The mean against NumPy's in double precision."""

import numpy as np
import pytest
import torch

from vision_apps.core.mean import Mean


def test_it_is_over_all_values_of_all_updates() -> None:
    values = 1e6 + torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    metric = Mean()
    for part in (values[0, :1], values[0, 1:], values[1:]):
        metric.update(part)
    assert metric.compute().dtype == torch.float32
    assert metric.compute().item() == pytest.approx(np.mean(values.double().numpy()), rel=1e-7)


def test_truth_values_count_as_one_and_zero() -> None:
    metric = Mean()
    metric.update(torch.tensor([True, False, True, True]))
    assert metric.compute() == 0.75


def test_sums_are_kept_in_double_precision() -> None:
    """1 is lost in a single precision sum of 1e8, and 257 is no number of bfloat16."""
    metric = Mean()
    for value in (1e8, *[1.0] * 1000):
        metric.update(torch.tensor(value))
    assert metric.compute().item() == pytest.approx((1e8 + 1000) / 1001, rel=1e-7)
    metric.reset()
    metric.update(torch.ones(257, dtype=torch.bfloat16))
    assert metric.compute() == 1


def test_nothing_has_no_mean() -> None:
    metric = Mean()
    metric.update(torch.zeros(0))
    assert metric.compute() is None
    metric.update(torch.tensor([2.0, -2.0]))
    assert metric.compute() == 0, "a sum of nothing is not a sum of 0"


def test_states_of_processes_add_up() -> None:
    one, other, whole = Mean(), Mean(), Mean()
    one.update(torch.tensor([1.0, 2.0, 6.0]))
    other.update(torch.tensor([5.0]))
    whole.update(torch.tensor([1.0, 2.0, 6.0, 5.0]))
    one.merge_state(other)
    assert one.compute() == whole.compute() == 3.5
