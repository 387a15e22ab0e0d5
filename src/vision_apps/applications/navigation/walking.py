"""Agents on their way: freely, and along actions that are known before."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.navigation.agent import Agent, Decision
from vision_apps.applications.navigation.types import (
    DIRECTION,
    NavigationAnswer,
    NavigationInputs,
    Observation,
)
from vision_apps.applications.navigation.world import World

Decide = Callable[[Observation, Tensor], Decision]  # from what is seen and remembered to what is done
Choose = Callable[[Tensor, int], Tensor]  # from logits [B, A] and the number of the step to actions int64 [B]


def greedy(logits: Tensor, step: int) -> Tensor:
    """The likeliest actions."""
    return logits.argmax(1)


def deciding(
    agent: Agent, instructions: Tensor, normalize: Callable[[Tensor], Tensor], blind: str | None = None
) -> Decide:
    """How an agent decides under these instructions.

    Args:
        normalize: from pixels uint8 to those of the network.
        blind: ``image``, it sees nothing but black; ``instruction``, it is told nothing.
    """
    words = agent.read(instructions * 0 if blind == "instruction" else instructions)

    def decide(observation: Observation, memory: Tensor) -> Decision:
        return agent.decide(agent.see(shown(observation, normalize, blind), words), words, memory)

    return decide


def shown(observation: Observation, normalize: Callable[[Tensor], Tensor], blind: str | None) -> Observation:
    """What a network is given of an observation."""
    pixels, views, candidates = observation.pixels, observation.views, observation.candidates
    dark = 0 if blind == "image" else 1
    if views is not None and candidates is not None and blind == "image":
        # where the ways lead is known in the dark, too
        seen = candidates.new_zeros(*candidates.shape[:2], views.shape[2] - DIRECTION)
        candidates = torch.cat((seen, candidates[..., seen.shape[2] :]), 2)
    return observation._replace(
        pixels=None if pixels is None else normalize(pixels) * dark,
        views=None if views is None else views * dark,
        candidates=candidates,
    )


@torch.no_grad()
def walk(
    world: World[Any], inputs: NavigationInputs, decide: Decide, memory: Tensor, choose: Choose = greedy
) -> NavigationAnswer:
    """Let agents walk until all have stopped, `World.max_steps` at most.

    Args:
        memory: [B, M], where the episodes begin.
        choose: what is done of what is thought.
    """
    state, count = world.reset(inputs), len(inputs.instructions)
    going = torch.ones(count, dtype=torch.bool, device=memory.device)
    places = [world.places(state)]
    actions, attention, probabilities = [], [], []
    for step in range(world.max_steps):
        if not going.any():
            break
        decision = decide(world.observe(state), memory)
        memory = decision.memory
        taken = torch.where(going, choose(decision.logits, step), -1)
        state = world.step(state, taken)
        there = world.places(state)
        places.append(torch.where(going[:, None], there, -1))
        actions.append(taken)
        likely = decision.logits.float().softmax(1).gather(1, taken.clamp_min(0)[:, None])[:, 0]
        probabilities.append(torch.where(going, likely, 0))
        attention.append(torch.where(going[:, None], decision.attention.float(), 0))
        going = going & (taken != world.stop)
    return NavigationAnswer(
        _filled(torch.stack(actions, 1), world.max_steps, -1),
        _filled(torch.stack(places, 1), world.max_steps + 1, -1),
        _filled(torch.stack(attention, 1), world.max_steps, 0),
        _filled(torch.stack(probabilities, 1), world.max_steps, 0),
    )


def _filled(values: Tensor, length: int, empty: float) -> Tensor:
    """[B, t, ...] -> [B, length, ...]."""
    missing = values.new_full((len(values), length - values.shape[1], *values.shape[2:]), empty)
    return torch.cat((values, missing), dim=1)


def one_decision(decision: Decision) -> NavigationAnswer:
    """The answer where there is no world: what would be done first. There is no place."""
    logits = decision.logits.float()
    likely, taken = logits.softmax(1).max(1)
    nowhere = torch.full((len(logits), 2, 1), -1, device=logits.device)
    return NavigationAnswer(taken[:, None], nowhere, decision.attention.float()[:, None], likely[:, None])


class Along(NamedTuple):
    """What an agent thinks on its way along known actions."""

    logits: Tensor  # [B, T, A]
    attention: Tensor  # [B, T, L]


def along(
    agent: Agent,
    observation: Observation,
    there: Tensor,
    instructions: Tensor,
    normalize: Callable[[Tensor], Tensor],
    blind: str | None = None,
) -> Along:
    """Decide at every place of ways that were followed, all of which are seen at once.

    Args:
        observation: of the N steps that are ``there``, row by row.
        there: bool [B, T], which steps are not past the end; the others are not looked at.
    """
    words = agent.read(instructions * 0 if blind == "instruction" else instructions)
    rows, steps = there.nonzero(as_tuple=True)
    found = agent.see(shown(observation, normalize, blind), type(words)(*(part[rows] for part in words)))
    count, length = there.shape
    whole = []
    for part in found:  # back to [B, T, ...], zeros past the end
        empty = part.new_zeros(count, length, *part.shape[1:])
        whole.append(empty.index_put((rows, steps), part))
    memory = whole[0].new_zeros(count, agent.memory)
    logits, attention = [], []
    for step in range(length):
        decision = agent.decide(tuple(part[:, step] for part in whole), words, memory)
        memory = decision.memory
        logits.append(decision.logits)
        attention.append(decision.attention)
    return Along(torch.stack(logits, 1), torch.stack(attention, 1))
