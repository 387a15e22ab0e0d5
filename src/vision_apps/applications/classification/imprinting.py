"""A last layer that answers by the mean picture of each class, before anything is learned."""

import math

import torch.nn.functional as F
from torch import Tensor

IMPRINTED = 500  # training pictures that the means are taken of
_CONFIDENCE = 0.9  # of a picture of typical distance from the means


def imprinted(features: Tensor, labels: Tensor, num_classes: int) -> Tensor | None:
    """The weights of a linear layer without bias that finds the class whose mean is nearest by angle (Qi,
    Brown and Lowe 2018, section 3.2).

    Which class has the largest score depends neither on the length of a picture's features nor on what the
    rows have in common, so the rows' mean is taken away. They are scaled so that a picture whose own score is
    above the others by what it is on average is given its class with a probability of 0.9.

    Args:
        features: float [N, D], what the layer is given.
        labels: int64 [N].

    Returns:
        Float [K, D]; none where a class has no picture, or the means do not tell the pictures apart.
    """
    member = F.one_hot(labels, num_classes).to(features.dtype)  # [N, K]
    if num_classes < 2 or not bool(member.any(0).all()):
        return None
    means = F.normalize(member.T @ F.normalize(features, dim=1), dim=1)
    rows = means - means.mean(0)
    scores = features @ rows.T
    own = (scores * member).sum(1)
    others = (scores.sum(1) - own) / (num_classes - 1)
    above = float((own - others).mean())
    if not above > 0:
        return None
    return rows * (math.log(_CONFIDENCE / (1 - _CONFIDENCE) * (num_classes - 1)) / above)
