"""How often each predicate holds between two classes: against counting by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.applications.scene_graphs import prior
from vision_apps.applications.scene_graphs.types import pair_mask, present

K, Q = 3, 2


def pictures(seed: int, B: int = 4, M: int = 4, R: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Labels [B, M], boxes [B, M, 4] and relations [B, R, 3], some of them none, of rows that are none, or
    said twice."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, K, (B, M), generator=draw)
    low = torch.randint(0, 20, (B, M, 2), generator=draw).float()
    boxes = torch.cat((low, low + torch.randint(1, 15, (B, M, 2), generator=draw)), dim=-1)
    relations = torch.cat(
        (torch.randint(0, M, (B, R, 2), generator=draw), torch.randint(0, Q, (B, R, 1), generator=draw)), -1
    )
    relations[torch.rand(B, R, generator=draw) < 0.3] = -1
    return labels, boxes, relations


def by_hand(labels: Tensor, relations: Tensor, taken: Tensor) -> Tensor:
    counts = torch.zeros(K, K, Q + 1)
    for b, (row, said) in enumerate(zip(labels.tolist(), relations.tolist(), strict=True)):
        for one, other in itertools.product(range(len(row)), repeat=2):
            if one == other or row[one] < 0 or row[other] < 0 or not taken[b, one, other]:
                continue
            known = {tuple(relation) for relation in said}
            held = [q for q in range(Q) if (one, other, q) in known]
            for q in held or [Q]:
                counts[row[one], row[other], q] += 1
    return counts


@given(st.integers(0, 10_000))
def test_predicates_are_counted(seed: int) -> None:
    labels, boxes, relations = pictures(seed)
    there = present(labels)
    table = prior.relation_table(relations, there, Q)
    pairs, meet = pair_mask(there), prior.overlapping(boxes)
    for taken in (pairs, pairs & meet):
        found = prior.counted(table, labels, taken, K)
        assert torch.equal(found.float(), by_hand(labels, relations, taken))
    for b in range(len(labels)):
        for one, other in itertools.product(range(4), repeat=2):
            (a, c, d, e), (f, g, h, i) = boxes[b, one].tolist(), boxes[b, other].tolist()
            assert bool(meet[b, one, other]) == (min(d, h) > max(a, f) and min(e, i) > max(c, g))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_counts_are_of_all_pictures_whatever_is_counted_together(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(prior, "AT_ONCE", at_once)
    labels, boxes, relations = pictures(3, B=7)
    pairs = pair_mask(present(labels))
    for found, taken in zip(
        prior.counts_of(boxes, labels, relations, K, Q),
        (pairs, pairs & prior.overlapping(boxes)),
        strict=True,
    ):
        assert torch.equal(found.float(), by_hand(labels, relations, taken))


def test_the_prior_is_a_distribution_and_unseen_pairs_know_nothing() -> None:
    counts = torch.zeros(K, K, Q + 1, dtype=torch.float64)
    counts[0, 1] = torch.tensor([3.0, 1, 4])
    found = prior.log_prior(counts)
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(K, K))
    assert found[0, 1].exp().tolist() == pytest.approx([3 / 8, 1 / 8, 4 / 8], rel=1e-3)
    assert found[2, 2].tolist() == pytest.approx([math.log(1 / 3)] * 3)


def test_pairs_take_the_prior_of_their_classes() -> None:
    table = torch.randn(K, K, Q + 1)
    labels, pairs = torch.tensor([[2, 0, -1]]), torch.tensor([[[0, 1], [1, 0], [1, 2]]])
    found = prior.of_pairs(table, labels, pairs)
    assert torch.equal(found[0, :2], torch.stack((table[2, 0], table[0, 2])))
    assert prior.apart(found).softmax(-1)[..., -1].min() > 0.99
