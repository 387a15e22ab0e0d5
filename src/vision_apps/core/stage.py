"""What one evaluation measures, from its first batch to its last."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from vision_apps.core.fields import AnswerT, BatchT
from vision_apps.core.losses import Sums
from vision_apps.core.presentation import Row
from vision_apps.core.worst import Worst

Metrics = MetricCollection | Mapping[str, Metric]


class Stage(Generic[BatchT, AnswerT]):
    """The losses, metrics and worst answers of a validation or a test.

    Args:
        build: new metrics, for the network and for each baseline.
        more: metrics of the network alone.
    """

    def __init__(
        self,
        build: Callable[[], Metrics],
        device: torch.device,
        more: Mapping[str, Metric] = MappingProxyType({}),
    ) -> None:
        self.build = build
        self.more = more
        self.device = device
        self.losses = Sums()
        self.worst: Worst[BatchT, AnswerT] = Worst()
        self.figures: dict[str, Tensor] = {}  # of the evaluation that has ended last, uint8 [3, h, w] by name
        self.tables: dict[str, list[Row]] = {}  # of the same
        self._metrics: dict[str, Metrics] = {}

    def metrics(self, of: str = "") -> Metrics:
        """Of the network, or of the baseline of that name; made at first use."""
        if of not in self._metrics:
            built = self.build()
            if not of and isinstance(built, MetricCollection):
                built.add_metrics(dict(self.more))
            elif not of:
                built = {**dict(built.items()), **self.more}
            for metric in built.values():
                metric.to(self.device)
            self._metrics[of] = built
        return self._metrics[of]

    def compute(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Scalars to log, with ``<baseline>/`` before the names of a baseline's and without what the data do
        not define (None); and all that the network's metrics computed, by name. Over all processes."""
        scalars = self.losses.values()
        measured: dict[str, Any] = {}
        for of, metrics in self._metrics.items():
            if isinstance(metrics, MetricCollection):
                computed: dict[str, Any] = metrics.compute()
            else:
                computed = {name: metric.compute() for name, metric in metrics.items()}
            if not of:
                measured = computed
            for name, value in computed.items():
                one = isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
                if one:
                    scalars[f"{of}/{name}" if of else name] = value
        return scalars, measured

    def restart(self) -> None:
        self.losses.restart()
        for metrics in self._metrics.values():
            for metric in metrics.values():
                metric.reset()
