"""Learning-rate schedules over the whole length of a run, advanced after every step."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vision_apps.core.errors import ConfigError


def _warmup(
    optimizer: Optimizer, total_steps: int, warmup: float, fall: Callable[[float], float]
) -> LambdaLR:
    """Linear rise, then ``fall`` of the share of the rest that is done, in [0, 1]. `ConfigError` where
    ``warmup`` is no share."""
    if not 0 <= warmup <= 1:
        raise ConfigError(f"scheduler.warmup: expected a share of all steps, from 0 to 1, got {warmup:g}")
    rise = max(1, round(total_steps * warmup))

    def factor(step: int) -> float:
        done = min(1.0, max(0.0, (step + 1 - rise) / max(1, total_steps - rise)))
        return (step + 1) / rise if step + 1 < rise else fall(done)

    return LambdaLR(optimizer, factor)


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, final: float = 0.01
) -> LambdaLR:
    """Linear rise over the first ``warmup`` of all steps, then half a cosine down to ``final`` times the rate
    (Loshchilov and Hutter 2017, without restarts)."""
    half = lambda done: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))  # noqa: E731
    return _warmup(optimizer, total_steps, warmup, half)


def warmup_linear(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.2, final: float = 0.0
) -> LambdaLR:
    """Linear rise over the first ``warmup`` of all steps, then a straight line down to ``final`` times the
    rate."""
    return _warmup(optimizer, total_steps, warmup, lambda done: 1 - (1 - final) * done)
