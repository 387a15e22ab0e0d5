"""What localization minimises; an absent object says nothing about box and class."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from vision_apps.applications.localization.types import LocalizerOutputs
from vision_apps.applications.localization.vector import BOX, decode, decode_box
from vision_apps.core.losses import Part, mean

BoxLoss = Literal["l1", "smooth_l1", "mse", "giou"]


def localization_losses(
    outputs: LocalizerOutputs, target: Tensor, box_loss: BoxLoss = "smooth_l1", beta: float = 0.1
) -> dict[str, Part]:
    """``presence``, ``class`` and ``box``: the binary cross-entropy (nat) over all pictures; the
    cross-entropy (nat) and the loss of the box, summed over its four entries, over the pictures with an
    object.

    Args:
        target: label vectors [B, 5 + K], see `vector`.
        beta: of smooth L1 (Girshick 2015, equation 3, where it is 1): below this difference, relative to the
            picture, the loss is quadratic.
    """
    truth = decode(target, 1, 1)
    there = truth.presence > 0
    count = there.sum()
    presence = F.binary_cross_entropy_with_logits(outputs.presence.float(), truth.presence, reduction="none")
    # chosen, not multiplied by zero: nothing of an absent object reaches the sum
    classes = F.cross_entropy(
        outputs.classes.float()[there], truth.classes[there].argmax(dim=1), reduction="sum"
    )
    found, wanted = outputs.box[there], target[there, :BOX]
    if box_loss == "giou":
        box = generalized_box_iou_loss(decode_box(found, 1, 1), truth.boxes[there], reduction="sum")
    elif box_loss == "smooth_l1":
        box = F.smooth_l1_loss(found, wanted, reduction="sum", beta=beta)
    else:
        box = (F.l1_loss if box_loss == "l1" else F.mse_loss)(found, wanted, reduction="sum")
    return {"presence": mean(presence), "class": Part(classes, count), "box": Part(box, count)}
