"""Which point of the feature maps learns which object. Feng et al., "TOOD: task-aligned one-stage object
detection", arXiv:2108.07755, 2021, section 3.2."""

from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.detection.objects import Objects, within
from vision_apps.networks.boxes import iou


class Assignment(NamedTuple):
    positive: Tensor  # bool [B, N]: the point learns an object
    owners: Tensor  # int64 [B, N]: which one, 0..M-1; without meaning elsewhere
    quality: Tensor  # float32 [B, N]: the score that the point should give its object's class, 0 elsewhere


@torch.no_grad()
def assign(
    scores: Tensor,
    predicted: Tensor,
    points: Tensor,
    objects: Objects,
    *,
    top_k: int,
    alpha: float,
    beta: float,
    smallest: float,
) -> Assignment:
    """The points that a picture's own predictions prefer for each of its objects.

    Of the points inside an object those ``top_k`` are taken whose ``score^alpha * IoU^beta`` is largest; a
    point that several objects want goes to the one that its box overlaps most. The quality is that alignment,
    scaled such that the best point of an object has the largest IoU among the object's points (equation 2
    and below).

    Args:
        scores: [B, N, K], in [0, 1].
        predicted: [B, N, 4], boxes in pixels.
        points: [N, 2], x and y in pixels.
        smallest: pixels. An object that is narrower or lower counts as this large, about its centre, when
            points inside are looked for: with the finest stride, each object has at least the nearest point.
    """
    number = len(points)
    sides = (objects.boxes[..., 2:] - objects.boxes[..., :2]).clamp(min=smallest) / 2
    centres = (objects.boxes[..., 2:] + objects.boxes[..., :2]) / 2
    inside = within(points, torch.cat([centres - sides, centres + sides], dim=-1))
    inside &= objects.present.unsqueeze(-1)

    overlaps = iou(objects.boxes.unsqueeze(2), predicted.unsqueeze(1).float())  # [B, M, N]
    of_class = objects.labels.unsqueeze(-1).expand(-1, -1, number)
    alignment = scores.float().transpose(1, 2).gather(1, of_class).pow(alpha) * overlaps.pow(beta)

    best = torch.where(inside, alignment, -1.0).topk(min(top_k, number), dim=-1)
    wanted = torch.zeros_like(inside).scatter_(-1, best.indices, best.values >= 0)
    owners = torch.where(wanted, overlaps, -1.0).argmax(dim=1)
    positive = wanted.any(dim=1)

    index = torch.arange(objects.boxes.shape[1], device=points.device).unsqueeze(-1)
    owned = wanted & (owners.unsqueeze(1) == index)
    most = torch.where(owned, alignment, 0.0).amax(dim=-1)
    scale = torch.where(owned, overlaps, 0.0).amax(dim=-1) / most.clamp(min=torch.finfo(most.dtype).tiny)
    quality = torch.where(owned, alignment * scale.unsqueeze(-1), 0.0).amax(dim=1)
    return Assignment(positive, owners, quality)
