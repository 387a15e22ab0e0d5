"""What travels between data, world, agent, module and user.

An episode is a sample: where it begins, and what the agent is told. What happens then follows from that and
from the actions alone, so that the position in the data stays the only state of a run.
"""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Pixels, Stays, Text


class NavigationBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB: what is seen where an episode begins
    instructions: Annotated[Tensor, Text()]  # int64 [B, L], numbers of words, 0 past the end
    # int64 [B, T]: what the expert does, its stop last; -1 past the end
    actions: Annotated[Tensor, Stays(empty=-1)]
    # int64 [B, K], in the world's own numbers, see `world`; none: there is no world, and the picture is all
    starts: Annotated[Tensor | None, Stays()] = None
    maps: Annotated[Tensor | None, Stays()] = None  # uint8 [B, h, w], of rooms: what stands in each cell
    goals: Annotated[Tensor | None, Stays(empty=-1)] = None  # int64 [B, G], places that end it well; -1: none


class NavigationInputs(NamedTuple):
    """What a user gives; nothing of it says where the goal is."""

    instructions: Annotated[Tensor, Text()]  # these four as in the batch
    images: Annotated[Tensor | None, Pixels()] = None  # looked at where there is no world
    starts: Annotated[Tensor | None, Stays()] = None
    maps: Annotated[Tensor | None, Stays()] = None
    # float [B, M], of the steps before, see `agent.Agent.memory`; none: an episode begins
    memory: Annotated[Tensor | None, Stays()] = None


DIRECTION = 4  # numbers that say where something is: sine and cosine of heading and elevation


class Observation(NamedTuple):
    """What agents see at one place: a picture, or views around them and what can be done. Of a view D - 4
    numbers are its features and the last its direction; candidates begin with as many features."""

    pixels: Tensor | None = None  # uint8 [B, 3, H, W]
    views: Tensor | None = None  # float [B, V, D], features of what is seen in each direction
    candidates: Tensor | None = None  # float [B, A, E], features of what each action leads to
    possible: Tensor | None = None  # bool [B, A], which actions there are; none: all
    led: Tensor | None = None  # float [B, F], what is known of the action that led here; 0 where none did


class NavigationOutputs(NamedTuple):
    """What an agent thinks on a way of T steps that others have chosen."""

    logits: Tensor  # [B, T, A], minus infinity for actions that there are not
    labels: Tensor  # int64 [B, T], what the expert would do; -1 past the end


class NavigationAnswer(NamedTuple):
    """Where an agent went. T is the world's `max_steps` in every batch, so that nothing depends on who else
    is in it; without a world there is one step."""

    actions: Tensor  # int64 [B, T], -1 past the end
    places: Tensor  # int64 [B, T + 1, P], in the world's own numbers, the start first; -1 past the end
    attention: Tensor  # float32 [B, T, L], of each step's decision on the words; sums to 1, 0 past the end
    probabilities: Tensor  # float32 [B, T], of the action that was taken; 0 past the end
