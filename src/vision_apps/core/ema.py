"""The exponential moving average of the weights, right from the first step on."""

import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from vision_apps.core.errors import ConfigError


class EMA(WeightAveraging):
    """Validates, tests and keeps the moving average of the weights (Polyak and Juditsky 1992) in place of the
    last ones; training goes on with the latter.

    Lightning's own starts from the untrained weights, of which a decay of 0.999 still holds a quarter after
    1,400 steps, and it averages counts as it does weights. Here step n keeps at most (1 + n) / (10 + n) of
    the average, and what is not a real number is taken as it is.

    Args:
        decay: share of the average that a step keeps: 0.999 looks back about a thousand steps.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"callbacks.ema.decay: {decay}; expected 0 or more and below 1, such as 0.999")
        self.decay = decay
        super().__init__(avg_fn=self.average)

    def average(self, averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        """The next average, where ``steps`` have been averaged before."""
        if not averaged.is_floating_point():
            return current
        kept = min(self.decay, (1 + int(steps)) / (10 + int(steps)))
        return torch.lerp(current, averaged, kept)
