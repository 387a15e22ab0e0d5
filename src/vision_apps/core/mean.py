"""The mean of what is measured of each sample."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """The mean of all values; None when there are none, for instance no picture with an object."""

    # torchmetrics' MeanMetric adds up in single precision, which loses what is below 6e-8 of the sum, gives
    # NaN for nothing, and waits for the device in each update to look for NaN

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Numbers or truth values of any shape."""
        self.total += values.double().sum()
        self.count += values.numel()

    def compute(self) -> Tensor | None:
        return (self.total / self.count).float() if self.count else None
