"""The label vector of localization, and the only place that knows its convention.

``[b_x, b_y, b_h, b_w, c_o, c_1 .. c_K]``: (b_x, b_y) is the left LOWER corner of the box with the y axis
pointing UP, the height comes before the width, all four are relative to the picture (0..1); c_o says whether
there is an object and c_1..c_K which of the K classes it is. Everywhere else a box is x1, y1, x2, y2 in
pixels with y down.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Side = int | Tensor
BOX = 4  # entries of the box, which come first; then c_o, then the classes


class Decoded(NamedTuple):
    boxes: Tensor  # [..., 4] x1, y1, x2, y2 in pixels, y down
    presence: Tensor  # [...] c_o
    classes: Tensor  # [..., K] c_1..c_K


def encode(boxes: Tensor, labels: Tensor, num_classes: int, height: Side, width: Side) -> Tensor:
    """The label vectors [..., 5 + K] of one object per picture; zeros throughout where there is none.

    Args:
        boxes: float [..., 4], x1, y1, x2, y2 in pixels of a picture of ``height`` x ``width`` ([...] where
            they differ).
        labels: int64 [...], 0..K-1, or -1 where there is no object.
    """
    present = labels >= 0
    classes = F.one_hot(labels.clamp_min(0), num_classes)
    vector = torch.cat((encode_box(boxes, height, width), torch.ones_like(boxes[..., :1]), classes), dim=-1)
    return torch.where(present[..., None], vector, 0)


def encode_box(boxes: Tensor, height: Side, width: Side) -> Tensor:
    """The first four entries [..., 4]: b_x, b_y, b_h, b_w."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1 / width, 1 - y2 / height, (y2 - y1) / height, (x2 - x1) / width), dim=-1)


def mirror(entries: Tensor) -> Tensor:
    """The first four entries [..., 4] after the picture was mirrored left to right."""
    b_x, b_y, b_h, b_w = entries.unbind(-1)
    return torch.stack((1 - b_x - b_w, b_y, b_h, b_w), dim=-1)


def decode(vector: Tensor, height: Side, width: Side) -> Decoded:
    """[..., 5 + K] -> box in pixels of a picture of ``height`` x ``width`` ([...] where they differ),
    presence, classes. Nothing is clipped."""
    return Decoded(decode_box(vector[..., :BOX], height, width), vector[..., BOX], vector[..., BOX + 1 :])


def decode_box(entries: Tensor, height: Side, width: Side) -> Tensor:
    """b_x, b_y, b_h, b_w [..., 4] -> x1, y1, x2, y2 in pixels."""
    b_x, b_y, b_h, b_w = entries.unbind(-1)
    left, bottom = b_x * width, (1 - b_y) * height
    return torch.stack((left, bottom - b_h * height, left + b_w * width, bottom), dim=-1)
