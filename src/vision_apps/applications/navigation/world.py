"""What an agent acts in, and what becomes of actions that are known before."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from vision_apps.applications.navigation.path_metrics import Walks
from vision_apps.applications.navigation.types import (
    NavigationAnswer,
    NavigationBatch,
    NavigationInputs,
    Observation,
)
from vision_apps.core.errors import DataError

StateT = TypeVar("StateT")


class Begun(NamedTuple):
    """An episode that a user names, as a batch of one."""

    starts: Tensor  # int64 [1, K]
    maps: Tensor | None  # uint8 [1, h, w]
    instruction: str | None  # none: the world has none of its own


class World(ABC, Generic[StateT]):
    """A `core.episodes.Environment` with all that navigation asks of one, for whole batches.

    Args of every world, as attributes:
        actions: how many there are, A; where candidates are seen, the most.
        action_names: of those, for people; empty where they have none.
        stop: the number of the action that ends an episode.
        max_steps: T; an episode in which nobody stops ends after so many, and is not won.
        threshold: nearer to a goal than this is arrived, in the unit of the distances.
        unit: of these, for people: ``steps``, ``m``.
        place: P, how many numbers say where an agent is.
        pictures: agents see pictures; else features of views.
        words: by which a user names an episode, with their meaning.
    """

    actions: int
    action_names: tuple[str, ...] = ()
    stop: int
    max_steps: int
    threshold: float
    unit: str
    place: int
    pictures: bool = True
    words: Mapping[str, str] = MappingProxyType({})

    def begin(self, words: Mapping[str, str]) -> Begun:
        """The episode that a user names by ``words`` of this world; `DataError` where one of them is not
        understood, or where no episode can be named. A missing word is an error of the mapping itself."""
        raise DataError("this world has only the episodes of its data: vision-apps test RUN walks them")

    def background(self, inputs: NavigationInputs) -> Tensor | None:
        """What paths are drawn on, uint8 [B, 3, h, w]: a map from above, with where the episodes begin. None
        where the pictures of the inputs have to do."""
        return None

    def on_background(self, places: Tensor) -> Tensor:
        """Places int64 [N, P] -> x and y on it, px, float [N, 2]; [0, 2] where there is none."""
        return torch.zeros(0, 2)

    def marks(self, goals: Tensor) -> Tensor:
        """Goals int64 [G], -1: none, as they are marked on the background, px, float [g, 2]."""
        return torch.zeros(0, 2)

    def trajectory(self, start: Tensor, places: Tensor) -> list[Any] | None:
        """A way as files of results have it, plain data; None where there are no such files.

        Args:
            start: int64 [K], as in ``starts``.
            places: int64 [n, P], the start first.
        """
        return None

    @abstractmethod
    def reset(self, inputs: NavigationInputs) -> StateT:
        """Where the episodes begin; ``starts`` is there."""

    @abstractmethod
    def observe(self, state: StateT) -> Observation:
        """What the agents see."""

    @abstractmethod
    def step(self, state: StateT, actions: Tensor) -> StateT:
        """Where one action each, int64 [B], leads. ``stop`` and -1 leave an agent where it is; that nothing
        follows a stop is heeded by who calls."""

    @abstractmethod
    def places(self, state: StateT) -> Tensor:
        """Where the agents are, int64 [B, P]."""

    @abstractmethod
    def expert(self, batch: NavigationBatch, actions: Tensor) -> Tensor:
        """What the expert would do before each action of episodes in which these were taken, int64 [B, T], -1
        past the end -> int64 [B, T], -1 past the end and where the expert has no advice."""

    def another(
        self, inputs: NavigationInputs, actions: Tensor, labels: Tensor, numbers: Mapping[str, int]
    ) -> tuple[NavigationInputs, Tensor, Tensor]:
        """Episodes that differ from these in nothing that matters, drawn anew, and in them what is done and
        what would be right. A world that knows none gives what it got.

        Args:
            actions, labels: int64 [B, T], what is done and what the expert would do; -1 past the end.
            numbers: of the words of instructions.
        """
        return inputs, actions, labels

    @abstractmethod
    def walks(self, batch: NavigationBatch, answer: NavigationAnswer) -> Walks:
        """The answer as distances from its goals and its reference path, which is the expert's."""


class Followed(NamedTuple):
    """Episodes in which given actions were taken."""

    states: list[Any]  # T of them, before each action
    places: Tensor  # int64 [B, T + 1, P]


def follow(world: World[Any], inputs: NavigationInputs, actions: Tensor) -> Followed:
    """Take these actions, int64 [B, T]; -1 past the end, where an agent stays."""
    state = world.reset(inputs)
    states, places = [], [world.places(state)]
    for taken in actions.unbind(1):
        states.append(state)
        state = world.step(state, taken)
        places.append(world.places(state))
    return Followed(states, torch.stack(places, dim=1))


def seen(world: World[Any], states: Sequence[Any], there: Tensor) -> Observation:
    """What is seen at those of T steps that are ``there``, bool [B, T]: of N, row by row. The others, past
    the end of an episode, cost nothing."""
    rows, steps = there.nonzero(as_tuple=True)
    parts = (
        torch.stack(of, 1)[rows, steps] if isinstance(of[0], Tensor) else of[0]
        for of in zip(*states, strict=True)
    )
    return world.observe(type(states[0])(*parts))
