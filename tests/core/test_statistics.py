"""Few values as one figure, against scipy, by hand, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from vision_apps.core.statistics import quantile, summarize


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_against_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 0.05, n).tolist()
    found = summarize(values)
    assert (found.n, found.mean) == (n, pytest.approx(np.mean(values)))
    assert found.std == pytest.approx(np.std(values, ddof=1))
    other = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), rel=1e-9)


def test_one_value_has_no_spread() -> None:
    assert summarize([2.0]) == (1, 2.0, None, None, None)
    assert str(summarize([2.0])) == "2, n = 1"


def test_two_values_say_little() -> None:
    found = summarize([1.0, 3.0])
    assert found.std == pytest.approx(math.sqrt(2))
    assert (found.low, found.high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)
    assert str(found) == "2 ± 1.4 [-10.71, 14.71], n = 2"


def test_what_is_not_finite_has_no_spread() -> None:
    found = summarize([1.0, math.nan, 2.0])
    assert math.isnan(found.mean) and found[2:] == (None, None, None)
    assert math.isnan(summarize([1.0, math.inf]).mean)


def test_quantiles_of_a_table() -> None:
    """Student's t, two-sided: every textbook has these."""
    assert [quantile(n) for n in (3, 5, 10)] == pytest.approx([4.3027, 2.7764, 2.2622], abs=1e-4)
    assert quantile(5, 5) == pytest.approx(4.6041, abs=1e-4)  # 99 %


SIMULATED = 4000  # a share of .95 is known to .0034 (one standard error)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("kind", ["normal", "accuracy", "uniform"])
def test_the_interval_covers_the_mean_as_often_as_it_says(n: int, kind: str) -> None:
    """In 95 % of simulated studies of ``n`` seeds; a little less where values are far from normal and few."""
    random = np.random.default_rng(n)
    drawn, truth = {
        "normal": (random.normal(3, 2, (SIMULATED, n)), 3),
        "uniform": (random.uniform(0, 1, (SIMULATED, n)), 0.5),
        # of 500 pictures, by networks that differ by a point
        "accuracy": (random.binomial(500, random.normal(0.9, 0.01, (SIMULATED, n))) / 500, 0.9),
    }[kind]
    found = [summarize(values) for values in drawn.tolist()]
    covered = sum(one.low <= truth <= one.high for one in found) / SIMULATED  # type: ignore[operator]
    assert (0.91 if kind == "uniform" else 0.938) < covered < 0.962
