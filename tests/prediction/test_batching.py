"""Batch sizes that are found, memory that ends, pictures of mixed sizes, the same answers in any batch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from omegaconf import OmegaConf
from torch import Tensor

from vision_apps.core import assembly
from vision_apps.core.config import options
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import CheckpointError
from vision_apps.core.fields import ImageInputs
from vision_apps.prediction import batching
from vision_apps.prediction.batching import Answerer, BatchSize, answered
from vision_apps.prediction.reading import Item

CPU = torch.device("cpu")


class Answer(NamedTuple):
    means: Tensor  # float32 [B]
    nothing: Tensor | None = None


class Mean:
    """Answers with the mean; ``holds`` is how many pictures fit its memory."""

    def __init__(self, holds: int = 1000) -> None:
        self.holds = holds
        self.batches: list[int] = []

    def __call__(self, inputs: ImageInputs) -> Answer:
        images = inputs.images
        self.batches.append(len(images))
        if len(images) > self.holds:
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
            )
        return Answer(images.float().mean((1, 2, 3)))


def picture(brightness: int, height: int = 4, width: int = 4) -> Tensor:
    return torch.full((3, height, width), brightness, dtype=torch.uint8)


def item(number: int, image: Tensor) -> Item:
    return Item(number, ImageInputs(image[None]), image)


def items(count: int, sizes: tuple[int, ...] = (4,)) -> list[Item]:
    return [item(number, picture(number % 256, sizes[number % len(sizes)])) for number in range(count)]


def means(pairs: Iterator[tuple[Item, Any]]) -> list[float]:
    return [float(answer.means) for _, answer in pairs]


def search(seconds: Any, fits: bool = True) -> int:
    """The size that is found where a batch of n takes ``seconds(n)``."""
    found = BatchSize(64 * 64)
    for _ in range(200):
        if found.settled:
            return found.size
        found.took(found.size, seconds(found.size), fits)
    raise AssertionError("it never settles")


def test_doubles_while_it_helps() -> None:
    assert search(lambda n: 1.0) == 64  # a batch takes no longer than a picture
    assert search(lambda n: n) == 1
    assert search(lambda n: max(n, 16)) == 16
    assert search(lambda n: 10 + n) > 32
    assert search(lambda n: 1.0, fits=False) == 1


def test_one_slow_moment_does_not_decide() -> None:
    times = iter([1.0, 1.0, 1.0, 50.0, 50.0, 50.0, 1.0, 1.0, 1.0])  # of 1, then of 2 pictures
    found = BatchSize(64 * 64)
    for seconds in times:
        found.took(found.size, seconds)
    assert found.size == 4


def test_large_pictures_stay_few() -> None:
    assert BatchSize(50_000_000)._limit == 1
    found = BatchSize(1_000_000)
    while not found.settled:
        found.took(found.size, 1.0)
    assert found.size == 8


def test_only_whole_batches_are_measured() -> None:
    found = BatchSize(16)
    found.size = 4
    for _ in range(20):
        found.took(3, 1.0)
    assert found.size == 4 and not found.settled


def test_memory_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Mean(holds=5)
    answerer = Answerer(network, CPU, 16)
    assert means(answered(iter(items(40)), answerer)) == list(range(40))  # no picture is lost
    assert network.batches[:6] == [16, 8, 4, 4, 4, 4]  # the same pictures again
    assert max(network.batches[2:]) == 4


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_picture_that_does_not_fit_alone(error: Exception) -> None:
    class Full(Mean):
        def __call__(self, inputs: ImageInputs) -> Answer:
            images = inputs.images
            if images.shape[-1] > 50:
                raise error
            return super().__call__(inputs)

    given = [item(0, picture(1)), item(1, picture(2, 60, 70)), item(2, picture(3))]
    first, second, third = (answer for _, answer in answered(iter(given), Answerer(Full(), CPU, 2)))
    assert second == "70 x 60 pixels do not fit the memory of cpu"
    assert (float(first.means), float(third.means)) == (1, 3)


def test_other_errors_are_not_hidden() -> None:
    class Wrong(Mean):
        def __call__(self, inputs: ImageInputs) -> Answer:
            raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        list(answered(iter(items(3)), Answerer(Wrong(), CPU, None)))


def test_a_size_that_the_network_refuses() -> None:
    class Fixed(Mean):
        def __call__(self, inputs: ImageInputs) -> Answer:
            images = inputs.images
            if images.shape[-2] != 4:
                raise CheckpointError("takes pictures of 4 x 4 px only")
            return super().__call__(inputs)

    found = [answer for _, answer in answered(iter(items(4, (4, 6))), Answerer(Fixed(), CPU, 2))]
    assert [isinstance(answer, str) for answer in found] == [False, True, False, True]


def test_an_error_is_that_of_one_among_those_that_are_answered_together() -> None:
    class Picky(Mean):
        def __call__(self, inputs: ImageInputs) -> Answer:
            answer = super().__call__(inputs)
            if (answer.means == 2).any():
                raise CheckpointError("not this one")
            return answer

    found = [answer for _, answer in answered(iter(items(5)), Answerer(Picky(), CPU, 5))]
    assert [answer if isinstance(answer, str) else float(answer.means) for answer in found] == [
        0,
        1,
        "not this one",
        3,
        4,
    ]


class Numbers(NamedTuple):
    values: Tensor  # float32 [B, N]


def test_without_pictures() -> None:
    batches: list[int] = []

    def answer(inputs: Numbers) -> Answer:
        batches.append(len(inputs.values))
        if inputs.values.max() > 40 or len(inputs.values) > 3:
            raise MemoryError
        return Answer(inputs.values.mean(1))

    given = [Item(number, Numbers(torch.full((1, 1 + number % 2), float(number)))) for number in range(42)]
    answerer = Answerer(answer, CPU, 8)
    found = [answer for _, answer in answered(iter(given), answerer)]
    assert [float(answer.means) for answer in found[:41]] == list(range(41))
    assert found[41] == "it does not fit the memory of cpu"
    assert batches[:4] == [8, 4, 2, 2] and list(answerer.sizes) == [()]


@pytest.mark.parametrize("batch", [None, 1, 3, 64])
def test_mixed_sizes_keep_their_order(batch: int | None) -> None:
    given = items(100, (4, 4, 7, 5, 4))
    given[10] = Item(10, error="broken")
    given[99] = Item(99, error="broken")
    network = Mean()
    pairs = list(answered(iter(given), Answerer(network, CPU, batch)))
    assert [item.source for item, _ in pairs] == list(range(100))
    for item, answer in pairs:
        if item.error:
            assert answer == "broken"
        else:
            assert answer.means.tolist() == [item.source] and answer.nothing is None
    assert max(network.batches) <= (batch or 64)
    if batch == 3:
        assert sum(size == 3 for size in network.batches) >= 30


def test_what_is_read_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def source(given: list[Item]) -> Iterator[Item]:
        for item in given:
            taken.append(item.source)
            yield item

    # a lonely size first: its batch of 8 never comes together
    given = [item(0, picture(0, 9)), *items(500)[1:]]
    pairs = answered(source(given), Answerer(Mean(), CPU, 8))
    next(pairs)
    assert len(taken) == 4 * 8
    taken.clear()
    monkeypatch.setattr(batching, "_WINDOW_PIXELS", 10 * 16)
    given[0] = item(0, picture(0, 2))
    next(answered(source(given), Answerer(Mean(), CPU, 8)))
    assert len(taken) == 11  # 8 and ten times 16 pixels


def test_sizes_that_are_remembered_are_bounded() -> None:
    answerer = Answerer(Mean(), CPU, None)
    assert len(list(answered(iter(items(300, tuple(range(1, 201)))), answerer))) == 300
    assert len(answerer.sizes) == 64


@pytest.mark.parametrize("application", sorted(options.of_group("task")))
def test_answers_do_not_depend_on_the_batch(application: str) -> None:
    words = [f"task={application}", "data.train_images=8", "data.val_images=4", "data.test_images=4"]
    config: Any = OmegaConf.to_container(compose(words), resolve=True)
    torch.manual_seed(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False).eval()
    data.batch_type = module.batch_type
    module.requires_grad_(False)
    given = data.samples("test").__getitems__([0, 1, 2, 3])["images"]
    together, alone = (
        Answerer(module, CPU, batch).answers([module.encode(image[None], {}) for image in given])
        for batch in (4, 1)
    )
    for one, other in zip(together, alone, strict=True):
        for field, same in zip(one, other, strict=True):
            assert (field is None) == (same is None)
            if field is not None and field.is_floating_point():
                torch.testing.assert_close(field, same, rtol=1e-4, atol=1e-3)
            elif field is not None:  # rounding may decide between two classes or levels
                assert field.shape == same.shape
                assert ((field.int() - same.int()).abs() > 1).float().mean() < 1e-3
