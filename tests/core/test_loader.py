"""Batches: an order from (seed, epoch), whole batches, shares of ranks, broken files."""

import itertools
import logging
import multiprocessing
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vision_apps.core.data import TensorSamples
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.seeding import permutation


class Batch(NamedTuple):
    images: Tensor
    extra: Tensor | None = None


class Files:
    """Sample ``i`` is the number i; some cannot be read. Must be importable by loader workers."""

    def __init__(self, count: int, broken: frozenset[int] = frozenset()) -> None:
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index in self.broken:
            raise CorruptSample(f"photos/{index}.jpg", "truncated after 12 bytes")
        return {"images": torch.tensor(index)}


def numbers(count: int) -> TensorSamples:
    return TensorSamples(images=torch.arange(count))


def make(samples: Any = None, batch_size: int = 4, **rest: Any) -> BatchLoader:
    return BatchLoader(numbers(22) if samples is None else samples, Batch, batch_size=batch_size, **rest)


def flat(lists: Iterable[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(lists))


def epoch(loader: BatchLoader, number: int = 0) -> list[list[int]]:
    loader.set_epoch(number)
    return [batch.images.tolist() for batch in loader]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    loader = make(shuffle=True, seed=5)
    first, second = epoch(loader, 0), epoch(loader, 1)
    fresh = make(shuffle=True, seed=5)
    assert epoch(fresh, 1) == second  # without having seen epoch 0
    assert first != second
    assert epoch(make(shuffle=True, seed=6), 0) != first
    assert flat(first) != sorted(flat(first))


@given(st.integers(1, 40), st.integers(1, 50))
def test_training_batches_are_whole_and_of_different_samples(count: int, batch_size: int) -> None:
    loader = make(numbers(count), batch_size, shuffle=True)
    batches = epoch(loader)
    used = flat(batches)
    assert {len(batch) for batch in batches} == {min(batch_size, count)}
    assert len(batches) == len(loader) == count // min(batch_size, count)
    assert len(set(used)) == len(used)


@given(st.integers(1, 40), st.integers(1, 50))
def test_evaluation_sees_each_sample_once_in_order(count: int, batch_size: int) -> None:
    loader = make(numbers(count), batch_size)
    batches = epoch(loader)
    assert flat(batches) == list(range(count))
    assert len(batches) == len(loader)
    assert epoch(loader) == batches  # as often as it is asked


def test_what_an_epoch_leaves_out_differs() -> None:
    loader = make(shuffle=True)
    left_out = [frozenset(range(22)) - set(flat(epoch(loader, number))) for number in range(5)]
    assert all(len(rest) == 2 for rest in left_out)
    assert len(set(left_out)) > 1


def assert_goes_on(make_loader: Callable[[], BatchLoader], done: int) -> None:
    begun = make_loader()
    begun.set_epoch(3)
    seen = [batch.images.tolist() for batch in itertools.islice(begun, done)]
    resumed = make_loader()
    resumed.load_state_dict(begun.state_dict())
    number = begun.state_dict()["epoch"]
    assert number == (3 if done < 5 else 4)
    expected = epoch(make_loader(), number)
    assert epoch(resumed, number) == (expected[done:] if done < 5 else expected)
    assert seen == epoch(make_loader(), 3)[:done]


@pytest.mark.parametrize("done", range(6))
def test_goes_on_within_an_epoch(done: int) -> None:
    assert_goes_on(lambda: make(shuffle=True), done)
    assert_goes_on(lambda: make(Files(22), shuffle=True), done)


def test_workers_that_read_ahead_are_not_ahead_in_the_position() -> None:
    assert_goes_on(lambda: make(Files(22), shuffle=True, workers=2), 2)


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_reader_processes_end(how: str) -> None:
    before = set(multiprocessing.active_children())
    loader = make(Files(8), workers=2)
    epoch(loader)
    assert len(set(multiprocessing.active_children()) - before) == 2
    if how == "closed":
        loader.close()
        assert set(multiprocessing.active_children()) == before
        assert epoch(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    del loader
    assert set(multiprocessing.active_children()) == before


def test_position_is_two_integers() -> None:
    loader = make(shuffle=True)
    loader.set_epoch(2)
    next(iter(loader))
    assert loader.state_dict() == {"epoch": 2, "batch": 1}
    loader.set_epoch(2)  # said again: it stays where it is
    assert loader.state_dict() == {"epoch": 2, "batch": 1}
    loader.set_epoch(3)
    assert loader.state_dict() == {"epoch": 3, "batch": 0}


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_the_global_batch(world_size: int) -> None:
    whole = epoch(make(batch_size=6, shuffle=True), 1)
    shares = [
        epoch(make(batch_size=6, shuffle=True, rank=rank, world_size=world_size), 1)
        for rank in range(world_size)
    ]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert {len(part) for part in parts} == {6 // world_size}
        assert sorted(flat(parts)) == sorted(batch)


@given(st.integers(2, 30), st.integers(1, 5), st.integers(1, 4))
def test_ranks_evaluate_each_sample_once(count: int, per_rank: int, world_size: int) -> None:
    if count < world_size:
        return
    shares = [
        epoch(make(numbers(count), per_rank * world_size, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert len({len(share) for share in shares}) == 1
    assert all(share and all(share) for share in shares if count > 1 or share)
    assert sorted(flat(flat(shares))) == list(range(count))


@pytest.mark.parametrize(
    ("count", "batches"),
    [
        (8, [[8]]),
        (9, [[9]]),  # one is too few for two ranks, and joins the batch before it
        (10, [[8], [2]]),  # two just fit
        (11, [[8], [3]]),
        (17, [[8], [9]]),
        (18, [[8], [8], [2]]),
    ],
)
def test_a_last_batch_that_just_fits_the_ranks_is_one_of_its_own(
    count: int, batches: list[list[int]]
) -> None:
    shares = [epoch(make(numbers(count), 8, rank=rank, world_size=2)) for rank in (0, 1)]
    together = [[len(one) + len(other)] for one, other in zip(*shares, strict=True)]
    assert together == batches
    assert sorted(flat(flat(shares))) == list(range(count))


def test_batch_that_cannot_be_shared() -> None:
    with pytest.raises(ConfigError) as caught:
        make(batch_size=7, world_size=2)
    assert str(caught.value) == (
        "data.batch_size: 7 samples cannot be shared by 2 processes; it is the global batch: "
        "choose a multiple of 2, or change trainer.devices"
    )


def test_too_few_samples() -> None:
    with pytest.raises(DataError, match=r"^data: 1 samples cannot be shared by 2 processes$"):
        make(numbers(1), world_size=2)
    with pytest.raises(DataError, match=r"^data: there are no samples"):
        make(numbers(0))


def test_fields_that_the_application_asks_for() -> None:
    samples = TensorSamples(images=torch.arange(4), other=torch.arange(4))
    assert next(iter(make(samples))).extra is None
    samples = TensorSamples(images=torch.arange(4), extra=torch.arange(4) + 10)
    assert next(iter(make(samples))).extra.tolist() == [10, 11, 12, 13]


def refusal(loader: BatchLoader) -> str:
    try:
        epoch(loader)
    except DataError as error:  # pytest.raises would keep the loader and its processes
        return str(error)
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_file_is_refused(workers: int) -> None:
    assert refusal(make(Files(8, frozenset({5})), workers=workers)) == (
        "data: photos/5.jpg: truncated after 12 bytes\n  Remove or mend the file, leave it out with "
        "data.on_corrupt=skip, or list all such files: vision-apps data check data=..."
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_left_out_counted_and_named(workers: int, caplog: pytest.LogCaptureFixture) -> None:
    broken = frozenset({1, 4, 5, 6, 7, 9})
    loader = make(Files(11, broken), on_corrupt="skip", workers=workers)
    with caplog.at_level(logging.WARNING, "vision_apps"):
        assert epoch(loader) == [[0, 2, 3], [8, 10]]  # the batch of 4 to 7 has nothing to give
        assert epoch(loader) == [[0, 2, 3], [8, 10]]
    assert loader.corrupt == {f"photos/{number}.jpg": "truncated after 12 bytes" for number in sorted(broken)}
    assert len(caplog.messages) == len(broken)  # each once, not at each epoch
    assert caplog.messages[0] == "left out a broken file (1 so far): photos/1.jpg: truncated after 12 bytes"


def test_nothing_but_broken_files() -> None:
    with pytest.raises(DataError, match=r"^data: every file is broken, such as photos/0.jpg$"):
        epoch(make(Files(8, frozenset(range(8))), on_corrupt="skip"))


@pytest.mark.parametrize(
    "settings", [{"shuffle": True}, {"world_size": 2}], ids=["training", "several ranks"]
)
def test_batch_of_nothing_but_broken_files(settings: dict[str, Any]) -> None:
    """Going on without it would end the epoch without a validation, and leave other ranks waiting."""
    assert re.fullmatch(
        r"data: all [24] files of a batch are broken: photos/\d.jpg: truncated after 12 bytes; "
        r"list them: vision-apps data check data=\.\.\., or choose a larger data.batch_size",
        refusal(make(Files(8, frozenset(range(7))), on_corrupt="skip", **settings)),
    )


class Uneven:
    """Some samples are longer, some have a field that others have not, and some cannot be."""

    def __init__(self, *samples: dict[str, Any] | DataError) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.samples[index]
        if isinstance(sample, DataError):
            raise sample
        return sample


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_that_make_no_batch(workers: int) -> None:
    """A field that the first sample lacks is not left out of the others, and no traceback of a worker is
    told."""
    one = {"images": torch.tensor(1)}
    both = {**one, "extra": torch.tensor(2)}
    for samples in ((one, both), (both, one)):
        assert refusal(make(Uneven(*samples), workers=workers)) == "data: 1 of 2 samples have no 'extra'"
    longer = {"images": torch.ones(2)}
    assert refusal(make(Uneven({"images": torch.ones(1)}, longer), workers=workers)).startswith(
        "data: samples of one batch differ in the shape of 'images': [1], [2]; expected"
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_that_are_no_tensors(workers: int) -> None:
    """None is a field that is not there; anything else is told by its field and what was expected."""
    one = torch.tensor(1)
    (batch,) = make(Uneven({"images": one, "extra": None}, {"images": one}), workers=workers)
    assert batch.images.tolist() == [1, 1] and batch.extra is None
    some = make(Uneven({"images": one, "extra": None}, {"images": one, "extra": one}), workers=workers)
    assert refusal(some) == "data: 1 of 2 samples have no 'extra'"
    for value, told in (("is it red", "str 'is it red'"), (3, "int 3"), ([1, 2], "list [1, 2]")):
        assert refusal(make(Uneven({"images": one}, {"images": value}), workers=workers)) == (
            f"data: 'images' of sample 1 is {told}; expected a tensor (words as their numbers, int64 "
            "[L]), or None where the sample has none"
        )
    mine = Uneven({"images": one}, DataError("rows.csv: line 3 has no label"))
    assert refusal(make(mine, workers=workers)) == "rows.csv: line 3 has no label"


@pytest.mark.parametrize("samples", [22, 20, 3])
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_remainder_is_filled_up_with_others_of_the_epoch(samples: int, ranks: int) -> None:
    loaders = [
        make(numbers(samples), shuffle=True, remainder="fill", rank=rank, world_size=ranks)
        for rank in range(ranks)
    ]
    for number in range(3):
        shares = [epoch(loader, number) for loader in loaders]
        batches = [flat(batch) for batch in zip(*shares, strict=True)]
        whole = min(4, samples // ranks * ranks)
        assert {len(batch) for batch in batches} == {whole}
        assert len(batches) == len(loaders[0]) == -(-samples // whole)
        seen = flat(batches)
        assert set(seen) == set(range(samples))
        first = permutation(samples, 0, number).tolist()
        again = sorted(seen)
        for sample in range(samples):
            again.remove(sample)
        assert again == sorted(first[: len(again)])
