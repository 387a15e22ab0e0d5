"""A detector that does not look: what any learned one has to beat."""

import torch
from torch import Tensor

from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch


def mean_boxes(batch: DetectionBatch, content: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """The mean box of each class as shares of the picture, float32 [K, 4], and the share of the pictures that
    show the class, float32 [K]; zeros for a class without objects.

    Args:
        content: height and width of the pictures within ``batch.images``, int64 [B, 2].
    """
    counted = (batch.box_labels >= 0) & ~batch.ignored
    labels = batch.box_labels[counted]
    shares = batch.boxes / content.flip(-1).repeat(1, 2)[:, None]
    sums = batch.boxes.new_zeros(num_classes, 4).index_add_(0, labels, shares[counted])
    objects = torch.bincount(labels, minlength=num_classes)
    pictures = counted.nonzero()[:, 0]
    shown = torch.zeros(len(batch.images), num_classes, device=labels.device)
    shown[pictures, labels] = 1
    return sums / objects.clamp_min(1)[:, None], shown.mean(0)


def answer_with(boxes: Tensor, frequency: Tensor, content: Tensor) -> DetectionAnswer:
    """The same answer for each picture, most frequent class first.

    Args:
        boxes: float32 [K, 4], shares of the picture's width and height.
        frequency: float32 [K], the scores; 0 is no answer.
        content: height and width of the pictures within those of the batch, int64 [B, 2].
    """
    order = frequency.argsort(descending=True, stable=True)
    scores = frequency[order]
    labels = torch.where(scores > 0, order, -1)
    rows = boxes[order] * content.flip(-1).repeat(1, 2)[:, None]
    return DetectionAnswer(rows, *(row.expand(len(content), -1) for row in (scores, labels)))
