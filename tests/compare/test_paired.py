"""Paired tests against scipy and by hand; their promises by simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from vision_apps.compare.paired import against_first, holm


def by_seed(values: np.ndarray) -> list[dict[str, float]]:
    """Configurations [k, n]."""
    return [{str(seed): float(value) for seed, value in enumerate(row)} for row in values]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.011, 0.2]) == pytest.approx([0.03, 0.03, 0.2])  # not .022: no smaller than the first
    assert holm([0.2, 0.011, 0.01]) == pytest.approx([0.2, 0.03, 0.03])
    assert holm([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@pytest.mark.parametrize(("k", "n"), [(2, 3), (4, 5), (5, 10)])
def test_against_scipy(k: int, n: int) -> None:
    values = np.random.default_rng(k).normal(0, 1, (k, n)) + np.arange(k)[:, None]
    found = against_first(by_seed(values))
    pairs = list(itertools.combinations(range(k), 2))
    p = [stats.ttest_rel(values[j], values[i]).pvalue for i, j in pairs]
    corrected = dict(zip(pairs, holm(p), strict=True))
    assert len(found) == k - 1
    for j, pair in enumerate(found, 1):
        other = stats.ttest_rel(values[j], values[0])
        interval = other.confidence_interval(1 - 0.05 / len(pairs))
        assert pair is not None and pair.n == n
        assert pair.difference == pytest.approx(np.mean(values[j] - values[0]))
        assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
        assert (pair.p, pair.holm) == pytest.approx((other.pvalue, corrected[0, j]), rel=1e-9)


def test_only_seeds_in_common_count() -> None:
    first = {"0": 0.1, "1": 0.4, "2": 0.2, "3": 0.9}
    others = [{"1": 0.5, "3": 1.2, "2": 0.2, "7": 9.0}, {"3": 0.8, "8": 0.1}, {}]
    pair, one, none = against_first([first, *others])
    assert one is None and none is None
    expected = stats.ttest_rel([0.5, 0.2, 1.2], [0.4, 0.2, 0.9])
    assert pair is not None and pair.n == 3
    assert (pair.p, pair.holm) == pytest.approx((expected.pvalue, expected.pvalue)), "the only pair"
    interval = expected.confidence_interval(0.95)
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high)), "the only pair"


def test_differences_that_do_not_vary_have_no_test() -> None:
    values = {"0": 0.1, "1": 0.2, "2": 0.3}
    shifted, same = against_first([values, {seed: value + 0.1 for seed, value in values.items()}, values])
    assert shifted is not None and shifted == (3, pytest.approx(0.1), None, None, None, None)
    assert same is not None and same == (3, 0.0, None, None, None, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_makes_no_pair(bad: float) -> None:
    good, broken = {"0": 0.1, "1": 0.2, "2": 0.4}, {"0": 0.3, "1": bad, "2": 0.1}
    assert against_first([good, broken]) == [None]
    assert against_first([broken, broken]) == [None]
    found = against_first([good, broken, {"0": 0.2, "1": 0.1, "2": 0.3}])
    assert found[0] is None and found[1] is not None
    assert found[1].p == found[1].holm, "what could not be tested is no further look"


def test_nothing_to_compare() -> None:
    assert against_first([{"0": 0.1, "1": 0.2}]) == []


STUDIES = 2000  # a share of .05 is known to .005 (one standard error)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_false_alarms_of_the_best_against_the_rest(k: int, n: int) -> None:
    """Configurations that do not differ, of which the best is compared with all others: in at most 5 % of
    simulated studies is anything called a difference, or left out by an interval. Without the correction it
    is in far more."""
    random = np.random.default_rng(100 * k + n)
    alarms = alone = missed = 0
    for _ in range(STUDIES):
        values = random.normal(0, 1, (k, n)) + random.normal(0, 2, n)  # some seeds are better for all
        values = values[np.argsort(-values.mean(1))]
        pairs = [pair for pair in against_first(by_seed(values)) if pair is not None]
        alarms += any(pair.holm < 0.05 for pair in pairs)  # type: ignore[operator]
        alone += any(pair.p < 0.05 for pair in pairs)  # type: ignore[operator]
        missed += any(not pair.low <= 0 <= pair.high for pair in pairs)  # type: ignore[operator]
    assert missed <= alarms <= 0.065 * STUDIES
    if k == 2:
        assert alarms == alone >= 0.035 * STUDIES  # one pair: exactly 5 %
    if k == 10:
        assert alone > 0.25 * STUDIES


def test_intervals_of_what_differs_cover_the_truth() -> None:
    """In at least 95 % of simulated studies all intervals do, whichever configuration came out best."""
    random = np.random.default_rng(0)
    truth = np.linspace(0, 2, 6)
    covered = 0
    for _ in range(STUDIES):
        values = truth[:, None] + random.normal(0, 1, (6, 4))
        order = np.argsort(-values.mean(1))
        pairs = zip(against_first(by_seed(values[order])), truth[order][1:] - truth[order][0], strict=True)
        covered += all(pair.low <= difference <= pair.high for pair, difference in pairs)  # type: ignore[union-attr, operator]
    assert covered >= 0.935 * STUDIES


def test_a_large_difference_is_found() -> None:
    random = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        values = random.normal(0, 1, (10, 5))
        values[0] += 12
        found += all(pair.holm < 0.05 for pair in against_first(by_seed(values)))  # type: ignore[union-attr, operator]
    assert found > 190 * 0.5
