"""Agents that have learned nothing."""

from typing import Any

import torch
from torch import Tensor

from vision_apps.applications.navigation.agent import Decision
from vision_apps.applications.navigation.types import NavigationAnswer, NavigationInputs, Observation
from vision_apps.applications.navigation.walking import Choose, Decide, walk
from vision_apps.applications.navigation.world import World, follow
from vision_apps.core.seeding import mix


def thoughtless(world: World[Any], inputs: NavigationInputs) -> Decide:
    """All that can be done is equally likely."""
    words = inputs.instructions

    def decide(observation: Observation, memory: Tensor) -> Decision:
        possible = observation.possible
        if possible is None:
            possible = torch.ones(len(words), world.actions, dtype=torch.bool, device=words.device)
        logits = torch.zeros(possible.shape, device=words.device).masked_fill(~possible, -torch.inf)
        return Decision(logits, memory, torch.zeros(words.shape, device=words.device))

    return decide


def _walked(world: World[Any], inputs: NavigationInputs, choose: Choose) -> NavigationAnswer:
    memory = torch.zeros(len(inputs.instructions), 0, device=inputs.instructions.device)
    return walk(world, inputs, thoughtless(world, inputs), memory, choose)


def at_random(world: World[Any], inputs: NavigationInputs) -> NavigationAnswer:
    """Any action that is possible, drawn from where an episode begins and the number of the step, so that it
    depends on no other episode."""
    assert inputs.starts is not None
    seeds = [mix(*start) for start in inputs.starts.tolist()]

    def choose(logits: Tensor, step: int) -> Tensor:
        possible = logits > -torch.inf
        counts = possible.sum(1).tolist()
        drawn = [mix(seed, step) % count for seed, count in zip(seeds, counts, strict=True)]
        rank = possible.cumsum(1) - 1
        wanted = torch.tensor(drawn, device=logits.device)
        return (possible & (rank == wanted[:, None])).to(torch.int8).argmax(1)

    return _walked(world, inputs, choose)


def stopping(world: World[Any], inputs: NavigationInputs) -> NavigationAnswer:
    """Stop where the episode begins."""
    return _walked(world, inputs, lambda logits, step: torch.full_like(logits[:, 0], world.stop).long())


def of_actions(world: World[Any], inputs: NavigationInputs, actions: Tensor) -> NavigationAnswer:
    """The answer of who takes these actions, int64 [B, T], -1 past the end."""
    known = torch.full((len(actions), world.max_steps), -1, device=actions.device)
    length = min(actions.shape[1], world.max_steps)
    known[:, :length] = actions[:, :length]
    places = follow(world, inputs, known).places
    there = torch.cat((torch.ones_like(known[:, :1]), known), 1) >= 0
    places = torch.where(there[..., None], places, -1)
    words = inputs.instructions.shape[1]
    attention = torch.zeros(*known.shape, words, device=actions.device)
    return NavigationAnswer(known, places, attention, (known >= 0).float())
