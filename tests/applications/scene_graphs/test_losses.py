"""What is minimised, and of which pairs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_apps.applications.scene_graphs.losses import object_loss, relation_loss, taught_pairs
from vision_apps.applications.scene_graphs.prior import relation_table
from vision_apps.applications.scene_graphs.types import pair_mask
from vision_apps.core.seeding import seed_batch


def test_objects_that_are_none_count_for_nothing() -> None:
    logits = torch.randn(2, 3, 4)
    labels = torch.tensor([[1, -1, 3], [-1, -1, -1]])
    part = object_loss(logits, labels)
    expected = -(logits[0, 0].log_softmax(-1)[1] + logits[0, 2].log_softmax(-1)[3])
    torch.testing.assert_close(part.total, expected)
    assert part.count == 2


def test_a_pair_with_two_predicates_is_learned_with_both_and_one_without_as_unrelated() -> None:
    there = torch.tensor([[True, True, False]])
    relations = torch.tensor([[[0, 1, 0], [0, 1, 2], [0, 2, 1], [-1, -1, -1]]])
    table = relation_table(relations, there, 3)
    pairs, taught = taught_pairs(table, pair_mask(there), 256, 0.25)
    logits = torch.randn(1, pairs.shape[1], 4)
    part = relation_loss(logits, pairs, taught, table)
    logs = {tuple(pair): row for pair, row in zip(pairs[0].tolist(), logits[0].log_softmax(-1), strict=True)}
    torch.testing.assert_close(part.total, -(logs[0, 1][0] + logs[0, 1][2] + logs[1, 0][3]))
    assert part.count == 3


def test_no_relation_and_no_object() -> None:
    table = relation_table(torch.full((2, 1, 3), -1), torch.zeros(2, 1, dtype=torch.bool), 2)
    pairs, taught = taught_pairs(table, pair_mask(torch.zeros(2, 1, dtype=torch.bool)), 256, 0.25)
    part = relation_loss(torch.randn(2, 1, 3), pairs, taught, table)
    assert part.total == 0 and part.count == 0


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 40), st.floats(0, 1))
def test_pairs_that_are_drawn(seed: int, most: int, share: float) -> None:
    """Each once, of two objects, of related ones no more than their share unless there are no others."""
    draw = torch.Generator().manual_seed(seed)
    there = torch.rand(3, 7, generator=draw) < 0.8
    relations = torch.cat((torch.randint(0, 7, (3, 9, 2), generator=draw), torch.zeros(3, 9, 1).long()), -1)
    table, possible = relation_table(relations, there, 1), pair_mask(there)
    seed_batch(seed, 0, 0, 0)
    pairs, taught = taught_pairs(table, possible, most, share)
    limit = max(1, round(share * most))
    for b in range(3):
        chosen = [tuple(pair) for pair in pairs[b][taught[b]].tolist()]
        assert len(set(chosen)) == len(chosen) <= max(most, 49)
        assert all(possible[b, one, other] for one, other in chosen)
        related = sum(float(table[b, one, other, 0]) for one, other in chosen)
        if most < 49:
            every = int(table[b].sum())
            assert related == min(every, limit)
            assert len(chosen) == related + min(most - related, int(possible[b].sum()) - every)


def test_what_fits_is_all_taken() -> None:
    there = torch.ones(1, 4, dtype=torch.bool)
    table = relation_table(torch.tensor([[[0, 1, 0]]]), there, 1)
    pairs, taught = taught_pairs(table, pair_mask(there), 16, 0.25)
    assert int(taught.sum()) == 12
    even = relation_loss(torch.zeros(1, 16, 2), pairs, taught, table)
    assert float(even.total / even.count) == pytest.approx(math.log(2))
