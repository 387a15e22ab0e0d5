"""Pictures of rooms, looked up: each cell of a view or of a map is one of a hundred small pictures."""

import functools

import numpy as np
import torch
from torch import Tensor

from vision_apps.data.episodes.rooms import CODES, COLORS, EMPTY, STATES, UNSEEN, VIEW

_UP = 3  # the direction in which an agent looks in its own view
_COLORED = (2, 3, 5, 6, 7)  # wall, floor, key, ball, box; a door has states too, goal and lava one colour
_DOOR, _GOAL, _LAVA = 4, 8, 9


@functools.cache
def _there() -> list[int]:
    """The codes that occur; all others are the same as one of these, or of nothing."""
    kinds = [(kind, color, 0) for kind in _COLORED for color in range(COLORS)]
    kinds += [(_DOOR, color, state) for color in range(COLORS) for state in range(STATES)]
    kinds += [(_GOAL, 1, 0), (_LAVA, 0, 0)]
    return [UNSEEN, EMPTY, *((kind * COLORS + color) * STATES + state for kind, color, state in kinds)]


@functools.cache
def _tile(number: int, size: int, seen: bool) -> Tensor:
    """Of a code, uint8 [size, size, 3]; of a number above `CODES` with an agent that looks in one of four
    directions. ``seen``: brightened, as an agent sees what is not hidden."""
    from minigrid.core.grid import Grid
    from minigrid.core.world_object import WorldObj

    agent, code = divmod(number, CODES)
    kind, rest = divmod(code, COLORS * STATES)
    thing = WorldObj.decode(kind, *divmod(rest, STATES))
    direction = agent - 1 if agent else None
    # minigrid renders in pure Python, pixel by pixel
    rendered = Grid.render_tile(thing, direction, seen and code != UNSEEN, size)
    return torch.from_numpy(rendered.astype(np.uint8))


@functools.cache
def _view_table(size: int, device: torch.device) -> Tensor:
    """Of each code a picture uint8 [CODES + 1, size, size, 3], and last the agent's own place."""
    table = torch.zeros(CODES + 1, size, size, 3, dtype=torch.uint8)
    for code in _there():
        table[code] = _tile(code, size, seen=True)
    table[CODES] = _tile(EMPTY + CODES * (1 + _UP), size, seen=True)
    return table.to(device)


def _joined(tiles: Tensor) -> Tensor:
    """Tiles uint8 [B, h, w, size, size, 3] -> pictures uint8 [B, 3, h * size, w * size]."""
    return tiles.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def pixels(views: Tensor, size: int) -> Tensor:
    """Views, codes uint8 [B, 7, 7], as pictures uint8 [B, 3, size, size]: those of Minigrid's
    ``RGBImgPartialObsWrapper`` where ``size`` is a multiple of 7; of another size the pixels of the next
    larger one that are nearest."""
    tile = -(-size // VIEW)
    cells = views.long()
    cells[:, -1, VIEW // 2] = CODES
    found = _joined(_view_table(tile, views.device)[cells])
    if tile * VIEW == size:
        return found
    nearest = torch.arange(size, device=found.device) * (tile * VIEW) // size
    return found[:, :, nearest][..., nearest]


def from_above(maps: Tensor, poses: Tensor, tile: int) -> Tensor:
    """Maps uint8 [B, h, w] with their agents, as pictures uint8 [B, 3, h * tile, w * tile]."""
    cells = maps.long()
    x, y, direction = poses.unbind(1)
    cells[torch.arange(len(cells), device=cells.device), y, x] += CODES * (1 + direction)
    numbers, rows = cells.unique(return_inverse=True)
    table = torch.stack([_tile(number, tile, False) for number in numbers.tolist()])
    return _joined(table.to(maps.device)[rows])
