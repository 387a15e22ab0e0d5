"""One configuration against another, paired by seed."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vision_apps.core.statistics import summarize

FEW = 5  # with fewer seeds an interval is too narrow and a p-value says little
_ROUNDING = 1e-9  # relative; differences that are equal but for rounding have no spread


class Pair(NamedTuple):
    """One configuration against another one, over the seeds that both have."""

    n: int  # seeds
    difference: float  # mean of theirs minus the other's
    low: float | None
    high: float | None
    p: float | None  # None where the differences do not vary
    holm: float | None  # p, corrected for the number of comparisons of this metric


def against(ours: Sequence[Mapping[str, float]], theirs: Mapping[str, float]) -> list[Pair | None]:
    """Several configurations (each seed to value) against one, paired by seed: mean difference, its interval,
    Student's paired t-test, and Holm's correction for their number (Holm 1979, "A simple sequentially
    rejective multiple test procedure"). None where fewer than two seeds are common, or a value is not
    finite."""
    pairs = [_pair(one, theirs) for one in ours]
    corrected = iter(holm([pair.p for pair in pairs if pair is not None and pair.p is not None]))
    return [pair if pair is None or pair.p is None else pair._replace(holm=next(corrected)) for pair in pairs]


def _pair(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Pair | None:
    seeds = [seed for seed in ours if seed in theirs]
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    if len(seeds) < 2 or not all(map(math.isfinite, differences)):
        return None
    from scipy.stats import ttest_rel

    found = summarize(differences)
    varies = max(differences) - min(differences) > _ROUNDING * max(map(abs, differences))
    p = ttest_rel([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]).pvalue if varies else None
    return Pair(len(seeds), found.mean, found.low, found.high, None if p is None else float(p), None)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected by Holm's step-down procedure, in the order of the given ones."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected
