"""What is drawn for a batch: of seed, epoch and batch, alike in all processes, each taking its rows."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from toy import ToyBatch, ToyData

from vision_apps.core import draws, ranks
from vision_apps.core.seeding import generator, seed_batch

COUNT = 6


def drawn(seed: int = 3, epoch: int = 2, batch: int = 5, rank: int = 0) -> tuple[Tensor, Tensor]:
    """By an augmentation of a training batch: alike in all processes, and the process's own."""
    found: list[Tensor] = []

    def draw(batch: Any) -> Any:
        found.extend((draws.uniform(COUNT), torch.rand(COUNT)))
        return batch

    data = ToyData(seed=seed, augment={"draw": draw})
    data.batch_type = ToyBatch
    sample = next(iter(data.val_dataloader()))
    progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=batch)))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        training=True,
        fit_loop=SimpleNamespace(epoch_loop=progress),
        current_epoch=epoch,
        global_rank=rank,
        world_size=rank + 1,
    )
    data.on_after_batch_transfer(sample, 0)
    shared, own = found
    return shared, own


def test_a_draw_is_a_function_of_seed_epoch_and_batch() -> None:
    shared, own = drawn()
    again = drawn()
    assert torch.equal(shared, again[0]) and torch.equal(own, again[1])
    for change in ({"seed": 4}, {"epoch": 3}, {"batch": 6}):
        other = drawn(**change)
        assert not (shared == other[0]).any(), f"shared, {change}"
        assert not (own == other[1]).any(), f"own, {change}"


def test_processes_share_what_is_of_the_samples_and_not_the_rest() -> None:
    shared, own = drawn(rank=0)
    for rank in (1, 2, 7):
        other = drawn(rank=rank)
        assert torch.equal(shared, other[0])
        assert not (own == other[1]).any()
    assert not torch.isin(shared, own).any()


@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_process_takes_the_rows_of_its_samples(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the loader shares a batch: every ``world``-th, from its own number on."""
    kinds = {
        "uniform": lambda count: draws.uniform(count, 2, low=-1, high=3),
        "normal": lambda count: draws.normal(count, 2),
        "integers": lambda count: draws.integers(5, 100, count, 2),
    }
    for name, draw in kinds.items():
        torch.manual_seed(0)
        whole = draw(6)
        monkeypatch.setattr(ranks, "world", lambda: world)
        for rank in range(world):
            monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
            torch.manual_seed(0)
            assert torch.equal(draw(6 // world), whole[rank::world]), name
        monkeypatch.undo()


def test_limits_of_what_is_drawn() -> None:
    torch.manual_seed(0)
    even, whole = draws.uniform(4000, low=-1, high=3), draws.integers(5, 9, 4000)
    assert -1 <= even.min() < -0.98 and 2.98 < even.max() < 3
    assert whole.unique().tolist() == [5, 6, 7, 8]
    usual = draws.uniform(4000)
    assert 0 <= usual.min() < 0.005 and 0.995 < usual.max() < 1
    bell = draws.normal(4000)
    assert bell.mean().item() == pytest.approx(0, abs=0.06) and bell.std().item() == pytest.approx(
        1, abs=0.05
    )


@pytest.mark.parametrize("world", [2, 3])
def test_samples_have_generators_of_their_own(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_numbers(count: int) -> list[float]:
        seed_batch(0, 0, 0, ranks.rank())
        torch.rand(5 + ranks.rank())  # a dropout, which differs
        return [float(torch.rand((), generator=own)) for own in draws.generators(count)]

    alone = first_numbers(6)
    assert len(set(alone)) == 6
    monkeypatch.setattr(ranks, "world", lambda: world)
    for rank in range(world):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        assert first_numbers(6 // world) == alone[rank::world]


def test_a_seed_of_ones_own_counts() -> None:
    seed_batch(0, 0, 0, 0)
    assert generator() is not torch.default_generator
    torch.manual_seed(5)
    first = draws.uniform(3)
    torch.manual_seed(5)
    assert torch.equal(draws.uniform(3), first) and generator() is torch.default_generator


def test_what_draws_globally_can_draw_alike() -> None:
    found = []
    for rank in (0, 1):
        seed_batch(0, 0, 0, rank)
        with draws.alike():
            found.append(torch.rand(2))
        found[-1] = torch.cat((found[-1], draws.uniform(1)))  # goes on where that ended
    assert torch.equal(found[0], found[1])
    assert len(set(found[0].tolist())) == 3
