"""What is minimised: the classes of the objects and the predicates of pairs of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core import draws
from vision_apps.core.losses import Part


def object_loss(logits: Tensor, labels: Tensor) -> Part:
    """Cross-entropy (nat), the mean over the objects.

    Args:
        logits: [B, M, K].
        labels: int64 [B, M], -1 where there is no object.
    """
    total = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-1, reduction="sum")
    return Part(total, (labels >= 0).sum())


def relation_loss(logits: Tensor, pairs: Tensor, taught: Tensor, table: Tensor) -> Part:
    """Cross-entropy (nat), the mean over the relations and the pairs without one.

    Args:
        logits: [B, P, Q + 1], the last of no relation.
        pairs: int64 [B, P, 2].
        taught: which of these are learned from, bool [B, P].
        table: all relations, [B, M, M, Q], 1 where there is one.
    """
    M = table.shape[1]
    numbers = pairs[..., 0] * M + pairs[..., 1]
    truth = table.flatten(1, 2).gather(1, numbers[..., None].expand(-1, -1, table.shape[-1]))
    none = (truth.sum(-1, keepdim=True) == 0).to(truth.dtype)
    truth = torch.cat((truth, none), dim=-1) * taught[..., None]
    logs = logits.float().log_softmax(-1)
    return Part(-(truth.to(logs.dtype) * logs).sum(), truth.sum())


def taught_pairs(table: Tensor, possible: Tensor, most: int, foreground: float) -> tuple[Tensor, Tensor]:
    """Pairs to learn from, drawn for each picture: related ones, as many as a share of the most allows, and
    then others (Zellers et al., CVPR 2018: 256 of a picture, a quarter of them related).

    Args:
        table: [B, M, M, Q], 1 where there is a relation.
        possible: which pairs are of two objects, bool [B, M, M].
        most: pairs of a picture.
        foreground: the greatest share of them that is related.

    Returns:
        int64 [B, P, 2], and which of these are pairs to learn from, bool [B, P]. Where all fit, these are
        all, and nothing is drawn.
    """
    B, M = possible.shape[:2]
    related = ((table.sum(-1) > 0) & possible).flatten(1)
    possible = possible.flatten(1)
    numbers = torch.arange(M * M, device=table.device).expand(B, -1)
    if most >= M * M:
        return _as_pairs(numbers, M), possible
    keys = draws.uniform(B, M * M).to(table.device)
    limit = max(1, round(foreground * most))
    rank = torch.where(related, keys, -1).argsort(1, descending=True).argsort(1)
    first = related & (rank < limit)
    keys = keys + first.float() - 2 * (~possible | (related & ~first)).float()
    value, chosen = keys.topk(most, dim=1)
    return _as_pairs(chosen, M), value >= 0


def _as_pairs(numbers: Tensor, M: int) -> Tensor:
    return torch.stack((numbers // M, numbers % M), dim=-1)
