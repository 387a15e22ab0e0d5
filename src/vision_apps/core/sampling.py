"""Which samples an epoch of training sees where rare classes shall be seen as often as common ones."""

import torch
from torch import Tensor

from vision_apps.core.seeding import mix


def balanced(classes: Tensor) -> Tensor:
    """Of each sample, by its class, int64 [N]: the weight with which all classes are drawn alike, float64
    [N]."""
    return 1 / classes.bincount()[classes].double()


def drawn(weights: Tensor, *keys: int) -> Tensor:
    """The numbers of N samples that the keys draw with replacement, each as often as its weight says: int64
    [N]."""
    generator = torch.Generator().manual_seed(mix(*keys))
    return torch.multinomial(weights, len(weights), replacement=True, generator=generator)
