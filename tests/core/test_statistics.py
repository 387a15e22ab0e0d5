"""Few values as one figure, against scipy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from vision_apps.core.statistics import summarize


def test_against_scipy() -> None:
    values = [0.31, 0.42, 0.37, 0.5, 0.44]
    found = summarize(values)
    assert (found.n, found.mean) == (5, pytest.approx(np.mean(values)))
    assert found.std == pytest.approx(np.std(values, ddof=1))
    other = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=99_999, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == (
        pytest.approx(other.low, abs=2e-3),
        pytest.approx(other.high, abs=2e-3),
    )
    assert summarize(values) == found


def test_one_value_has_no_spread() -> None:
    assert summarize([2.0]) == (1, 2.0, None, None, None)
    assert str(summarize([2.0])) == "2"


def test_two_values_are_their_own_interval() -> None:
    found = summarize([1.0, 3.0])
    assert (found.low, found.high) == (1.0, 3.0)
    assert found.std == pytest.approx(math.sqrt(2))
    assert str(found) == "2 ± 1.4 [1, 3], n = 2"
