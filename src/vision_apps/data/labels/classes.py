"""What data sets with classes tell about them."""

import torch
from torch import Tensor


def count_classes(labels: Tensor, num_classes: int) -> list[int]:
    """How many of the labels, int64 [N], are of each class: the fact ``class_counts``."""
    counts: list[int] = torch.bincount(labels, minlength=num_classes).tolist()
    return counts
