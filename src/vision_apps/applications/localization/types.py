"""What travels between data, network, module and user."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from vision_apps.core.fields import Boxes, Pixels, RowsOf, Stays


class LocalizationBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, M, 4], x1, y1, x2, y2 in pixels, y down; zero rows past the objects
    boxes: Annotated[Tensor, Boxes("box_labels")]
    box_labels: Annotated[Tensor, RowsOf("boxes")]  # int64 [B, M], 0..K-1, -1 where there is no object
    # int64 [B, 2], height and width of the picture before it was fitted; none: it was not
    sizes: Annotated[Tensor | None, Stays()] = None


class LocalizationAnswer(NamedTuple):
    boxes: Tensor  # float32 [B, 4], x1, y1, x2, y2 in pixels of the picture that was given, inside it
    presence: Tensor  # float32 [B], 0..1: is there an object
    probabilities: Tensor  # float32 [B, K], rows sum to 1: of which class, if there is one
    vector: Tensor  # float32 [B, 5 + K], the same as a label vector, see `vector`


class LocalizerOutputs(NamedTuple):
    """What a network gives."""

    presence: Tensor  # [B], logit
    classes: Tensor  # [B, K], logits
    box: Tensor  # float32 [B, 4], 0..1: b_x, b_y, b_h, b_w of the label vector


class MainObject(NamedTuple):
    """The object to be found in each picture."""

    boxes: Tensor  # float32 [B, 4]
    labels: Tensor  # int64 [B], -1 where the picture is empty


def main_object(boxes: Tensor, box_labels: Tensor) -> MainObject:
    """The object with the largest box of each picture; the first of equals.

    Args:
        boxes: float32 [B, M, 4].
        box_labels: int64 [B, M], -1 where there is no object.
    """
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp_min(0)
    area = torch.where(box_labels >= 0, sides.prod(-1), -1)
    row = area.argmax(dim=1)
    pictures = torch.arange(len(boxes), device=boxes.device)
    labels = box_labels[pictures, row]
    return MainObject(torch.where(labels[:, None] >= 0, boxes[pictures, row], 0), labels)
