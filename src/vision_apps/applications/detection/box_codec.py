"""Boxes as offsets from reference boxes (anchors, windows, proposals), and back.

After Girshick et al., "Rich feature hierarchies for accurate object detection", CVPR 2014, appendix C, with
the scaled targets and the bounded sizes of the code of Fast and Faster R-CNN.
"""

import math

import torch
from torch import Tensor

# of dw and dh: a reference grows at most 62.5 times, whatever an untrained net says
LARGEST = math.log(1000 / 16)


def encode(boxes: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Offsets dx, dy in sides of the reference and dw, dh as logarithms, times ``weights``.

    Args:
        boxes, references: float [..., 4] x1 y1 x2 y2, broadcast against each other; sides above 0.
    """
    size, centre = _size_and_centre(boxes)
    own_size, own_centre = _size_and_centre(references)
    shift = (centre - own_centre) / own_size
    deltas = torch.cat([shift, (size / own_size).log()], dim=-1)
    return deltas * deltas.new_tensor(weights)


def decode(deltas: Tensor, references: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """The boxes that ``encode`` was given: float [..., 4], not clipped to the picture."""
    deltas = deltas / deltas.new_tensor(weights)
    own_size, own_centre = _size_and_centre(references)
    centre = own_centre + deltas[..., :2] * own_size
    half = 0.5 * own_size * deltas[..., 2:].clamp(max=LARGEST).exp()
    return torch.cat([centre - half, centre + half], dim=-1)


def _size_and_centre(boxes: Tensor) -> tuple[Tensor, Tensor]:
    first, second = boxes[..., :2], boxes[..., 2:]
    return second - first, (first + second) / 2
