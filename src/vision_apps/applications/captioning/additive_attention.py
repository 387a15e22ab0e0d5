"""Additive attention (Bahdanau et al., arXiv:1409.0473, 2014, section A.1.2) at the price of a division.

How well a place fits a state is the sum over features of ``v tanh(k + s)``, which needs a ``tanh`` for each
place, state and feature. Since ``tanh(k + s) = 1 - 2 / (1 + exp(2k) exp(2s))``, exponentials of the places
and of the states alone are enough; a product, one added and the division are left for each pair.
"""

import torch
from torch import Tensor

FARTHEST = 40.0  # exp(2 * 40) is a number in float32; a tanh is 1 from 10 on


def exponential(compared: Tensor) -> Tensor:
    """What `fits` takes of places or states: ``exp(2x)`` of any shape. Beyond `FARTHEST` values count as
    that: of a sum of two it matters only where the other is about as far on the other side."""
    return (2 * compared).clamp(-2 * FARTHEST, 2 * FARTHEST).exp()


def fits(places: Tensor, states: Tensor, weights: Tensor) -> Tensor:
    """How well each place fits each state, but for what all places have in common, which a softmax over them
    does not see: [B, K, P].

    Args:
        places, states: `exponential` of what is compared, [B, P, A] and [B, K, A].
        weights: v, [A].
    """
    one = places.new_ones(())
    return torch.addcmul(one, places[:, None], states[:, :, None]).reciprocal_() @ (-2 * weights)
