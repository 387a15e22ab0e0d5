"""What an answer rests on, as an application says it."""

from typing import NamedTuple

from torch import Tensor


class Explained(NamedTuple):
    """What is asked where in a picture its evidence is.

    Attributes:
        scores: float [B], of each answer, with gradients: the logit of what was said. One without a gradient
            has no evidence.
        content: height and width of what shows the picture, in pixels of what the network's backbone is
            given, from its upper left corner, float [B, 2]; none: all of it.
        local: each place answers for itself, as of boxes, so that the gradients of its own are looked at and
            not their mean over the picture.
    """

    scores: Tensor
    content: Tensor | None = None
    local: bool = False
