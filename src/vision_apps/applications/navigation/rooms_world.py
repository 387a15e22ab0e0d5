"""Rooms of BabyAI with a stop: only the agent's own stop ends an episode, and it is won where the agent faces
what the instruction means."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.navigation.path_metrics import Walks, without_turns
from vision_apps.applications.navigation.types import (
    NavigationAnswer,
    NavigationBatch,
    NavigationInputs,
    Observation,
)
from vision_apps.applications.navigation.world import Begun, World, follow
from vision_apps.core import draws
from vision_apps.core.errors import DataError
from vision_apps.data.episodes import experts, levels, reading, rooms, symmetries, tiles

TILE = 16  # px of a cell in drawings
_AT_ONCE = 4_000_000  # distances that are held in memory at a time


class RoomsState(NamedTuple):
    maps: Tensor  # uint8 [B, h, w]
    poses: Tensor  # int64 [B, 3]


class RoomsWorld(World[RoomsState]):
    """``starts`` are the episode's seed, x, y and direction, places are x, y and direction. Distances are
    turns and steps forward, so that facing a target from beside it is no step from it.

    Args:
        level: of BabyAI, for the expert.
        height, width: of its maps, cells.
        max_steps: see `World`.
        image_size: side of what is seen, px.
    """

    actions = len(rooms.ACTIONS)
    action_names = rooms.ACTIONS
    stop = rooms.STOP
    threshold = 1.0
    unit = "steps"
    place = 3
    words: Mapping[str, str] = {"seed": "which episode of the level, 0 and more"}

    def __init__(self, level: str, height: int, width: int, max_steps: int, image_size: int) -> None:
        self.level, self.height, self.width = level, height, width
        self.max_steps, self.image_size = max_steps, image_size

    def begin(self, words: Mapping[str, str]) -> Begun:
        text = words["seed"]
        if not text.isdecimal() or int(text) >= 2**62:
            raise DataError(f"seed: {text!r}; expected a whole number, 0 and more")
        found = reading.beginning(levels.make(self.level), int(text))
        starts = torch.tensor([[int(text), *found.pose]])
        return Begun(starts, torch.from_numpy(found.cells)[None], found.mission)

    def background(self, inputs: NavigationInputs) -> Tensor:
        assert inputs.maps is not None and inputs.starts is not None
        return tiles.from_above(inputs.maps, inputs.starts[:, 1:], TILE)

    def on_background(self, places: Tensor) -> Tensor:
        return (places[..., :2].float() + 0.5) * TILE

    def marks(self, goals: Tensor) -> Tensor:
        cells = goals[goals >= 0]
        return self.on_background(torch.stack((cells % self.width, cells // self.width), dim=1))

    def reset(self, inputs: NavigationInputs) -> RoomsState:
        assert inputs.starts is not None and inputs.maps is not None
        return RoomsState(inputs.maps, inputs.starts[:, 1:])

    def observe(self, state: RoomsState) -> Observation:
        return Observation(pixels=tiles.pixels(rooms.views(*state), self.image_size))

    def step(self, state: RoomsState, actions: Tensor) -> RoomsState:
        return RoomsState(*rooms.moved(*state, actions))

    def places(self, state: RoomsState) -> Tensor:
        return state.poses

    def expert(self, batch: NavigationBatch, actions: Tensor) -> Tensor:
        assert batch.starts is not None
        seeds = batch.starts[:, 0].tolist()
        return torch.from_numpy(experts.advised(self.level, seeds, actions.cpu().numpy())).to(actions.device)

    def another(
        self, inputs: NavigationInputs, actions: Tensor, labels: Tensor, numbers: Mapping[str, int]
    ) -> tuple[NavigationInputs, Tensor, Tensor]:
        """Every other room in a mirror, and the colours that instructions know exchanged."""
        assert inputs.starts is not None and inputs.maps is not None
        count, device = len(actions), actions.device
        words = [numbers.get(name, -1) for name in symmetries.COLOR_NAMES]
        told = torch.tensor([color for color, word in enumerate(words) if word >= 0], dtype=torch.int64)
        colors = torch.arange(len(words)).repeat(count, 1)
        colors[:, told] = told[draws.uniform(count, len(told)).argsort(1)]
        colors = colors.to(device)
        maps = symmetries.repainted_maps(inputs.maps, colors)
        instructions = symmetries.repainted_words(inputs.instructions, colors, words)
        swapped = draws.uniform(count, 1).to(device) < 0.5
        poses = symmetries.mirrored_poses(inputs.starts[:, 1:], self.width)
        starts = torch.cat((inputs.starts[:, :1], torch.where(swapped, poses, inputs.starts[:, 1:])), 1)
        maps = torch.where(swapped[..., None], symmetries.mirrored_maps(maps), maps)
        actions, labels = (
            torch.where(swapped, symmetries.mirrored_actions(part), part) for part in (actions, labels)
        )
        moved = inputs._replace(instructions=instructions, images=None, starts=starts, maps=maps)
        return moved, actions, labels

    def walks(self, batch: NavigationBatch, answer: NavigationAnswer) -> Walks:
        assert batch.maps is not None and batch.goals is not None
        inputs = NavigationInputs(batch.instructions, None, batch.starts, batch.maps)
        reference = follow(self, inputs, batch.actions).places
        ended = (answer.places[..., 0] >= 0).sum(1)
        path, sizes = without_turns(answer.places, ended)
        own, own_sizes = without_turns(reference, (batch.actions >= 0).sum(1) + 1)
        goals = rooms.facing((self.height, self.width), batch.goals)
        to_goal = self._at(rooms.steps_to(batch.maps, goals), path)
        between = self._between(batch.maps, path, own, own_sizes)
        return Walks(
            to_goal=to_goal,
            between=between,
            moves=_moves(path, sizes),
            sizes=sizes,
            reference_moves=_moves(own, own_sizes),
            reference_sizes=own_sizes,
            shortest=to_goal[:, 0],
            stopped=(answer.actions == self.stop).any(1),
        )

    def _at(self, distances: Tensor, path: Tensor) -> Tensor:
        """Of the poses of each path, from int16 [B, 4, h, w]: float [B, T]."""
        x, y, direction = path.unbind(2)
        numbers = (direction * self.height + y) * self.width + x
        return distances.flatten(1).gather(1, numbers).float()

    def _between(self, maps: Tensor, path: Tensor, reference: Tensor, sizes: Tensor) -> Tensor:
        """Steps from each pose of a path to each of its reference, of which ``sizes`` [B] are there: float
        [B, T, R], 0 past these."""
        rows, steps = (torch.arange(reference.shape[1], device=maps.device) < sizes[:, None]).nonzero(
            as_tuple=True
        )
        found = torch.zeros(*path.shape[:2], reference.shape[1], device=maps.device)
        most = max(1, _AT_ONCE // (4 * self.height * self.width))
        for row, step in zip(rows.split(most), steps.split(most), strict=True):
            x, y, direction = reference[row, step].unbind(1)
            marked = torch.zeros(len(row), 4, self.height, self.width, dtype=torch.bool, device=maps.device)
            marked[torch.arange(len(row), device=maps.device), direction, y, x] = True
            found[row, :, step] = self._at(rooms.steps_to(maps[row], marked), path[row]).to(found)
        return found


def _moves(path: Tensor, sizes: Tensor) -> Tensor:
    """Turns and steps: one to each pose but the first, [B, T]."""
    steps = torch.arange(path.shape[1], device=path.device)
    return ((steps > 0) & (steps < sizes[:, None])).float()
