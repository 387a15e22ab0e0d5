"""A few runs with different seeds as one figure."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_RESAMPLES = 9_999


class Summary(NamedTuple):
    """Of values that differ by seed; no spread can be told from one."""

    n: int
    mean: float
    std: float | None  # with n - 1
    low: float | None  # bootstrap interval of the mean, 95 %
    high: float | None

    @property
    def spread(self) -> str:
        """``mean ± std [low, high]``, the mean alone where there is no spread."""
        mean = f"{self.mean:.4g}"
        return mean if self.std is None else f"{mean} ± {self.std:.2g} [{self.low:.4g}, {self.high:.4g}]"

    def __str__(self) -> str:
        return self.spread if self.std is None else f"{self.spread}, n = {self.n}"


def summarize(values: Sequence[float]) -> Summary:
    """Mean, standard deviation and the percentile bootstrap interval of the mean (Efron 1979), the same in
    each call. With few seeds the interval is too narrow: of 3 seeds it covers their range at most. One value
    that is not finite makes the mean NaN and leaves no spread."""
    mean = statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan
    if len(values) < 2 or math.isnan(mean):
        return Summary(len(values), mean, None, None, None)
    drawn = np.random.default_rng(0).choice(np.asarray(values, float), (_RESAMPLES, len(values))).mean(1)
    low, high = map(float, np.percentile(drawn, (2.5, 97.5)))
    return Summary(len(values), mean, statistics.stdev(values), low, high)
