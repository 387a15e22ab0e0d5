"""The objects of a batch as tensors of one shape, so that no detector has to loop over pictures or boxes."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vision_apps.applications.detection.types import Target


class Objects(NamedTuple):
    boxes: Tensor  # float32 [B, M, 4], M at least 1
    labels: Tensor  # int64 [B, M], 0 where there is no object
    present: Tensor  # bool [B, M]
    ignored: Tensor  # float32 [B, I, 4], zero rows are none; I may be 0


def pad(targets: list[Target]) -> Objects:
    """Boxes without an area are left out: they can be matched to nothing."""
    boxes = pad_sequence([target.boxes.float() for target in targets], batch_first=True)
    labels = pad_sequence([target.labels for target in targets], batch_first=True)
    ignored = pad_sequence([target.ignored.float() for target in targets], batch_first=True)
    if boxes.shape[1] == 0:
        boxes, labels = F.pad(boxes, (0, 0, 0, 1)), F.pad(labels, (0, 1))
    # the rows that were filled up have no area either
    present = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    return Objects(boxes, labels.clamp(min=0), present, ignored)


def within(points: Tensor, boxes: Tensor) -> Tensor:
    """Which of the points [N, 2] lie in which boxes [..., 4]: bool [..., N]. Left and upper edges belong to a
    box, right and lower ones do not."""
    x, y = points.unbind(1)
    left, top, right, bottom = boxes.unsqueeze(-2).unbind(-1)
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def excused(points: Tensor, ignored: Tensor) -> Tensor:
    """The points [N, 2] of each picture that lie in one of its ignored regions [B, I, 4]: bool [B, N]."""
    return within(points, ignored).any(dim=1)
