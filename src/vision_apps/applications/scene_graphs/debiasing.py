"""Predicates that are rare in training, brought back after it: one network, read in another way."""

from typing import Literal

import torch
from torch import Tensor

Debias = Literal["none", "logit_adjustment", "tde"]

WAYS: tuple[Debias, ...] = ("none", "logit_adjustment", "tde")


def adjusted(logits: Tensor, log_shares: Tensor, strength: float) -> Tensor:
    """Logits less the logarithm of how common each class is (Menon et al., ICLR 2021, equation 9). That there
    is no relation is no predicate, and stays as it is: the adjustment says which predicate, and its mean over
    the predicates is taken out, so that it says little about whether there is one.

    Args:
        logits: [..., Q + 1], the last of no relation.
        log_shares: of each predicate among the relations, nat, [Q].
        strength: 1 as derived there; 0 changes nothing.
    """
    change = strength * (log_shares - log_shares.mean())
    return torch.cat((logits[..., :-1] - change, logits[..., -1:]), dim=-1)


def total_direct_effect(logits: Tensor, wiped: Tensor) -> Tensor:
    """What the sight of the two objects changes in what their classes and the picture around them have said
    alone (Tang et al., CVPR 2020, equation 8).

    Args:
        logits: [..., Q + 1], the last of no relation.
        wiped: the same without that sight.
    """
    return logits - wiped
