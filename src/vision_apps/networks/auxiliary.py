"""What networks with auxiliary heads give while they train (Szegedy et al. 2015, section 5)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class AuxiliaryLogits(NamedTuple):
    """Logits of a network and of its auxiliary heads; a network that has none, or does not train, gives a
    tensor."""

    logits: Tensor  # [B, K, ...]
    auxiliary: tuple[Tensor, ...]  # each [B, K, ...]
    weight: float  # of each auxiliary loss in the sum


Logits = Tensor | AuxiliaryLogits


def main_logits(outputs: Logits) -> Tensor:
    """What the answer is taken of: [B, K, ...]."""
    return outputs.logits if isinstance(outputs, AuxiliaryLogits) else outputs


def summed_loss(outputs: Logits, parts_of: Callable[[Tensor], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The parts of a loss over all heads. With auxiliary heads, ``loss`` is the sum of ``main`` and the
    weighted ``auxiliary``, which are told beside the parts of the main head.

    Args:
        parts_of: from logits to ``loss`` and its named parts.
    """
    parts = parts_of(main_logits(outputs))
    if not isinstance(outputs, AuxiliaryLogits):
        return parts
    main = parts.pop("loss")
    auxiliary = torch.stack([parts_of(logits)["loss"] for logits in outputs.auxiliary]).sum()
    return {"loss": main + outputs.weight * auxiliary, "main": main, "auxiliary": auxiliary, **parts}
