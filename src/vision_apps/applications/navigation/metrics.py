"""What is measured of paths, over any batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric

from vision_apps.applications.navigation.path_metrics import Walks, evaluate

NAMES = (
    *("success", "spl", "oracle_success", "navigation_error", "trajectory_length"),
    *("ndtw", "sdtw", "cls"),
)


class PathMetrics(Metric):
    """The mean over the episodes of all that `path_metrics.evaluate` says.

    Args:
        threshold: nearer to the goal is arrived, in the unit of the distances: 3 m in buildings.
    """

    full_state_update = False
    sums: Tensor
    episodes: Tensor

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.add_state("sums", torch.zeros(len(NAMES), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("episodes", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, walks: Walks) -> None:
        found = evaluate(walks, self.threshold)
        self.sums += torch.stack([found[name].sum() for name in NAMES])
        self.episodes += len(walks.sizes)

    def compute(self) -> dict[str, Tensor]:
        means = (self.sums / self.episodes).float()
        return dict(zip(NAMES, means, strict=True))
