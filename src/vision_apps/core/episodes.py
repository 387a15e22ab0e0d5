"""An environment: what an agent acts in."""

from typing import Protocol, TypeVar

from torch import Tensor

from vision_apps.core.fields import Fields

InputsT = TypeVar("InputsT", bound=Fields, contravariant=True)
StateT = TypeVar("StateT")
ObservationT = TypeVar("ObservationT", covariant=True)


class Environment(Protocol[InputsT, StateT, ObservationT]):
    """Whole batches of episodes, each of which is a function of its sample and the actions alone.

    So an episode is a sample like any other, and the position in the data stays the only state of a run. The
    state of a batch may be tensors or a simulator's own object.
    """

    def reset(self, inputs: InputsT) -> StateT:
        """Where the episodes begin."""

    def observe(self, state: StateT) -> ObservationT:
        """What the agents see, tensors over the batch."""

    def step(self, state: StateT, actions: Tensor) -> StateT:
        """Where one action each, int64 [B], leads. An episode that is over stays where it is."""
