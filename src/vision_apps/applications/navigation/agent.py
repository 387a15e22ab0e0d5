"""What every agent is: an instruction is read once, then each next action is told from it, what is seen, and
what is remembered."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from vision_apps.applications.navigation.types import Observation


class Words(NamedTuple):
    """An instruction that was read."""

    vectors: Tensor  # [B, L, D], of each word where it stands
    there: Tensor  # bool [B, L], what is not past the end; of an emptied instruction nothing is
    whole: Tensor  # [B, D], 0 where there is no word


class Decision(NamedTuple):
    logits: Tensor  # [B, A], minus infinity for actions that there are not
    memory: Tensor  # [B, M]
    attention: Tensor  # [B, L], on the words; sums to 1 where there are any, else 0


class Agent(nn.Module, ABC):
    """(observation, instruction, memory) -> action logits, memory, attention.

    It is cut in three so that a way that is known before (a demonstration) is fast: instructions are read
    once, all steps of all episodes are seen at once, and only what depends on the step before is computed
    step by step. Every agent decides in every world: where `Observation.views` is None it looks at the
    pixels, and without ``candidates`` there is a fixed number of actions.
    """

    memory: int  # M: how many numbers an agent remembers, the same for all
    pictures: bool = True  # it looks at pictures; else at features of views

    @abstractmethod
    def read(self, instructions: Tensor) -> Words:
        """Numbers of words int64 [B, L], 0 past the end."""

    @abstractmethod
    def see(self, observation: Observation, words: Words) -> tuple[Tensor, ...]:
        """What does not depend on the memory, of normalised pixels: tensors [B, ...]."""

    @abstractmethod
    def decide(self, seen: tuple[Tensor, ...], words: Words, memory: Tensor) -> Decision:
        """``memory`` [B, M]: zeros where an episode begins."""

    def forward(self, observation: Observation, instructions: Tensor, memory: Tensor) -> Decision:
        """One step."""
        words = self.read(instructions)
        return self.decide(self.see(observation, words), words, memory)
