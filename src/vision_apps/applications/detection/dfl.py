"""A distance as a distribution over whole numbers. Li et al., "Generalized focal loss", arXiv:2006.04388,
2020, section 3.2."""

import torch
from torch import Tensor


def expectation(logits: Tensor) -> Tensor:
    """Logits [..., n + 1] of the distances 0, 1, ..., n to the mean distance [...], float32 in [0, n]."""
    probabilities = logits.float().softmax(dim=-1)
    # no matrix product: autocast would take it in bfloat16, whose steps are 1/16 between 8 and 16
    return (probabilities * torch.arange(logits.shape[-1], device=logits.device)).sum(dim=-1)


def distribution_focal_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross-entropy with the two whole numbers beside the true distance, each weighted by its nearness
    (equation 6).

    Args:
        logits: [..., n + 1].
        distances: [...]; what lies outside [0, n] counts as the nearest of the two ends.

    Returns:
        float32 [...].
    """
    largest = logits.shape[-1] - 1
    distances = distances.float().clamp(0, largest)
    lower = distances.floor().clamp(max=largest - 1)
    share = distances - lower  # of the upper neighbour
    log_probabilities = logits.float().log_softmax(dim=-1)
    beside = torch.stack([lower, lower + 1], dim=-1).long()
    at_lower, at_upper = log_probabilities.gather(-1, beside).unbind(-1)
    return -torch.lerp(at_lower, at_upper, share)
