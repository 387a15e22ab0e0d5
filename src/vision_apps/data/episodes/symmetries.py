"""Rooms that differ only in what does not matter, whole batches as in `rooms`: in a mirror, or with colours
exchanged, the mirror of a way leads there as well. (Of ways that are as long BabyAI's bot has a side that it
prefers, and its own would sometimes be another.)"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from vision_apps.data.episodes.rooms import CODES, COLORS, LEFT, RIGHT, STATES

# in instructions, as Minigrid numbers them
COLOR_NAMES = ("red", "green", "blue", "purple", "yellow", "grey")
_PAINTED = (4, 5, 6, 7)  # door, key, ball, box: what an instruction may call by its colour
_WESTWARD = (2, 1, 0, 3)  # each direction in the mirror


def mirrored_maps(maps: Tensor) -> Tensor:
    """Left and right exchanged, uint8 [B, h, w]."""
    return maps.flip(2)


def mirrored_poses(poses: Tensor, width: int) -> Tensor:
    """int64 [B, 3], in maps of ``width`` columns."""
    x, y, direction = poses.unbind(1)
    return torch.stack((width - 1 - x, y, direction.new_tensor(_WESTWARD)[direction]), 1)


def mirrored_actions(actions: Tensor) -> Tensor:
    """Of any shape; -1 stays."""
    turned = torch.where(actions == LEFT, RIGHT, actions)
    return torch.where(actions == RIGHT, LEFT, turned)


def repainted_maps(maps: Tensor, colors: Tensor) -> Tensor:
    """What is called by its colour gets another one; walls stay grey.

    Args:
        maps: uint8 [B, h, w].
        colors: int64 [B, 6], the new number of each colour, a permutation in each row.
    """
    kind, color, state = (part.to(maps.device) for part in _parts())
    painted = torch.isin(kind, kind.new_tensor(_PAINTED))
    new = (kind * COLORS + colors[:, color]) * STATES + state  # [B, CODES]
    table = torch.where(painted, new, torch.arange(CODES, device=maps.device))
    return table.gather(1, maps.flatten(1).long()).view_as(maps).to(torch.uint8)


def repainted_words(instructions: Tensor, colors: Tensor, words: Sequence[int]) -> Tensor:
    """The same change in what is told.

    Args:
        instructions: int64 [B, L], numbers of words.
        colors: as above; moves only colours that have a word.
        words: the number of each colour's word; -1: it has none.
    """
    told = instructions
    for color, word in enumerate(words):
        if word >= 0:
            new = torch.tensor(words, device=told.device)[colors[:, color]]
            told = torch.where(instructions == word, new[:, None], told)
    return told


@functools.cache
def _parts() -> tuple[Tensor, Tensor, Tensor]:
    """Kind, colour and state of each code."""
    codes = torch.arange(CODES)
    return codes // (COLORS * STATES), codes // STATES % COLORS, codes % STATES
