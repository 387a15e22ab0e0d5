"""Randomness is a function of where a run is."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.seeding import generator, mix, permutation, seed_batch, seed_everything

keys = st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=4)


@given(keys)
def test_a_63_bit_integer(values: list[int]) -> None:
    assert 0 <= mix(*values) < 2**63
    assert mix(*values) == mix(*values)


def test_splitmix64() -> None:
    """Its first number of the seed 0, as Vigna's splitmix64.c gives it, without the lowest bit."""
    assert mix(0) == 0xE220A8397B1DCDAF >> 1


@given(keys, keys)
def test_different_keys_differ(one: list[int], other: list[int]) -> None:
    masked = [[key % 2**64 for key in values] for values in (one, other)]
    assert (masked[0] == masked[1]) == (mix(*one) == mix(*other))


def test_small_neighbours_differ() -> None:
    """Seed, epoch, batch and rank are small numbers: none of them is another one's neighbour."""
    values = {mix(seed, epoch, batch) for seed in range(10) for epoch in range(10) for batch in range(10)}
    assert len(values) == 1000
    assert mix(1, 2) != mix(2, 1)
    assert mix(-1) != mix(1)
    ones = sum(bin(mix(0, epoch) ^ mix(0, epoch + 1)).count("1") for epoch in range(100)) / 100
    assert 28 < ones < 35  # of 63 bits about half


def test_every_key_draws_another_order() -> None:
    first = permutation(50, 3, 7)
    assert torch.equal(first.sort().values, torch.arange(50))
    assert torch.equal(permutation(50, 3, 7), first)
    assert not torch.equal(permutation(50, 4, 7), first) and not torch.equal(permutation(50, 3, 8), first)


def drawn() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_every_generator() -> None:
    seed_everything(0, 3, 7)
    first = drawn()
    other = drawn()
    assert all(a != b for a, b in zip(first, other, strict=True))
    seed_everything(0, 3, 7)
    assert drawn() == first
    seed_everything(0, 3, 8)
    assert all(a != b for a, b in zip(first, drawn(), strict=True))


def test_a_seed_is_the_same_number_for_every_library() -> None:
    """Of NumPy the lower 32 bits, which is all that it takes."""
    for batch in range(4):
        seed_everything(0, 3, batch)
        value = mix(0, 3, batch)
        expected = (
            random.Random(value).random(),
            np.random.RandomState(value % 2**32).rand(),
            float(torch.rand((), generator=torch.Generator().manual_seed(value))),
        )
        assert drawn() == expected


def test_a_batch_draws_in_every_version_what_it_drew() -> None:
    """A run may be resumed by a later version: the order of the keys, and what is of no process is 0."""
    seed_batch(3, 2, 5, rank=1)
    assert generator().initial_seed() == mix(3, 2, 5, 0)
    assert torch.default_generator.initial_seed() == mix(3, 2, 5, 2)


@pytest.mark.parametrize("in_use", [True, False])
def test_gpus_that_are_in_use(in_use: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    seed_everything(0, 3, 7)
    assert seeds == [mix(0, 3, 7)] * in_use
