"""From Minigrid's environments to tensors, and back to its actions."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vision_apps.core.errors import DataError
from vision_apps.data.episodes.levels import quiet
from vision_apps.data.episodes.rooms import COLORS, FORWARD, LEFT, RIGHT, STATES, STOP, TOGGLE

if TYPE_CHECKING:
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel

MINIGRID = {LEFT: 0, RIGHT: 1, FORWARD: 2, TOGGLE: 5, STOP: 6}  # its numbers of our actions
OURS = {number: action for action, number in MINIGRID.items()}


class Beginning(NamedTuple):
    """Where an episode begins."""

    cells: NDArray[np.uint8]  # [h, w], codes as in `rooms`
    pose: tuple[int, int, int]
    targets: list[int]  # cells ``y * w + x``
    mission: str


def beginning(environment: "RoomGridLevel", seed: int) -> Beginning:
    """The episode of a seed, into which the environment is put. `DataError` where its instruction is none
    that a stop can be held to."""
    from minigrid.envs.babyai.core.verifier import GoToInstr

    with quiet():
        environment.reset(seed=seed)
    asked = environment.instrs  # type: ignore[attr-defined]
    if not isinstance(asked, GoToInstr):
        raise DataError(
            f"data: seed {seed} of {type(environment).__name__} asks {environment.mission!r}; "
            "expected go to ..."
        )
    encoded = environment.grid.encode().astype(np.int64)  # [w, h, 3]
    cells = (encoded[..., 0] * COLORS + encoded[..., 1]) * STATES + encoded[..., 2]
    targets = [int(y) * environment.width + int(x) for x, y in asked.desc.obj_poss]
    x, y = environment.agent_pos
    pose = (int(x), int(y), int(environment.agent_dir))
    return Beginning(cells.T.astype(np.uint8), pose, targets, environment.mission)


def act(environment: "RoomGridLevel", action: int) -> int:
    """Take one of our actions; returns Minigrid's number of what was done: nothing is what toggling anything
    but a door does here, while Minigrid opens boxes, which are gone then."""
    number = MINIGRID[action]
    if action == TOGGLE:
        cell = environment.grid.get(*environment.front_pos)
        number = number if cell is not None and cell.type == "door" else MINIGRID[STOP]
    environment.step(number)
    return number
