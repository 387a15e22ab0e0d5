"""What every data set shares: its loaders, limits and augmentation."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy import ToyBatch, ToyData

from vision_apps.core.data import TensorSamples, split_indices
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Pixels, Stays, Text


def make(**arguments: Any) -> ToyData:
    data = ToyData(**arguments)
    data.batch_type = ToyBatch
    return data


@given(st.integers(1, 60), st.integers(0, 59), st.integers(0, 5))
def test_split_is_disjoint_complete_and_seeded(count: int, held_out: int, seed: int) -> None:
    held_out = min(held_out, count - 1)
    kept, held = split_indices(count, held_out, seed)
    assert len(held) == held_out
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(count))
    assert kept.tolist() == sorted(kept.tolist())
    again = split_indices(count, held_out, seed)
    assert torch.equal(kept, again[0])
    assert torch.equal(held, again[1])


def test_split_depends_on_the_seed() -> None:
    assert not torch.equal(split_indices(100, 10, 0)[1], split_indices(100, 10, 1)[1])


@pytest.mark.parametrize("held_out", [-1, 10, 11])
def test_split_that_leaves_nothing(held_out: int) -> None:
    with pytest.raises(ConfigError, match=f"^cannot hold {held_out} of 10 samples out: expected 0 to 9$"):
        split_indices(10, held_out, 0)


def test_samples_in_memory_come_in_whole_batches() -> None:
    samples = TensorSamples(images=torch.arange(10) * 2, labels=torch.arange(10))
    batch = samples.__getitems__([3, 1, 3])
    assert batch["images"].tolist() == [6, 2, 6]
    assert batch["labels"].tolist() == [3, 1, 3]
    assert len(samples) == 10


def test_batches_have_the_type_that_the_application_asks_for() -> None:
    batch = next(iter(make(batch_size=4).train_dataloader()))
    assert isinstance(batch, ToyBatch)
    assert (batch.images.shape, batch.images.dtype) == ((4, 3, 8, 8), torch.uint8)


def test_limits_take_the_first_samples() -> None:
    data = make(batch_size=4, limit_train=9, limit_val=3, limit_test=1000)
    assert [len(data.samples(split)) for split in ("train", "val", "test")] == [9, 3, 50]
    assert len(data.train_dataloader()) == 2
    (batch,) = data.val_dataloader()
    assert torch.equal(batch.images, make().load("val", ("images", "labels")).fields["images"][:3])


def test_last_evaluation_batch_is_small() -> None:
    data = make(batch_size=16, eval_batch_size=20)
    assert [len(batch.images) for batch in data.val_dataloader()] == [20, 20, 10]
    assert [len(batch.images) for batch in data.train_dataloader()] == [16, 16, 16]
    assert [len(batch.images) for batch in make(batch_size=16).test_dataloader()] == [16, 16, 16, 2]


def test_position_is_restored_before_and_after_the_loader_is_made() -> None:
    whole = [batch.labels.tolist() for batch in make(batch_size=8).train_dataloader()]
    for early in (True, False):
        data = make(batch_size=8)
        if early:
            data.train_dataloader()
        data.load_state_dict({"epoch": 0, "batch": 4})
        loader = data.loaders["train"] if early else data.train_dataloader()
        assert [batch.labels.tolist() for batch in loader] == whole[4:]
    assert make().state_dict() == {}


def test_transforms_that_are_null_are_left_out() -> None:
    def same(batch: Any) -> Any:
        return batch

    augment: dict[str, Callable | None] = {"one": same, "two": None}
    assert list(make(augment=augment).augment) == ["one"]


def test_batches_are_augmented_only_in_training() -> None:
    batch = next(iter(make().val_dataloader()))
    assert make(augment={"fail": lambda batch: 1 / 0}).on_after_batch_transfer(batch, 0) is batch


def test_a_transform_that_does_not_fit_is_named_as_it_is_configured() -> None:
    def unfit(batch: Any) -> Any:
        raise ConfigError("data.augment: Unfit does not fit")

    data = make(augment={"crop": lambda batch: batch, "flip": unfit})
    batch = next(iter(data.val_dataloader()))
    progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=1)))
    fit_loop = SimpleNamespace(epoch_loop=progress)
    data.trainer = SimpleNamespace(training=True, fit_loop=fit_loop, current_epoch=0, global_rank=0)
    with pytest.raises(ConfigError, match=r"Unfit does not fit; data\.augment\.flip=null leaves it out"):
        data.on_after_batch_transfer(batch, 0)


def test_the_fingerprint_tells_other_data_and_other_splits() -> None:
    def fingerprint(**arguments: Any) -> dict[str, Any]:
        data = ToyData(**arguments)
        data.batch_type = ToyBatch
        return data.fingerprint()

    first = fingerprint(count=40)
    assert first == fingerprint(count=40, batch_size=3)
    assert [first[split]["samples"] for split in ("train", "val", "test")] == [40, 40, 40]
    assert len({first[split]["sha256"] for split in first}) == 3
    assert fingerprint(count=40, limit_train=30)["train"] != first["train"]


class Told(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    words: Annotated[Tensor, Text()]
    answers: Annotated[Tensor, Stays(empty=-1)]


class Telling(ToyData):
    """Two pictures with a sentence and an answer each, filled up to ``length``."""

    fields = Told._fields

    def __init__(self, words: list[int], length: int) -> None:
        super().__init__()
        self.words, self.length = words, length

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        words, answers = torch.zeros(2, self.length, dtype=torch.int64), torch.full((2, self.length), -1)
        words[0, : len(self.words)] = torch.tensor(self.words)
        answers[0, :2] = torch.tensor([0, 4])
        return TensorSamples(images=torch.zeros(2, 3, 8, 8, dtype=torch.uint8), words=words, answers=answers)


def test_the_fingerprint_is_the_same_where_samples_are_filled_up_to_another_length() -> None:
    def fingerprint(words: list[int], length: int) -> dict[str, Any]:
        data = Telling(words, length)
        data.batch_type = Told
        return data.fingerprint()

    assert fingerprint([3, 5], 9) == fingerprint([3, 5], 4)
    assert fingerprint([3, 5], 4) != fingerprint([3, 6], 4)
    assert fingerprint([3, 5], 4) != fingerprint([3, 5, 1], 4)
