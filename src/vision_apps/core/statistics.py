"""A few runs with different seeds as one figure."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

LEVEL = 0.95  # of every interval


class Summary(NamedTuple):
    """Of values that differ by seed; no spread can be told from one."""

    n: int
    mean: float
    std: float | None  # with n - 1
    low: float | None  # Student's interval of the mean, 95 %
    high: float | None

    @property
    def spread(self) -> str:
        """``mean ± std [low, high]``, the mean alone where there is no spread."""
        mean = f"{self.mean:.4g}"
        return mean if self.std is None else f"{mean} ± {self.std:.2g} [{self.low:.4g}, {self.high:.4g}]"

    def __str__(self) -> str:
        return f"{self.spread}, n = {self.n}"


def summarize(values: Sequence[float]) -> Summary:
    """Mean, standard deviation and Student's interval of the mean ("The probable error of a mean", 1908): of
    normal values it covers the true mean in 95 of 100 cases, from two values on. One value that is not finite
    makes the mean NaN and leaves no spread."""
    mean = statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan
    if len(values) < 2 or math.isnan(mean):
        return Summary(len(values), mean, None, None, None)
    std = statistics.stdev(values)
    half = quantile(len(values)) * std / math.sqrt(len(values))
    return Summary(len(values), mean, std, mean - half, mean + half)


def quantile(n: int, intervals: int = 1) -> float:
    """How many standard errors an interval of the mean of ``n`` values reaches to either side, so that 95 of
    100 times all of so many ``intervals`` together cover what they should (Student's t, Bonferroni)."""
    from scipy.special import stdtrit

    return float(-stdtrit(n - 1, (1 - LEVEL) / 2 / intervals))
