"""Parts of a loss: what is summed, what it is divided by, and that it does not matter where a batch was
cut."""

from functools import partial

import pytest
import torch
from torch import Tensor

from vision_apps.core.losses import Part, Sums, joined, mean, ratio, values


def numbers(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in parts.items()}


def test_the_loss_is_the_weighted_sum_and_comes_first() -> None:
    parts = {
        "box": Part(torch.tensor(6.0), 4, weight=2.0),
        "class": Part(torch.tensor(5.0), torch.tensor(2)),
        "positives": Part(torch.tensor(9.0), 3, weight=0),
    }
    found = values(parts)
    assert numbers(found) == {"loss": 2 * 1.5 + 2.5, "box": 1.5, "class": 2.5, "positives": 3.0}
    assert next(iter(found)) == "loss"
    assert numbers(
        values({"loss": Part(torch.tensor(3.0), 2), "other": mean(torch.tensor([1.0, 4.0]), 0.5)})
    ) == {
        "loss": 1.5 + 0.5 * 2.5,
        "other": 2.5,
    }


@pytest.mark.parametrize("count", [0, torch.tensor(0), torch.tensor(0.0)])
def test_nothing_counted_is_0_with_gradients(count: Tensor | float) -> None:
    total = (torch.ones(3, requires_grad=True) * 0).sum()
    value = ratio(total, count)
    value.backward()
    assert value == 0


def test_a_count_can_have_a_least() -> None:
    assert ratio(torch.tensor(3.0), torch.tensor(0.5), least=1) == 3
    assert ratio(torch.tensor(3.0), 2, least=1) == 1.5


def test_joined_parts_are_one() -> None:
    vector = Part(
        torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5, 6]), 0.5, lambda t, n: (t[0] * n).sum()
    )
    one = joined([Part(torch.tensor(6.0), 4), vector], weight=3.0)
    assert one.value(one.total, one.count) == 1.5 + 0.5 * (5 + 12) and one.weight == 3.0


def test_parts_of_an_evaluation_are_those_of_the_whole() -> None:
    """Three objects in the first batch, one in the second, none in the third."""
    batches = [(torch.tensor(6.0), 3), (torch.tensor(10.0), 1), (torch.tensor(0.0), 0)]
    sums = Sums()
    for total, count in batches:
        sums.add(
            {"box": Part(total, count, value=partial(ratio, least=1)), "n": Part(total * 0 + count, 1, 0)}
        )
    assert numbers(sums.values()) == {"loss": 4.0, "box": 4.0, "n": pytest.approx(4 / 3)}
    sums.restart()
    assert sums.values() == {}


def test_sums_do_not_lose_what_is_small() -> None:
    sums = Sums()
    for value in (1e8, *[1.0] * 1000):
        sums.add({"loss": Part(torch.tensor(value), 1)})
    assert sums.values()["loss"].item() == pytest.approx((1e8 + 1000) / 1001, rel=1e-7)


def test_a_batch_that_is_no_number_shows() -> None:
    sums = Sums()
    for value in (1.0, float("nan"), 2.0):
        sums.add({"loss": Part(torch.tensor(value), 1)})
    assert sums.values()["loss"].isnan()
