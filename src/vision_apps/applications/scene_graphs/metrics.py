"""How graphs are scored. Figures that others call by one name and compute in several ways have several here.

Each is a mean over pictures or predicates, so that sums are all that is kept: neither the number of processes
nor the batch changes a number.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from vision_apps.applications.scene_graphs.recall import Graphs, Truths, best, first_found, reachable

_FORMS = ("", "ng_")  # with graph constraint, and without


class SceneGraphMetrics(Metric):
    """Recall among the best K triplets, by name. ``K`` stands for each of ``ks``, ``ng_`` before a name says
    that all predicates of a pair count and not the best alone (no graph constraint).

    ``recall_K``: R@K, the share of a picture's relations that are found, as a mean over the pictures that
    have some. ``recall_limit_K``: what a graph without a mistake would have, where pictures have more than K
    relations or several of a pair.

    ``mean_recall_images_K``: mR@K as Tang et al. (CVPR 2020) have it: of each predicate the mean over the
    pictures that have it, then the mean over all predicates; one that no picture has counts as 0.
    ``mean_recall_pooled_K``: mR@K of all pictures' relations together: of each predicate the share of its
    relations that are found, then the mean over the predicates that occur (Chen et al., CVPR 2019).

    ``zero_shot_recall_K``: zR@K, ``recall_K`` of the relations whose triplet of classes no training picture
    has, over the pictures that have some. ``f1_K``: the harmonic mean of ``recall_K`` and
    ``mean_recall_images_K``.

    ``predicate_recalls``: float64 [2, Q], of each predicate, with the largest K and graph constraint, the
    mean over the pictures that have it and the share of all its relations; NaN where it does not occur.
    ``predicate_counts``: int64 [Q].

    Args:
        num_predicates: Q.
        ks: all K.
    """

    full_state_update = False
    pictures: Tensor
    unseen_pictures: Tensor
    counts: Tensor
    pictures_with: Tensor
    found: Tensor
    shares: Tensor
    recalls: Tensor
    limits: Tensor
    unseen_recalls: Tensor

    def __init__(self, num_predicates: int, ks: Sequence[int] = (10, 20, 50, 100)) -> None:
        super().__init__()
        self.num_predicates = num_predicates
        self.ks = sorted(ks)
        shape = (len(_FORMS), len(self.ks))
        self._whole("pictures")
        self._whole("unseen_pictures")
        self._whole("counts", num_predicates)  # relations of each predicate
        self._whole("pictures_with", num_predicates)  # pictures that have it
        self._whole("found", *shape, num_predicates)  # of `counts`
        for name in ("recalls", "limits", "unseen_recalls"):  # summed over pictures
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), "sum")
        self.add_state("shares", torch.zeros(*shape, num_predicates, dtype=torch.float64), "sum")

    def _whole(self, name: str, *shape: int) -> None:
        self.add_state(name, torch.zeros(shape, dtype=torch.int64), "sum")

    def update(self, graphs: Graphs, truths: Truths, seen: Tensor | None = None) -> None:
        """Of a batch of pictures.

        Args:
            seen: bool [K, Q, K], which triplets of classes training pictures have; none where that is not
                known.
        """
        there = truths.there
        own = _per_predicate(truths, there, self.num_predicates)
        self.counts += own.sum(0)
        self.pictures_with += (own > 0).sum(0)
        self.pictures += there.any(1).sum()
        unseen = torch.zeros_like(there)
        if seen is not None and seen.numel():
            subject, said, other = truths.triplets.clamp_min(0).unbind(-1)
            unseen = there & ~seen[subject, said, other]
        self.unseen_pictures += unseen.any(1).sum()
        for form in range(len(_FORMS)):
            told = best(graphs, self.ks[-1], constrained=form == 0)
            place = first_found(told, graphs, truths)
            self.limits[form] += reachable(truths, self.ks, constrained=form == 0).sum(0)
            for column, k in enumerate(self.ks):
                # a relation that is not found stands past all triplets, of which there may be less than K
                hit = there & (place < min(k, told.predicates.shape[1]))
                found = _per_predicate(truths, hit, self.num_predicates)
                self.found[form, column] += found.sum(0)
                self.shares[form, column] += (found.double() / own.clamp_min(1)).sum(0)
                self.recalls[form, column] += _share(hit, there).sum()
                self.unseen_recalls[form, column] += _share(hit & unseen, unseen).sum()

    def compute(self) -> dict[str, Tensor]:
        """What is not defined is left out."""
        figures: dict[str, Tensor] = {}
        if not self.pictures:
            return figures
        recalls, limits = self.recalls / self.pictures, self.limits / self.pictures
        of_pictures = self.shares / self.pictures_with
        pooled = self.found / self.counts
        means = of_pictures.nan_to_num(0).mean(-1)
        for form, prefix in enumerate(_FORMS):
            for column, k in enumerate(self.ks):
                recall, mean = recalls[form, column], means[form, column]
                figures |= {
                    f"{prefix}recall_{k}": recall,
                    f"{prefix}recall_limit_{k}": limits[form, column],
                    f"{prefix}mean_recall_images_{k}": mean,
                    f"{prefix}mean_recall_pooled_{k}": pooled[form, column].nanmean(),
                    f"{prefix}f1_{k}": 2 * recall * mean / (recall + mean).clamp_min(1e-12),
                }
                if self.unseen_pictures:
                    unseen = self.unseen_recalls[form, column] / self.unseen_pictures
                    figures[f"{prefix}zero_shot_recall_{k}"] = unseen
        figures = {name: value.float() for name, value in figures.items()}
        recalls_of_predicates = torch.stack((of_pictures[0, -1], pooled[0, -1]))
        return {
            **figures,
            "predicate_recalls": recalls_of_predicates,
            "predicate_counts": self.counts.clone(),
        }


def _per_predicate(truths: Truths, which: Tensor, predicates: int) -> Tensor:
    """How many of some relations, bool [B, R], each predicate has in each picture: int64 [B, Q]."""
    counts = which.new_zeros(len(which), predicates, dtype=torch.int64)
    return counts.scatter_add_(1, truths.relations[..., 2].clamp_min(0), which.long())


def _share(hit: Tensor, of: Tensor) -> Tensor:
    """float64 [B]; 0 of nothing."""
    return hit.sum(1).double() / of.sum(1).clamp_min(1)
