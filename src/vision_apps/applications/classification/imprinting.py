"""A last layer that answers by the mean picture of each class, before anything is learned."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

IMPRINTED = 500  # training pictures that the means are taken of
FEW = 3  # training pictures of a class on average, below which learning is not better than the means
_CONFIDENCE = 0.9  # of a picture of typical distance from the means


def imprinted(features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The weights of a linear layer without bias that finds the class whose mean is nearest by angle (Qi,
    Brown and Lowe 2018, section 3.2).

    Which class has the largest score depends neither on the length of a picture's features nor on what the
    rows have in common, so the rows' mean is taken away. They are scaled so that a picture whose own score is
    above the others by what it is on average is given its class with a probability of 0.9.

    Args:
        features: float [N, D], what the layer is given.
        labels: int64 [N].

    Returns:
        Float [K, D]. A class without a picture has zeros, between those that are like the picture and those
        that are not; all have where there are fewer than two classes, or the means are the same.
    """
    member = F.one_hot(labels, num_classes).to(features.dtype)  # [N, K]
    there = member.any(0)
    means = F.normalize(member.T @ F.normalize(features, dim=1), dim=1)
    rows = torch.where(there[:, None], means - means[there].mean(0), 0)
    scores = features @ rows.T
    own = (scores * member).sum(1)
    others = (scores.sum(1) - own) / max(int(there.sum()) - 1, 1)
    above = float((own - others).mean())
    if not above > 0:
        return torch.zeros_like(rows)
    return rows * (math.log(_CONFIDENCE / (1 - _CONFIDENCE) * (num_classes - 1)) / above)
