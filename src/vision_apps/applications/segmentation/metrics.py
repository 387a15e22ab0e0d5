"""How well masks agree: everything from counts that are summed over the data set, so that the batch size has
no part in it."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from vision_apps.core.class_names import scalar_names
from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.errors import DataError

BOUNDARY = 0.02  # of the diagonal: Cheng et al. 2021
LARGEST_LIST = 40  # classes whose figures are logged one by one


class MaskAgreement(Metric):
    """Mean intersection over union and its relatives, from one confusion matrix over all pixels that count.

    ``compute`` gives ``miou``, ``dice``, ``accuracy`` (share of right pixels), ``boundary_iou``,
    ``iou_<class>`` for up to 40 classes, and ``confusion`` (int64 [K, K], rows are the truth). The means go
    over the classes that the truth or the answers have; a class that neither has is left out, and so is its
    ``iou_<class>``.

    The boundary IoU is that of the pixels of a class within 2 % of the image's diagonal, at least one pixel,
    of another class or of the image's border (Cheng et al. 2021, section 4.1), summed per class over the data
    set. The border of an ignored area is no boundary.
    """

    full_state_update = False
    confusion: Tensor
    boundary_both: Tensor
    boundary_either: Tensor

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = list(class_names)
        classes = len(class_names)
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")
        for name in ("boundary_both", "boundary_either"):
            self.add_state(name, torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, answer: Tensor, truth: Tensor) -> None:
        """uint8 [B, H, W] each; the truth may have 255, ignored. `DataError` where the truth has another
        value that is no class.
        """
        classes = len(self.class_names)
        self.confusion += confusion(answer, truth, classes)
        width = boundary_width(truth.shape[-2], truth.shape[-1])
        both, of_truth, of_answer = boundary_counts(answer, truth, classes, width)
        self.boundary_both += both
        self.boundary_either += of_truth + of_answer - both

    def compute(self) -> dict[str, Tensor]:
        counts = self.confusion.double()
        right = counts.diagonal()
        ious, present = class_ious(counts)
        dices = 2 * right / (counts.sum(0) + counts.sum(1)).clamp_min(1)
        edges = self.boundary_both.double() / self.boundary_either.clamp_min(1)
        values = {
            "miou": _mean(ious, present),
            "dice": _mean(dices, present),
            "accuracy": right.sum() / counts.sum().clamp_min(1),
            "boundary_iou": _mean(edges, self.boundary_either > 0),
        }
        if len(ious) <= LARGEST_LIST:
            names = scalar_names(self.class_names)
            there = present.tolist()
            values |= {
                f"iou_{name}": iou for name, iou, is_there in zip(names, ious, there, strict=True) if is_there
            }
        return {name: value.float() for name, value in values.items()} | {"confusion": self.confusion}


def confusion(answer: Tensor, truth: Tensor, classes: int) -> Tensor:
    """How many pixels of each true class (row) were given each class (column): int64 [K, K].

    Args:
        answer, truth: uint8 of equal shape; pixels whose truth is 255 do not count.

    Raises:
        DataError: the truth has another value that is no class.
    """
    # torchmetrics' function takes 2.5 to 20 times as long; where torch is to be deterministic, it needs 8 K^2
    # bytes a pixel and loses values that are no class
    pairs = (truth.long() * classes).add_(answer)
    counts = torch.bincount(pairs.flatten(), minlength=256 * classes).reshape(256, classes)
    outside = counts[classes:IGNORE_INDEX].any(dim=1)
    if outside.any():
        value = classes + int(outside.nonzero()[-1])
        raise DataError(
            f"masks: the value {value} is no class; expected 0 to {classes - 1}, or "
            f"{IGNORE_INDEX} for pixels that are ignored; look at the masks: vision-apps data check data=..."
        )
    return counts[:classes]


def class_ious(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Each class's IoU in a confusion matrix [K, K], float64 [K], and whether truth or answers have it, bool
    [K]; 0 where they do not."""
    counts = counts.double()
    right = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - right
    return right / either.clamp_min(1), either > 0


def image_miou(answer: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Each image's mean IoU over the classes that it or its answer has: float32 [B]; 1 where no pixel
    counts."""
    values = []
    for one, true in zip(answer, truth, strict=True):
        ious, present = class_ious(confusion(one, true, classes))
        values.append(_mean(ious, present) if present.any() else ious.new_ones(()))
    return torch.stack(values).float()


def boundary_width(height: int, width: int) -> int:
    """2 % of the diagonal of ``height`` x ``width`` px, rounded, at least 1 px."""
    return max(1, round(BOUNDARY * math.hypot(height, width)))


def boundary(masks: Tensor, distance: int) -> Tensor:
    """The pixels that have another class or the image's border within ``distance`` px in both axes: bool [B,
    H, W]; for each class what eroding it by a square of 2 distance + 1 takes away. Ignored pixels are neither
    boundary nor another class."""
    labels = masks[:, None].float()
    ignored = labels == IGNORE_INDEX
    height, width = masks.shape[-2:]
    least = -_largest(torch.where(ignored, -torch.inf, -labels), distance)
    most = _largest(torch.where(ignored, -torch.inf, labels), distance)
    found = (least != most)[:, 0]
    found[:, :distance] = found[:, max(0, height - distance) :] = True
    found[:, :, :distance] = found[:, :, max(0, width - distance) :] = True
    return found & ~ignored[:, 0]


def boundary_counts(
    answer: Tensor, truth: Tensor, classes: int, distance: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Boundary pixels of each class in both, in the truth and in the answer: int64 [K] each."""
    ignored = truth == IGNORE_INDEX
    answer = torch.where(ignored, IGNORE_INDEX, answer)
    of_truth, of_answer = boundary(truth, distance), boundary(answer, distance)
    both = of_truth & of_answer & (truth == answer)

    def per_class(masks: Tensor, chosen: Tensor) -> Tensor:
        return torch.bincount(masks[chosen].long(), minlength=classes)

    return per_class(truth, both), per_class(truth, of_truth), per_class(answer, of_answer)


def _largest(values: Tensor, distance: int) -> Tensor:
    """The largest within ``distance`` px in both axes."""
    side = 2 * distance + 1
    rows = F.max_pool2d(values, (side, 1), stride=1, padding=(distance, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, distance))


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Over the chosen; 0 where none is."""
    return (values * chosen).sum() / chosen.sum().clamp_min(1)
