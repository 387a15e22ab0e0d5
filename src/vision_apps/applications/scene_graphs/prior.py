"""How often each predicate holds between objects of two classes: the frequency baseline of Neural Motifs
(Zellers et al., CVPR 2018, section 5.1), and the bias that their network adds to."""

import torch
from torch import Tensor

from vision_apps.applications.scene_graphs.types import pair_mask, present
from vision_apps.networks.boxes import intersection

EPSILON = 1e-3  # added to each count
AT_ONCE = 256  # pictures that are counted together
KINDS = ("frequency", "overlap", "none")  # what a prior is counted in: all pairs, or those that overlap


def overlapping(boxes: Tensor) -> Tensor:
    """Which of all pairs of boxes [..., M, 4] share an area: bool [..., M, M]."""
    return intersection(boxes[..., :, None, :], boxes[..., None, :, :]) > 0


def relation_table(relations: Tensor, there: Tensor, predicates: int) -> Tensor:
    """How often each predicate is annotated from a subject (row) to an object (column): float32
    [B, M, M, Q].

    Args:
        relations: int64 [B, R, 3]; rows of -1, and those of rows that are no object, are none.
        there: which rows are objects, bool [B, M].
        predicates: Q.
    """
    B, M = there.shape
    subject, other, predicate = relations.unbind(-1)
    numbers = (subject.clamp_min(0) * M + other.clamp_min(0)) * predicates + predicate.clamp_min(0)
    table = there.new_zeros(B, M * M * predicates, dtype=torch.float32)
    table = table.scatter_add(1, numbers, (subject >= 0).to(table.dtype)).view(B, M, M, predicates)
    return table.clamp_max(1) * pair_mask(there)[..., None]


def counted(table: Tensor, labels: Tensor, taken: Tensor, classes: int) -> Tensor:
    """How often each predicate, and last none of them, holds from objects of one class to those of another:
    float64 [K, K, Q + 1].

    Args:
        table: [B, M, M, Q] as `relation_table` has it.
        labels: int64 [B, M], 0..K-1, -1 where there is no object.
        taken: which pairs are counted, bool [B, M, M].
        classes: K.
    """
    none = (table.sum(-1, keepdim=True) == 0).to(table.dtype)
    each = torch.cat((table, none), dim=-1)[taken].double()
    subjects = labels[:, :, None].expand(taken.shape)[taken]
    others = labels[:, None, :].expand(taken.shape)[taken]
    found = each.new_zeros(classes * classes, each.shape[-1])
    return found.index_add(0, subjects * classes + others, each).view(classes, classes, -1)


def counts_of(
    boxes: Tensor, labels: Tensor, relations: Tensor, classes: int, predicates: int
) -> tuple[Tensor, Tensor]:
    """As `counted`, of all pairs of different objects and of those that overlap: float64 [K, K, Q + 1] each.

    Args:
        boxes: [N, M, 4].
        labels: int64 [N, M], 0..K-1, -1 where there is no object.
        relations: int64 [N, R, 3], see `relation_table`.
        classes, predicates: K and Q.
    """
    found = labels.new_zeros(2, classes, classes, predicates + 1, dtype=torch.float64)
    # a table of many pictures with many objects is larger than the memory
    for few in zip(boxes.split(AT_ONCE), labels.split(AT_ONCE), relations.split(AT_ONCE), strict=True):
        own, named, told = few
        table = relation_table(told, present(named), predicates)
        pairs = pair_mask(present(named))
        for number, taken in enumerate((pairs, pairs & overlapping(own))):
            found[number] += counted(table, named, taken, classes)
    return found[0], found[1]


def log_prior(counts: Tensor) -> Tensor:
    """The logarithm (nat) of how likely each predicate is, and last none: [K, K, Q + 1], sums to 1 before
    it."""
    smooth = counts + EPSILON
    return (smooth / smooth.sum(-1, keepdim=True)).log().float()


def of_pairs(prior: Tensor, labels: Tensor, pairs: Tensor) -> Tensor:
    """The prior [K, K, Q + 1] of pairs int64 [B, P, 2] of objects with these labels int64 [B, M], 0 of rows
    that are none: [B, P, Q + 1]."""
    subject, other = (labels.gather(1, pairs[..., side]) for side in (0, 1))
    return prior[subject.clamp_min(0), other.clamp_min(0)]


def apart(prior: Tensor) -> Tensor:
    """What is said of pairs that do not overlap where only such as do are related: a prior [..., Q + 1] in
    which no relation is as good as certain."""
    least = torch.full_like(prior[..., :-1], EPSILON).log()
    return torch.cat((least, torch.zeros_like(prior[..., -1:])), dim=-1)
