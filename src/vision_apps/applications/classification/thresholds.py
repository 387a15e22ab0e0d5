"""From which probability on a class is said to be there."""

import torch
from torch import Tensor

UNKNOWN = 0.5  # where no picture tells


def best_thresholds(probabilities: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Of each class the threshold with the largest F1, and that F1; of several the highest.

    It lies in the middle between the least probability that is at or above it and the next one below (0 where
    there is none), so that a small change of either has no effect. A class that no picture has, whose F1 is 0
    at any threshold, has 0.5.

    Args:
        probabilities: float [N, K], 0 to 1.
        truth: [N, K], not 0 where the class is there.

    Returns:
        Thresholds, as the probabilities are, [K]; F1, float64 [K].
    """
    values, order = probabilities.sort(dim=0, descending=True)
    there = (truth != 0).gather(0, order).double()
    said = torch.arange(1, len(values) + 1, device=values.device, dtype=torch.float64)[:, None]
    positives = there.sum(0)
    scores = 2 * there.cumsum(0) / (said + positives)
    below = torch.cat((values[1:], torch.zeros_like(values[:1])))
    scores[:-1][values[:-1] == values[1:]] = -1  # equal probabilities are said together
    best = scores.argmax(0, keepdim=True)
    least, next_one = values.gather(0, best)[0], below.gather(0, best)[0]
    middle = (least + next_one) / 2
    middle = torch.where(middle > next_one, middle, least)  # of neighbours it may be the lower one
    f1 = scores.gather(0, best)[0]
    known = positives > 0
    return torch.where(known, middle, UNKNOWN), torch.where(known, f1, 0)
