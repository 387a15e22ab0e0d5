"""Configurations against one of them, paired by seed or fold."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vision_apps.core.statistics import quantile, variance_of_mean

FEW = 5  # with fewer seeds or folds only differences that are large against their spread are found
_ROUNDING = 1e-9  # relative; differences that are equal but for rounding have no spread


class Pair(NamedTuple):
    """One configuration against another one, over the seeds or folds that both have."""

    n: int  # of them
    difference: float  # mean of theirs minus the other's
    # of the difference; these intervals of all pairs together cover the truth in 95 of 100 comparisons
    low: float | None  # None where the differences do not vary, as the p-values
    high: float | None
    p: float | None  # of this pair alone
    holm: float | None  # corrected for having looked at all pairs


def against_first(
    values: Sequence[Mapping[str, float]], folds: Sequence[int | None] | None = None
) -> list[Pair | None]:
    """All configurations but the first (each seed to value) against the first, paired by seed: mean
    difference, Student's paired t-test and interval.

    Of cross-validated configurations the keys are folds, and ``folds`` says of each configuration how many
    its samples were cut into: the test is the corrected resampled t-test (`statistics.variance_of_mean`).

    The first may be the one that turned out best: which pair is looked at was then chosen by the values, and
    the chance to find a difference by luck is that of all pairs among the configurations. P-values (Holm
    1979, "A simple sequentially rejective multiple test procedure") and intervals (Bonferroni) are corrected
    for the number of all these. None where fewer than two seeds are common, or a value is not finite.
    """
    from scipy.special import stdtr

    seeds = list(dict.fromkeys(seed for one in values for seed in one))
    table = np.array([[one.get(seed, 0.0) for seed in seeds] for one in values], float)
    there = np.array([[seed in one for seed in seeds] for one in values], bool)
    first, second = np.triu_indices(len(values), 1)  # the first one's pairs come first
    common = there[first] & there[second]
    n = common.sum(1)
    cut = [(folds or [None] * len(values))[i] for i in second.tolist()]  # keys in common are of as many folds
    share = np.array(
        [variance_of_mean(count, k) if count else np.nan for count, k in zip(n, cut, strict=True)]
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        differences = np.where(common, table[second] - table[first], 0.0)
        mean = differences.sum(1) / n
        error = np.sqrt((np.where(common, differences - mean[:, None], 0.0) ** 2).sum(1) / (n - 1) * share)
    # not so where n is below 2 or a value is not finite, which make the error NaN
    varies = error > _ROUNDING * np.abs(differences).max(1, initial=0.0)
    p, corrected = np.ones((2, len(n)))
    p[varies] = 2 * stdtr(n[varies] - 1, -np.abs(mean[varies] / error[varies]))
    corrected[varies] = holm(p[varies].tolist())
    found: list[Pair | None] = []
    columns = (column[: len(values) - 1].tolist() for column in (n, mean, error, varies, p, corrected))
    for count, middle, deviation, told, *chances in zip(*columns, strict=True):
        if told:
            half = quantile(count, int(varies.sum())) * deviation
            found.append(Pair(count, middle, middle - half, middle + half, *chances))
        else:
            constant = count > 1 and math.isfinite(middle)
            found.append(Pair(count, middle, None, None, None, None) if constant else None)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected by Holm's step-down procedure, in the order of the given ones."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected
