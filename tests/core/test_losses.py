"""Parts of a loss: what is summed, what it is divided by, and that it does not matter where a batch was
cut."""

import copy
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from vision_apps.core import ranks
from vision_apps.core.losses import Part, RunningLosses, Sums, joined, mean, ratio, values


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


def test_a_part_counts_once_unless_it_is_weighed() -> None:
    once = mean(torch.tensor([1.0, 4.0]))
    assert numbers(values({"a": once, "b": joined([once, once])})) == {"loss": 2.5 + 5.0, "a": 2.5, "b": 5.0}


def test_processes_that_share_a_batch_have_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four pictures one process has three objects and the other one: the mean of their gradients, which
    is what DDP takes, is that of the whole batch, and both see the losses of all."""
    network = torch.tensor([0.5, -2.0], requires_grad=True)
    pictures = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0], [2.0, 4.0]])
    objects = torch.tensor([2.0, 0.0, 1.0, 1.0])

    def parts(rows: Sequence[int]) -> dict[str, Part]:
        said = (pictures[rows] @ network).square()
        return {
            "box": Part((said * objects[rows]).sum(), objects[rows].sum(), weight=3.0),
            "presence": mean(said),
            "both": joined([mean(said.sqrt()), Part(said.sum(), objects[rows].sum(), 0.5)], weight=2.0),
            "objects": Part(objects[rows].sum(), len(rows), weight=0),
        }

    whole = values(parts(range(4)))
    (expected,) = torch.autograd.grad(whole["loss"], network)
    shares = [[0, 2], [1, 3]]
    sent: list[Tensor] = []
    monkeypatch.setattr(ranks, "world", lambda: 2)
    monkeypatch.setattr(ranks, "summed", lambda own: sent.append(own) or own)
    for rows in shares:
        values(parts(rows))
    monkeypatch.setattr(ranks, "summed", lambda own: sent[0] + sent[1])
    gradients = []
    for rows in shares:
        found = values(parts(rows))
        torch.testing.assert_close(detached(found), detached(whole))
        gradients += torch.autograd.grad(found["loss"], network)
    torch.testing.assert_close((gradients[0] + gradients[1]) / 2, expected)


def detached(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in parts.items()}


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
    assert sums.values()["loss"].dtype == torch.float32


def test_a_batch_that_is_no_number_shows() -> None:
    sums = Sums()
    for value in (1.0, float("nan"), 2.0):
        sums.add({"loss": Part(torch.tensor(value), 1)})
    assert sums.values()["loss"].isnan()


def test_a_line_of_the_log_is_the_mean_over_its_steps() -> None:
    running = RunningLosses()
    for value in (1.0, 2.0, 6.0):
        running.add({"loss": torch.tensor(value, requires_grad=True), "box": torch.tensor(-value)})
    assert numbers(running.means()) == {"loss": 3.0, "box": -3.0}
    assert numbers(running.latest) == {"loss": 6.0, "box": -6.0}
    assert not running.latest["loss"].requires_grad and not running.means()["loss"].requires_grad
    resumed = RunningLosses()
    resumed.load_state_dict(copy.deepcopy(running.state_dict()))  # as through a file
    for one in (running, resumed):
        one.add({"loss": torch.tensor(3.0), "box": torch.tensor(1.0)})
        assert numbers(one.means()) == {"loss": 3.0, "box": -2.0}
    running.restart()
    assert running.means() == {}
    running.add({"loss": torch.tensor(4.0)})
    assert numbers(running.means()) == {"loss": 4.0}
