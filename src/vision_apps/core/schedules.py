"""Learning-rate schedules over the whole length of a run, advanced after every step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def _warmup(step: int, total_steps: int, warmup: float) -> tuple[float, float]:
    """Fractions of the warm-up and of the rest that are done at ``step``, each in [0, 1]."""
    rise = max(1, round(total_steps * warmup))
    return min(1.0, (step + 1) / rise), min(1.0, max(0.0, (step + 1 - rise) / max(1, total_steps - rise)))


def warmup_cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, final: float = 0.01
) -> LambdaLR:
    """Linear rise over the first ``warmup`` of all steps, then half a cosine down to ``final`` times the rate
    (Loshchilov and Hutter 2017, without restarts)."""

    def factor(step: int) -> float:
        rise, fall = _warmup(step, total_steps, warmup)
        return rise if rise < 1 else final + (1 - final) * 0.5 * (1 + math.cos(math.pi * fall))

    return LambdaLR(optimizer, factor)


def warmup_linear(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.2, final: float = 0.0
) -> LambdaLR:
    """Linear rise over the first ``warmup`` of all steps, then a straight line down to ``final`` times the
    rate."""

    def factor(step: int) -> float:
        rise, fall = _warmup(step, total_steps, warmup)
        return rise if rise < 1 else 1 - (1 - final) * fall

    return LambdaLR(optimizer, factor)
