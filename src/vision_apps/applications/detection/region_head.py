"""The last layers of a region detector: which class a region shows, and where exactly."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.core.errors import ConfigError


class HeadOutputs(NamedTuple):
    features: Tensor  # float32 [N, D], what the last layers see
    logits: Tensor  # float32 [N, K + 1], background last
    deltas: Tensor | None  # float32 [N, K, 4], None without box regression


class Head(nn.Module):
    """Fully connected layers, then a softmax over the classes and background, and box offsets for each class
    (Girshick 2015, section 2.1).

    With ``classifier=svm`` the regions are scored by linear SVMs and moved by ridge regressions instead, as
    in R-CNN, once `stage2` has fitted both; before, and in the loss, the softmax and its offsets serve.

    Args:
        hidden: width of the hidden layers.
        layers: how many of them.
        dropout: after each, in training.
        classifier: ``softmax`` or ``svm``.
        box_regression: without it regions stay where they were proposed.
    """

    svm_weight: Tensor
    svm_bias: Tensor
    ridge_weight: Tensor
    ridge_bias: Tensor
    fitted: Tensor

    def __init__(
        self,
        hidden: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        classifier: str = "softmax",
        box_regression: bool = True,
    ) -> None:
        super().__init__()
        if classifier not in ("softmax", "svm"):
            raise ConfigError(f"model.head.classifier: {classifier!r}, expected softmax or svm")
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self.classifier, self.box_regression = classifier, box_regression

    def connect(self, inputs: int, num_classes: int) -> None:
        """Build the layers for regions of ``inputs`` features."""
        self.num_classes = num_classes
        stack: list[nn.Module] = []
        for _ in range(self.layers):
            stack += [nn.Linear(inputs, self.hidden), nn.ReLU(inplace=True), nn.Dropout(self.dropout)]
            inputs = self.hidden
        self.stack = nn.Sequential(*stack)
        self.classes = nn.Linear(inputs, num_classes + 1)
        if self.box_regression:
            self.boxes = nn.Linear(inputs, 4 * num_classes)
        if self.classifier == "svm":
            self.register_buffer("svm_weight", torch.zeros(num_classes, inputs))
            self.register_buffer("svm_bias", torch.zeros(num_classes))
            self.register_buffer("ridge_weight", torch.zeros(4 * num_classes, inputs))
            self.register_buffer("ridge_bias", torch.zeros(4 * num_classes))
            self.register_buffer("fitted", torch.tensor(False))

    def forward(self, regions: Tensor) -> HeadOutputs:
        """Features of regions [N, C, h, w]."""
        features = self.stack(regions.flatten(1))
        logits = self.classes(features).float()
        deltas = (
            self.boxes(features).float().reshape(-1, self.num_classes, 4) if self.box_regression else None
        )
        return HeadOutputs(features.float(), logits, deltas)

    def decide(self, outputs: HeadOutputs) -> tuple[Tensor, Tensor | None]:
        """Scores 0..1 [N, K] and offsets [N, K, 4]. Three times an SVM's margin goes through the logistic
        function: the order stays, and what is on the safe side of background falls below 0.05."""
        if self.classifier == "softmax" or not self.fitted:
            return outputs.logits.softmax(dim=1)[:, :-1], outputs.deltas
        scores = (3 * F.linear(outputs.features, self.svm_weight, self.svm_bias)).sigmoid()
        if not self.box_regression:
            return scores, None
        deltas = F.linear(outputs.features, self.ridge_weight, self.ridge_bias)
        return scores, deltas.reshape(-1, self.num_classes, 4)
