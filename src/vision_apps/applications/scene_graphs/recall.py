"""Which relations of a picture are among the best K that are told of it (Lu et al., ECCV 2016, section 5.1).

A triplet is told of each ordered pair of objects and each predicate; its score is the product of both
objects' scores and the predicate's. *With graph constraint* only the best predicate of a pair counts, without
(Newell and Deng, NeurIPS 2017) all do. A true relation is found where a triplet has its three classes, and
both boxes overlap the true ones by an IoU of at least 0.5. Boxes are x1, y1, x2, y2 in pixels, the second
corner exclusive; the first codes counted both corners, which gives boxes of few pixels another IoU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.networks.boxes import iou

OVERLAP = 0.5  # IoU from which a box is that of the object


class Graphs(NamedTuple):
    """What is told of pictures, each object in a row."""

    boxes: Tensor  # float32 [B, M, 4]
    labels: Tensor  # int64 [B, M], 0..K-1, -1 where there is no object
    scores: Tensor  # float32 [B, M], 0 and more
    predicates: Tensor  # float32 [B, M, M, Q], 0 and more: from a subject (row) to an object (column)


class Truths(NamedTuple):
    """What is true of pictures."""

    boxes: Tensor  # float32 [B, N, 4]
    labels: Tensor  # int64 [B, N], -1 where there is no object
    relations: Tensor  # int64 [B, R, 3]: subject, object, predicate; -1 where there is none

    @property
    def there(self) -> Tensor:
        """bool [B, R]: the rows that are relations of two objects."""
        subject, other = _of_rows(self.labels, self.relations[..., :2])
        return (self.relations >= 0).all(-1) & (subject >= 0) & (other >= 0)

    @property
    def triplets(self) -> Tensor:
        """int64 [B, R, 3]: the classes of subject and object with the predicate between them; of no meaning
        where there is none."""
        subject, other = _of_rows(self.labels, self.relations[..., :2])
        return torch.stack((subject, self.relations[..., 2], other), dim=-1)


class Triplets(NamedTuple):
    """The best of what is told of a picture, best first."""

    pairs: Tensor  # int64 [B, T, 2]: the rows of subject and object
    predicates: Tensor  # int64 [B, T]
    scores: Tensor  # float32 [B, T]; -1 past the triplets


def best(graphs: Graphs, most: int, *, constrained: bool) -> Triplets:
    """The ``most`` best triplets of each picture. Of equal ones the first counts, by the rows of subject and
    object and then by predicate, on every device alike.

    Args:
        constrained: whether only the best predicate of each pair counts.
    """
    B, M, _, Q = graphs.predicates.shape
    if M == 0:
        none = graphs.labels.new_zeros(B, 0)
        return Triplets(none[..., None].expand(-1, -1, 2), none, graphs.scores)
    there = graphs.labels >= 0
    pair = there[:, :, None] & there[:, None, :] & ~torch.eye(M, dtype=torch.bool, device=there.device)
    weight = graphs.scores[:, :, None] * graphs.scores[:, None, :]
    if constrained:
        scores = torch.where(pair, weight * graphs.predicates.amax(-1), -1).flatten(1)
        rows = _first_largest(scores, min(most, scores.shape[1]))
        # products again, since some that differ are equal once multiplied; of those, argmax takes the first
        likely = weight.flatten(1).gather(1, rows)[..., None] * _rows(graphs.predicates.flatten(1, 2), rows)
        numbers = rows * Q + likely.argmax(-1)
    else:
        scores = torch.where(pair[..., None], weight[..., None] * graphs.predicates, -1).flatten(1)
        numbers = rows = _first_largest(scores, min(most, scores.shape[1]))
    scores = scores.gather(1, rows)
    pairs = torch.stack((numbers // (M * Q), numbers // Q % M), dim=-1)
    return Triplets(pairs, numbers % Q, scores)


def _rows(tables: Tensor, numbers: Tensor) -> Tensor:
    """Rows of a table of each picture, [B, n, c], by numbers int64 [B, T]: [B, T, c]. Each is copied as a
    whole, which takes a tenth of what `gather` takes."""
    B, n, c = tables.shape
    first = torch.arange(0, B * n, n, device=numbers.device)
    return tables.flatten(0, 1).index_select(0, (first[:, None] + numbers).flatten()).view(B, -1, c)


def _first_largest(values: Tensor, count: int) -> Tensor:
    """The numbers of the largest of each row of [B, n], the first of equal ones first: int64 [B, count]."""
    least = values.topk(count).values[:, -1:]
    above, equal = values > least, values == least
    taken = above | (equal & (equal.cumsum(1) <= count - above.sum(1, keepdim=True)))
    rows = taken.nonzero()[:, 1].view(len(values), count)
    return rows.gather(1, values.gather(1, rows).sort(dim=1, descending=True, stable=True).indices)


def first_found(told: Triplets, graphs: Graphs, truths: Truths) -> Tensor:
    """The place among the triplets, from 0, at which each true relation is found first: int64 [B, R], the
    number of triplets where it is not."""
    B, T = told.predicates.shape
    R = truths.relations.shape[1]
    if not (B and T and R):
        return truths.relations.new_full((B, R), T)
    overlap = iou(graphs.boxes[:, :, None].float(), truths.boxes[:, None].float()) >= OVERLAP
    same = overlap & (graphs.labels[:, :, None] == truths.labels[:, None])
    found = told.predicates[:, :, None] == truths.relations[:, None, :, 2]
    found &= (told.scores >= 0)[:, :, None] & truths.there[:, None]
    for side in (0, 1):
        columns = truths.relations[:, None, :, side].clamp_min(0).expand(-1, same.shape[1], -1)
        found &= _rows(same.gather(2, columns), told.pairs[..., side])
    hit, place = found.byte().max(1)
    return torch.where(hit > 0, place, T)


def reachable(truths: Truths, ks: Sequence[int], *, constrained: bool) -> Tensor:
    """The share of each picture's relations that a graph without a mistake has among its best K triplets, for
    each K: float64 [B, len(ks)], 0 where a picture has none.

    A relation that is given twice is found twice by one triplet; with graph constraint only one of several
    predicates of a pair is.
    """
    shares = truths.boxes.new_zeros(len(truths.relations), len(ks), dtype=torch.float64)
    for row, (relations, there) in enumerate(zip(truths.relations, truths.there, strict=True)):
        if not there.any():
            continue
        told, times = relations[there].unique(dim=0, return_counts=True)
        if constrained:
            pairs, number = told[:, :2].unique(dim=0, return_inverse=True)
            times = times.new_zeros(len(pairs)).scatter_reduce(0, number, times, "amax")
        found = times.sort(descending=True).values.cumsum(0)
        last = torch.tensor([min(k, len(found)) - 1 for k in ks], device=found.device)
        shares[row] = found[last].double() / there.sum()
    return shares


def _of_rows(labels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The labels [B, N] of subjects and objects [B, R, 2], -1 of rows that there are not."""
    known = torch.cat((labels, labels.new_full((len(labels), 1), -1)), dim=1)
    N = labels.shape[1]
    inside = torch.where((rows >= 0) & (rows < N), rows, N)
    return known.gather(1, inside[..., 0]), known.gather(1, inside[..., 1])
