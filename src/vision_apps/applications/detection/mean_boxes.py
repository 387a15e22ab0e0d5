"""A detector that does not look: what any learned one has to beat."""

import torch
from torch import Tensor

from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch


def mean_boxes(batch: DetectionBatch, num_classes: int) -> tuple[Tensor, Tensor]:
    """The mean box of each class as shares of the picture, float32 [K, 4], and the share of the pictures that
    show the class, float32 [K]; zeros for a class without objects."""
    height, width = batch.images.shape[-2:]
    counted = (batch.box_labels >= 0) & ~batch.ignored
    labels = batch.box_labels[counted]
    scale = torch.tensor([width, height, width, height], device=batch.boxes.device)
    sums = batch.boxes.new_zeros(num_classes, 4).index_add_(0, labels, batch.boxes[counted] / scale)
    objects = torch.bincount(labels, minlength=num_classes)
    pictures = counted.nonzero()[:, 0]
    shown = torch.zeros(len(batch.images), num_classes, device=labels.device)
    shown[pictures, labels] = 1
    return sums / objects.clamp_min(1)[:, None], shown.mean(0)


def answer_with(boxes: Tensor, frequency: Tensor, images: Tensor) -> DetectionAnswer:
    """The same answer for each picture, most frequent class first.

    Args:
        boxes: float32 [K, 4], shares of the picture's width and height.
        frequency: float32 [K], the scores; 0 is no answer.
        images: [B, 3, H, W].
    """
    height, width = images.shape[-2:]
    order = frequency.argsort(descending=True, stable=True)
    scale = torch.tensor([width, height, width, height], device=boxes.device)
    scores = frequency[order]
    labels = torch.where(scores > 0, order, -1)
    rows = (boxes[order] * scale, scores, labels)
    return DetectionAnswer(*(row.expand(len(images), *row.shape) for row in rows))
