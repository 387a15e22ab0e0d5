"""When a file counts as the same as its network."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import Asked
from torch import Tensor

from vision_apps.core.data import TensorSamples
from vision_apps.core.errors import RunError
from vision_apps.core.fields import together
from vision_apps.export import parity
from vision_apps.export.parity import FLOATS, WHOLE, Difference
from vision_apps.trained.description import Entry

NUMBERS = st.floats(-1e6, 1e6, width=32)
PAIRS = st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5), min_size=1, max_size=3)


def compared(one: Any, other: Any, dtype: torch.dtype = torch.float32, **settings: Any) -> Difference:
    difference = Difference("x", **settings)
    difference.update(torch.tensor(one, dtype=dtype), torch.tensor(other, dtype=dtype))
    return difference


@given(PAIRS)
def test_floats_by_their_largest_difference(parts: list[list[tuple[float, float]]]) -> None:
    difference = Difference("x")
    for part in parts:
        one, other = torch.tensor(part).T
        difference.update(one, other)
    pairs = np.array([pair for part in parts for pair in part])
    apart = abs(pairs[:, 0] - pairs[:, 1])
    assert difference.largest == apart.max()
    assert difference.differing == np.count_nonzero(apart)
    assert difference.values == len(pairs)
    assert difference.good == (apart.max() <= 1e-4 * max(1, abs(pairs[:, 0]).max()))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3000))
def test_whole_numbers_by_how_many_differ(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=np.uint8).T
    difference = compared(one, other, torch.uint8)
    apart = abs(one.astype(int) - other.astype(int))  # and not modulo 256
    assert (difference.largest, difference.differing) == (apart.max(), np.count_nonzero(apart))
    assert difference.good == (np.mean(apart != 0) <= 1e-3)


@pytest.mark.parametrize(("wrong", "good"), [(0, True), (1, True), (2, False)])
def test_of_a_thousand_whole_numbers_one_may_differ(wrong: int, good: bool) -> None:
    other = [1] * wrong + [0] * (1000 - wrong)
    assert compared([0] * 1000, other, torch.int64).good is good
    assert compared([0] * 1000, other, torch.int64, exact=True).good is (wrong == 0)


@pytest.mark.parametrize(
    ("one", "other", "good"),
    [
        ([0.0, 1.0], [0.0, 1.0 + FLOATS / 2], True),
        ([0.0, 1.0], [0.0, 1.0 + FLOATS * 2], False),
        ([0.0, 1000.0], [0.05, 1000.0], True),  # relative to the largest of the output, not to the value
        ([0.0, 0.001], [0.0, 0.001 + FLOATS / 2], True),  # but at least to 1
        ([float("nan")], [1.0], False),
        ([1.0], [float("nan")], False),
        ([float("nan")], [float("nan")], False),  # a network that answers so is not fit to be exported
        ([1.0], [float("inf")], False),
        ([float("inf")], [1.0], False),  # an infinite value does not allow an infinite difference
        ([float("inf"), 1.0], [float("inf"), 1.0], False),
        ([], [], True),
    ],
)
def test_what_is_good(one: list[float], other: list[float], good: bool) -> None:
    assert compared(one, other).good is good


def test_only_the_same_is_exact() -> None:
    assert compared([0.5, 1.0], [0.5, 1.0], exact=True).good
    bad = compared([0.5, 1.0], [0.5, 1.0000001], exact=True)
    assert not bad.good
    assert str(bad) == "x: 1 of 2 values differ (allowed: none)"


def test_in_words() -> None:
    assert str(compared([0.0, 20.0], [0.0, 20.5])) == "x: largest difference 0.5 (allowed: 0.002)"
    assert str(compared([0, 7, 3], [0, 7, 5], torch.int64)) == (
        f"x: 1 of 3 values differ, by at most 2 (allowed: {WHOLE:.1%} of them)"
    )


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (torch.zeros(2, 3), r"torch.float32 \[3, 2\], the file torch.float32 \[2, 3\]"),
        (torch.zeros(3, 1), r"\[3, 2\], the file torch.float32 \[3, 1\]"),  # would be spread over the others
        (torch.zeros(3, 2, dtype=torch.float64), r"the file torch.float64 \[3, 2\]"),
    ],
)
def test_another_shape_or_type_is_an_error(other: Tensor, told: str) -> None:
    with pytest.raises(RunError, match=rf"does not answer as the network does: scores: .*{told}"):
        Difference("scores").update(torch.zeros(3, 2), other)


def sample(number: int, length: int, height: int = 8, width: int = 6) -> Asked:
    generator = torch.Generator().manual_seed(number)
    images = torch.randint(256, (1, 3, height, width), generator=generator, dtype=torch.uint8)
    return Asked(images, torch.randint(1, 9, (1, length), generator=generator))


@pytest.fixture
def module() -> tiny.Asks:
    torch.manual_seed(0)
    return tiny.Asks(tiny.Reads(), tiny.NAMES).eval()


IMAGES: Entry = {"name": "images", "dtype": "uint8", "shape": ["batch", 3, "height", "width"]}
QUESTIONS: Entry = {"name": "questions", "dtype": "int64", "shape": ["batch", "questions_length"]}


def test_in_other_sizes(module: tiny.Asks) -> None:
    """A picture goes on with itself; a text ends earlier, because a network may know no longer ones."""
    two = together([sample(0, 6), sample(1, 3)])
    other = parity.resized(module, two, [IMAGES, QUESTIONS])
    assert torch.equal(other.images, two.images.repeat(1, 1, 2, 2)[..., :10, :9])
    assert torch.equal(other.questions, two.questions[:, :4])
    fixed: Entry = {**QUESTIONS, "shape": ["batch", 6]}
    other = parity.resized(module, two, [IMAGES, fixed])
    assert other.images.shape == (2, 3, 10, 9) and torch.equal(other.questions, two.questions)
    assert parity.resized(module, two, [{**IMAGES, "shape": ["batch", 3, 8, 6]}, fixed]) is None


def config(**data: Any) -> dict[str, Any]:
    return {"data": {"_target_": "tiny.Data", **data}}


def test_samples_of_the_test_data(module: tiny.Asks) -> None:
    found = parity.samples(config(), module, [IMAGES, QUESTIONS])
    assert (found.source, found.real) == ("5 samples of the run's test data", True)
    # as long as they are, and again from the first
    assert [inputs.questions.shape for inputs in found.inputs] == [(1, n) for n in (2, 5, 1, 4, 6, 2, 5, 1)]
    test = tiny.Data().load("test", ()).fields
    for index, inputs in enumerate(found.inputs):
        assert torch.equal(inputs.images[0], test["images"][index % 5])
        assert torch.equal(inputs.questions[0], test["questions"][index % 5])

    fixed = parity.samples(config(), module, [IMAGES, {**QUESTIONS, "shape": ["batch", 4]}])
    assert [inputs.questions[0].tolist() for inputs in fixed.inputs[:5]] == [
        (words.tolist() + [0] * 4)[:4] for words in test["questions"]
    ]
    assert [inputs.questions for inputs in parity.samples(config(), module, [IMAGES]).inputs] == [None] * 8


def test_data_that_lack_an_input(module: tiny.Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tiny.Data,
        "load",
        lambda *_: TensorSamples(
            images=torch.zeros(3, 3, 8, 8, dtype=torch.uint8), questions=torch.zeros(3, 0, dtype=torch.int64)
        ),
    )
    found = parity.samples(config(), module, [IMAGES, QUESTIONS])
    told = "generated samples, because the run's test data cannot be read (a sample has no questions)"
    assert (found.source, found.real) == (told, False)
    assert torch.equal(together(found.inputs).questions, module.example().questions.repeat(4, 1))


def test_every_sample_by_itself_and_all_together(module: tiny.Asks) -> None:
    sizes: list[int] = []

    def network(inputs: Asked) -> tiny.Answer:
        sizes.append(len(inputs.images))
        scores, chosen = module(inputs)
        return tiny.Answer(scores + 0.25 * (len(inputs.images) == 8), chosen)  # wrong in a batch only

    inputs = [sample(number, 1 + number % 4) for number in range(8)]
    scores, chosen = parity.of_outputs(
        module.exportable, network, ("scores", "chosen"), [*inputs, together(inputs)]
    )
    assert sizes == [1] * 8 + [8]
    assert (scores.name, scores.values, scores.good) == ("scores", 32, False)
    assert scores.largest == pytest.approx(0.25)
    assert (chosen.name, chosen.values, chosen.differing, chosen.good) == ("chosen", 16, 0, True)
