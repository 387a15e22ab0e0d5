"""How a localization is scored."""

from collections.abc import Mapping

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryAccuracy, BinaryAveragePrecision

from vision_apps.applications.localization.types import LocalizationAnswer, MainObject
from vision_apps.core.mean import Mean
from vision_apps.networks.boxes import iou


class PresenceAveragePrecision(BinaryAveragePrecision):
    """Area under precision over recall of "there is an object"; None when no picture has one."""

    def compute(self) -> Tensor | None:  # type: ignore[override]  # its base class gives a curve
        targets = self.target if isinstance(self.target, list) else [self.target]
        return super().compute() if any(bool(part.any()) for part in targets) else None


def build() -> dict[str, Metric]:
    """``presence_accuracy`` and ``presence_ap`` over all pictures. Over those with an object, whether or not
    the answer says that there is one: ``class_accuracy``; ``mean_iou``; ``loc_accuracy``, the share where
    the class is right and IoU > 0.5 (Russakovsky et al. 2015, section 4.2); ``box_mse``, the mean squared
    error of x1, y1, x2, y2, each relative to the picture's width or height. None where no picture has one."""
    return {
        "loc_accuracy": Mean(),
        "mean_iou": Mean(),
        "class_accuracy": Mean(),
        "box_mse": Mean(),
        "presence_accuracy": BinaryAccuracy(validate_args=False),
        "presence_ap": PresenceAveragePrecision(validate_args=False),
    }


def update(
    metrics: Mapping[str, Metric], answer: LocalizationAnswer, truth: MainObject, sizes: Tensor
) -> None:
    """One batch of pictures of these ``sizes``, height and width, [B, 2]."""
    there = truth.labels >= 0
    metrics["presence_accuracy"].update(answer.presence, there.long())
    metrics["presence_ap"].update(answer.presence, there.long())
    found, wanted = answer.boxes[there], truth.boxes[there]
    overlap = iou(found, wanted)
    right = answer.probabilities[there].argmax(dim=1) == truth.labels[there]
    sides = sizes[there].flip(-1).repeat(1, 2)
    metrics["class_accuracy"].update(right)
    metrics["mean_iou"].update(overlap)
    metrics["loc_accuracy"].update(right & (overlap > 0.5))
    metrics["box_mse"].update(((found - wanted) / sides).square())
