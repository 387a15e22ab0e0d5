"""Agents that look at views: the sequence to sequence and the Transformer, in both kinds of worlds."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vision_apps.applications.navigation.agent import Agent, Decision
from vision_apps.applications.navigation.cross_modal import CrossModal
from vision_apps.applications.navigation.eyes import attended
from vision_apps.applications.navigation.seq2seq import Seq2Seq
from vision_apps.applications.navigation.types import Observation
from vision_apps.core.errors import ConfigError, DataError

WORDS = ["", "<unknown>", "go", "to", "the", "sofa", "lamp"]
D, A = 6, 4
SMALL: dict[str, Callable[..., Agent]] = {
    "seq2seq": lambda **rest: Seq2Seq(WORDS, A, 16, words=8, hidden=12, action=4, width=10, **rest),
    "transformer": lambda **rest: CrossModal(WORDS, A, 16, width=16, heads=2, inner=24, **rest),
}


@pytest.fixture(params=sorted(SMALL))
def made(request: pytest.FixtureRequest) -> Callable[..., Agent]:
    torch.manual_seed(0)
    return SMALL[request.param]


def views(count: int = 3, seed: int = 0) -> Observation:
    """Of the first agent the last action is impossible."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    possible = torch.ones(count, A, dtype=torch.bool)
    possible[0, -1] = False
    return Observation(None, random(36, D + 4), random(A, D + 5), possible, random(4))


def pixels(count: int = 3) -> Observation:
    return Observation(torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


TOLD = torch.tensor([[2, 3, 4, 5], [2, 6, 0, 0], [0, 0, 0, 0]])


def steps(agent: Agent, observations: list[Observation], told: Tensor = TOLD) -> list[Decision]:
    words, memory, found = agent.read(told), torch.zeros(len(told), agent.memory), []
    for observation in observations:
        found.append(agent.decide(agent.see(observation, words), words, memory))
        memory = found[-1].memory
    return found


def assert_same(one: list[Decision], other: list[Decision]) -> None:
    for left, right in zip(one, other, strict=True):
        for a, b in zip(left, right, strict=True):
            torch.testing.assert_close(a, b[:, : a.shape[1]], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("world", ["views", "pixels"])
def test_decides_what_is_possible_and_tells_which_words_it_heeds(
    world: str, made: Callable[..., Agent]
) -> None:
    agent = made(feature_width=D if world == "views" else None).eval()
    seen = [views(), views(seed=1)] if world == "views" else [pixels(), pixels()]
    for decision in steps(agent, seen):
        assert decision.logits.shape == (3, A) and decision.memory.shape == (3, agent.memory)
        impossible = decision.logits == -torch.inf
        assert impossible.sum() == (1 if world == "views" else 0)
        assert decision.logits[~impossible].isfinite().all()
        torch.testing.assert_close(decision.attention.sum(1), torch.tensor([1.0, 1.0, 0.0]))
        assert (decision.attention >= 0).all() and not decision.attention[1, 2:].any()


def test_what_stands_past_the_end_and_who_else_is_there_changes_nothing(made: Callable[..., Agent]) -> None:
    agent = made(feature_width=D).eval()
    seen = [views(), views(seed=1)]
    whole = steps(agent, seen)
    assert_same(whole, steps(agent, seen, torch.nn.functional.pad(TOLD, (0, 5))))
    for row in range(3):
        alone = [Observation(None, *(part[row : row + 1] for part in one[1:])) for one in seen]
        expected = [Decision(*(part[row : row + 1] for part in decision)) for decision in whole]
        assert_same(expected, steps(agent, alone, TOLD[row : row + 1]))


def test_words_order_and_memory_matter(made: Callable[..., Agent]) -> None:
    agent = made(feature_width=D).eval()
    first, second = steps(agent, [views(), views()])
    assert not torch.allclose(first.logits[1], second.logits[1])
    turned = steps(agent, [views()], TOLD.flip(1))[0]
    assert not torch.allclose(first.logits[0], turned.logits[0])


@pytest.mark.parametrize("world", ["views", "pixels"])
def test_every_parameter_learns(world: str, made: Callable[..., Agent]) -> None:
    agent = made(feature_width=D if world == "views" else None)
    seen = [views(), views(seed=1)] if world == "views" else [pixels(), pixels()]
    total = sum(decision.logits[:, :3].square().sum() for decision in steps(agent, seen))
    assert isinstance(total, Tensor)
    total.backward()
    silent = [n for n, p in agent.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not silent
    if world == "views":
        assert not [n for n, p in agent.named_parameters() if not p.grad.any() and n != "eyes.actions"]


def test_rows_past_the_end_of_a_way_harm_nothing(made: Callable[..., Agent]) -> None:
    agent = made(feature_width=D)
    words = agent.read(TOLD)
    seen = tuple(torch.zeros_like(part) for part in agent.see(views(), words))
    decision = agent.decide(seen, words, torch.zeros(3, agent.memory))
    assert decision.memory.isfinite().all()
    decision.memory.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in agent.parameters())


def test_a_picture_is_no_place_in_a_building(made: Callable[..., Agent]) -> None:
    agent = made(feature_width=D)
    with pytest.raises(DataError, match="name an episode"):
        agent.see(pixels(), agent.read(TOLD))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: CrossModal(WORDS, A, 16, width=18, heads=4), "model.width: 18, model.heads: 4"),
        (lambda: CrossModal(WORDS, A, 16, looking=0), "model.looking: 0"),
        (lambda: Seq2Seq(WORDS, A, 7, cell=8), "model.cell: 8 px; pictures have 7 x 7"),
    ],
)
def test_sizes_that_do_not_fit_are_told(make: Callable[[], Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()


def test_attention_is_a_mean_by_fit() -> None:
    query, vectors = torch.randn(2, 5), torch.randn(2, 3, 5)
    there = torch.tensor([[True, True, False], [False, False, False]])
    mean, weights = attended(query, vectors, there)
    fits = torch.stack([query[0] @ vectors[0, word] for word in range(2)]).exp()
    torch.testing.assert_close(weights[0], torch.cat((fits / fits.sum(), torch.zeros(1))))
    torch.testing.assert_close(mean[0], (fits / fits.sum()) @ vectors[0, :2])
    assert not weights[1].any() and not mean[1].any()
