"""A few runs with different seeds, or of different folds, as one figure."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

LEVEL = 0.95  # of every interval


class Summary(NamedTuple):
    """Of values that differ by seed or fold; no spread can be told from one."""

    n: int
    mean: float
    std: float | None  # with n - 1
    low: float | None  # Student's interval of the mean, 95 %
    high: float | None

    @property
    def spread(self) -> str:
        """``mean ± std [low, high]``, without what there is not."""
        mean = f"{self.mean:.4g}"
        if self.std is None:
            return mean
        interval = "" if self.low is None else f" [{self.low:.4g}, {self.high:.4g}]"
        return f"{mean} ± {self.std:.2g}{interval}"

    def __str__(self) -> str:
        return f"{self.spread}, n = {self.n}"


def summarize(values: Sequence[float], folds: int | None = None) -> Summary:
    """Mean, standard deviation and Student's interval of the mean ("The probable error of a mean", 1908): of
    normal values it covers the true mean in 95 of 100 cases, from two values on. One value that is not finite
    makes the mean NaN and leaves no spread.

    Args:
        folds: the values are of different ones of so many folds, whose runs share training samples; the
            interval is as wide as `variance_of_mean` says.
    """
    mean = statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan
    if len(values) < 2 or math.isnan(mean):
        return Summary(len(values), mean, None, None, None)
    std = statistics.stdev(values)
    half = quantile(len(values)) * std * math.sqrt(variance_of_mean(len(values), folds))
    return Summary(len(values), mean, std, mean - half, mean + half)


def variance_of_mean(n: int, folds: int | None = None) -> float:
    """The variance of the mean of ``n`` values in units of theirs: 1/n where they are independent. Those of
    cross-validation are not, and nothing that is computed from them estimates it without bias (Bengio and
    Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", 2004); the corrected
    resampled t-test of Nadeau and Bengio ("Inference for the generalization error", 2003) takes
    1/n + n2/n1, with n2 samples tested and n1 others: 1/(k - 1) of k folds."""
    return 1 / n + (1 / (folds - 1) if folds else 0.0)


def quantile(n: int, intervals: int = 1) -> float:
    """How many standard errors an interval of the mean of ``n`` values reaches to either side, so that 95 of
    100 times all of so many ``intervals`` together cover what they should (Student's t, Bonferroni)."""
    from scipy.special import stdtrit

    return float(-stdtrit(n - 1, (1 - LEVEL) / 2 / intervals))
