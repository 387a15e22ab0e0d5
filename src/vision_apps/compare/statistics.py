"""Means over seeds, and how sure they are."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RESAMPLES = 9999
LEVEL = 0.95
_ROUNDING = 1e-9  # relative; differences that are equal but for rounding have no spread
FEW = 5  # with fewer seeds an interval is too narrow and a p-value says little


class Summary(NamedTuple):
    """Of one value per seed."""

    values: tuple[float, ...]
    mean: float
    std: float | None  # of the sample, n - 1 below; None with one value
    low: float | None  # percentile bootstrap of the mean, 95 %
    high: float | None

    @property
    def n(self) -> int:
        return len(self.values)


class Pair(NamedTuple):
    """One configuration against another one, over the seeds that both have."""

    n: int
    difference: float  # mean of theirs minus the other's
    low: float | None
    high: float | None
    p: float | None  # None where the differences do not vary
    holm: float | None  # p, corrected for the number of comparisons of this metric


def summarise(columns: Mapping[str, Sequence[float]]) -> dict[str, Summary]:
    """Per metric its values over seeds, summarised. A value that is not finite makes the mean so, and leaves
    no interval.

    The interval is that of ``scipy.stats.bootstrap((values,), np.mean, n_resamples=9999,
    method="percentile", rng=0)``.
    """
    intervals = _intervals(columns)
    return {
        name: Summary(tuple(values), _mean(values), _std(values), *intervals.get(name, (None, None)))
        for name, values in columns.items()
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


def _std(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _intervals(columns: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    by_length: dict[int, list[str]] = defaultdict(list)
    for name, values in columns.items():
        if len(values) > 1 and all(map(math.isfinite, values)):
            by_length[len(values)].append(name)
    if not by_length:
        return {}
    import numpy as np
    from scipy.stats import bootstrap  # 0.8 s, so only where there are seeds

    intervals: dict[str, tuple[float, float]] = {}
    for names in by_length.values():  # of the same number of values: they are resampled alike, at once
        found = bootstrap(
            (np.array([columns[name] for name in names]),),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method="percentile",
            rng=0,
            axis=-1,
        ).confidence_interval
        intervals |= {
            name: (float(low), float(high))
            for name, low, high in zip(names, found.low, found.high, strict=True)
        }
    return intervals


def against(ours: Sequence[Mapping[Any, float]], theirs: Mapping[Any, float]) -> list[Pair | None]:
    """Several configurations against one, paired by seed: mean difference, its interval, Student's paired
    t-test, and Holm's correction for their number (Holm 1979, "A simple sequentially rejective multiple test
    procedure").

    Args:
        ours: per configuration, seed to value.
        theirs: seed to value of the one.

    Returns:
        Per configuration the result; None where fewer than two seeds are common.
    """
    pairs = [_pair(one, theirs) for one in ours]
    corrected = iter(holm([pair.p for pair in pairs if pair is not None and pair.p is not None]))
    return [pair if pair is None or pair.p is None else pair._replace(holm=next(corrected)) for pair in pairs]


def _pair(ours: Mapping[Any, float], theirs: Mapping[Any, float]) -> Pair | None:
    seeds = [seed for seed in ours if seed in theirs]
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    if len(seeds) < 2 or not all(map(math.isfinite, differences)):
        return None
    from scipy.stats import ttest_rel

    summary = summarise({"": differences})[""]
    varies = max(differences) - min(differences) > _ROUNDING * max(map(abs, differences))
    p = ttest_rel([ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]).pvalue if varies else None
    return Pair(len(seeds), summary.mean, summary.low, summary.high, None if p is None else float(p), None)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p-values, in the order of the given ones."""
    corrected = [0.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected
