"""Minigrid's rooms as tensors: what an agent sees, where its actions lead and how far it is, for whole
batches.

A map is uint8 [B, h, w] with a code for each cell: kind, colour and state of what stands there as Minigrid
numbers them. A pose is int64 [B, 3]: x, y (columns and rows from the top left, 0 and more) and direction (0
right, 1 down, 2 left, 3 up). The rooms of Chevalier-Boisvert et al. 2023 (arXiv:2306.13831); each function
gives what Minigrid 3 gives for one environment, as the tests hold it to.
"""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

VIEW = 7  # cells of a side of what is seen; the agent stands in the middle of its last row and looks up
COLORS, STATES = 6, 3
LEFT, RIGHT, FORWARD, TOGGLE, STOP = range(5)  # objects are neither picked up nor dropped
ACTIONS = ("turn left", "turn right", "go forward", "open or close", "stop")
FAR = 30_000  # steps: a place that no way leads to

_KINDS = 11
_DX, _DY = (1, 0, -1, 0), (0, 1, 0, -1)  # of the directions
_DOOR = 4
_OPEN, _CLOSED = 0, 1


def code(kind: int, color: int, state: int) -> int:
    """Of a cell, below `CODES`."""
    return (kind * COLORS + color) * STATES + state


CODES = _KINDS * COLORS * STATES
UNSEEN, EMPTY, WALL = code(0, 0, 0), code(1, 0, 0), code(2, 5, 0)


class Kinds(NamedTuple):
    """Of each code, bool [CODES]."""

    free: Tensor  # an agent may stand there: nothing, floor, a goal, an open door
    clear: Tensor  # one sees what is behind
    door: Tensor  # it opens and closes by hand


@functools.cache
def kinds() -> Kinds:
    codes = torch.arange(CODES)
    kind, state = codes // (COLORS * STATES), codes % STATES
    door = kind == _DOOR
    is_open = door & (state == _OPEN)
    free = (kind == 1) | (kind == 3) | (kind == 8) | is_open
    clear = (kind != 2) & (~door | is_open)
    return Kinds(free, clear, door & (state <= _CLOSED))


@functools.cache
def _sight() -> tuple[Tensor, Tensor]:
    """What light does in a row of a view, of which bit i says something of column i: from the columns that it
    reaches from below and those that stop it to the columns that are seen, and to those that it reaches
    above; int64 [128, 128] each."""
    reached = torch.arange(1 << VIEW)[:, None].expand(-1, 1 << VIEW)
    clear = ~torch.arange(1 << VIEW)[None].expand(1 << VIEW, -1)
    seen, above = reached.clone(), torch.zeros_like(reached)
    for columns, step in ((range(VIEW - 1), 1), (range(VIEW - 1, 0, -1), -1)):
        for column in columns:
            goes_on = (seen >> column) & (clear >> column) & 1
            seen = seen | (goes_on << (column + step))
            above = above | (goes_on << (column + step)) | (goes_on << column)
    return seen, above


@functools.cache
def _window(device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the cells of a view lie beside the agent, by direction: x and y, int64 [4, 7, 7]."""
    rows, columns = torch.meshgrid(torch.arange(VIEW), torch.arange(VIEW), indexing="ij")
    ahead, right = VIEW - 1 - rows, columns - VIEW // 2
    dx, dy = torch.tensor(_DX)[:, None, None], torch.tensor(_DY)[:, None, None]
    return (dx * ahead - dy * right).to(device), (dy * ahead + dx * right).to(device)


def views(maps: Tensor, poses: Tensor) -> Tensor:
    """What agents see: codes uint8 [B, 7, 7], `UNSEEN` where something hides it."""
    device = maps.device
    xs, ys = _window(device)
    x, y, direction = poses.unbind(1)
    columns, rows = x[:, None, None] + xs[direction], y[:, None, None] + ys[direction]
    height, width = maps.shape[1:]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    flat = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    cells = maps.flatten(1).gather(1, flat.flatten(1)).view_as(flat).long()
    cells = torch.where(inside, cells, WALL)
    seen = _seen(cells)
    cells[:, -1, VIEW // 2] = EMPTY  # the agent's own place
    return torch.where(seen, cells, UNSEEN).to(torch.uint8)


def _seen(cells: Tensor) -> Tensor:
    """Codes int64 [B, 7, 7] -> bool, row by row from the agent's own on."""
    device = cells.device
    of_row, above = (table.to(device) for table in _sight())
    bits = 1 << torch.arange(VIEW, device=device)
    stops = (~kinds().clear.to(device)[cells] * bits).sum(2)
    reached = torch.full_like(stops[:, 0], 1 << (VIEW // 2))
    rows: list[Tensor] = []
    for row in range(VIEW - 1, -1, -1):
        rows.insert(0, of_row[reached, stops[:, row]])
        reached = above[reached, stops[:, row]]
    return (torch.stack(rows, 1)[..., None] & bits) > 0


def ahead(poses: Tensor) -> tuple[Tensor, Tensor]:
    """The cell before each agent: x and y, int64 [B]; there is always one, since walls close every map."""
    x, y, direction = poses.unbind(1)
    return x + poses.new_tensor(_DX)[direction], y + poses.new_tensor(_DY)[direction]


def moved(maps: Tensor, poses: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Maps and poses after one action each, int64 [B]; `STOP` and -1 change nothing."""
    known, episodes = kinds(), torch.arange(len(poses), device=poses.device)
    x, y = ahead(poses)
    before = maps[episodes, y, x].long()
    goes = (actions == FORWARD) & known.free.to(maps.device)[before]
    turn = (actions == RIGHT).long() - (actions == LEFT).long()
    position = torch.where(goes[:, None], torch.stack((x, y), 1), poses[:, :2])
    poses = torch.cat((position, (poses[:, 2:] + turn[:, None]) % 4), 1)
    swings = (actions == TOGGLE) & known.door.to(maps.device)[before]
    if swings.any():
        state = before % STATES
        maps = maps.clone()
        maps[episodes, y, x] = torch.where(swings, before - state + (1 - state), before).to(torch.uint8)
    return maps, poses


def facing(shape: tuple[int, int], targets: Tensor) -> Tensor:
    """The poses from which one of some cells is looked at from beside it: bool [B, 4, h, w] by direction, row
    and column.

    Args:
        shape: h and w.
        targets: numbers of cells ``y * w + x``, int64 [B, G], -1: none.
    """
    height, width = shape
    marked = torch.zeros(len(targets), height * width + 1, dtype=torch.bool, device=targets.device)
    marked.scatter_(1, torch.where(targets < 0, height * width, targets), True)
    cells = marked[:, :-1].view(-1, height, width)
    return torch.stack([_from_ahead(cells, direction, False) for direction in range(4)], dim=1)


def steps_to(maps: Tensor, poses: Tensor) -> Tensor:
    """How many turns and steps forward it takes from every pose to the nearest of ``poses``, bool [N, 4, h,
    w]: int16 of that shape, `FAR` where no way leads there. Doors that are not locked count as open: to open
    one is no move.
    """
    known = kinds()
    free = (known.free | known.door).to(maps.device)[maps.long()]
    far = torch.tensor(FAR, dtype=torch.int16, device=maps.device)
    found = torch.where(poses & free[:, None], 0, far)
    while True:
        turned = torch.minimum(found.roll(1, 1), found.roll(-1, 1))
        onward = torch.stack(
            [_from_ahead(torch.where(free, found[:, way], far), way, FAR) for way in range(4)], 1
        )
        nearer = torch.minimum(found, torch.minimum(turned, onward).clamp(max=FAR - 1) + 1)
        nearer = torch.where(free[:, None], nearer, far)
        if torch.equal(nearer, found):
            return found
        found = nearer


def _from_ahead(cells: Tensor, direction: int, outside: int | bool) -> Tensor:
    """What stands in the cell before each cell, looking in a direction: [N, h, w] -> the same."""
    dx, dy = _DX[direction], _DY[direction]
    onward = cells.roll((-dy, -dx), (1, 2))
    if dx:
        onward[:, :, -1 if dx > 0 else 0] = outside
    else:
        onward[:, -1 if dy > 0 else 0] = outside
    return onward
