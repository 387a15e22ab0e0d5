"""Rooms as tensors are Minigrid's own, environment by environment."""

import random

import numpy as np
import pytest
import torch

from vision_apps.data.episodes import levels, reading, rooms, tiles

# without doors, with closed ones, with open ones, and mazes that are wider than a view
LEVELS = ["GoToLocalS6N4", "GoToRedBallGrey", "GoToDoor", "GoToObjMazeS4", "GoToOpen"]


def coded(encoded: np.ndarray) -> torch.Tensor:
    """Minigrid's encoding [x, y, 3] as codes [row, column]."""
    kind, color, state = torch.from_numpy(encoded.astype(np.int64)).permute(2, 1, 0)
    return ((kind * rooms.COLORS + color) * rooms.STATES + state).to(torch.uint8)


@pytest.mark.parametrize("level", LEVELS)
def test_sights_moves_and_pixels_are_those_of_minigrid(level: str) -> None:
    environment = levels.make(level)
    from minigrid.wrappers import RGBImgPartialObsWrapper

    draw = random.Random(level)
    pixels = RGBImgPartialObsWrapper(environment, tile_size=8)
    for seed in range(4):
        start = reading.beginning(environment, seed)
        maps = torch.from_numpy(start.cells)[None]
        poses = torch.tensor([start.pose])
        for _ in range(40):
            seen = type(environment).gen_obs(environment)
            view = rooms.views(maps, poses)
            assert torch.equal(view[0], coded(seen["image"]))
            expected = torch.from_numpy(pixels.observation(seen)["image"]).permute(2, 0, 1)
            assert torch.equal(tiles.pixels(view, 56)[0], expected)
            above = torch.from_numpy(environment.get_full_render(False, 8)).permute(2, 0, 1)
            assert torch.equal(tiles.from_above(maps, poses, 8)[0], above)
            action = draw.choice([0, 1, 2, 2, 2, 3])
            reading.act(environment, action)
            maps, poses = rooms.moved(maps, poses, torch.tensor([action]))
            assert poses[0].tolist() == [*map(int, environment.agent_pos), environment.agent_dir]
            assert torch.equal(maps[0], coded(environment.grid.encode()))


def test_a_batch_is_its_episodes() -> None:
    environment = levels.make("GoToObjMazeS4")
    starts = [reading.beginning(environment, seed) for seed in range(6)]
    maps = torch.stack([torch.from_numpy(start.cells) for start in starts])
    poses = torch.tensor([start.pose for start in starts])
    actions = torch.tensor([0, 1, 2, 3, 4, -1])
    together = (rooms.views(maps, poses), *rooms.moved(maps, poses, actions))
    for number in range(6):
        one = slice(number, number + 1)
        alone = (rooms.views(maps[one], poses[one]), *rooms.moved(maps[one], poses[one], actions[one]))
        assert all(torch.equal(a, b[one]) for a, b in zip(alone, together, strict=True))
    assert torch.equal(together[2][4:], poses[4:]), "who stops, and who is past the end, stays"


@pytest.mark.parametrize("level", LEVELS)
def test_distances_are_those_of_a_search(level: str) -> None:
    """Against a breadth-first search over single poses."""
    environment = levels.make(level)
    for seed in range(3):
        start = reading.beginning(environment, seed)
        maps = torch.from_numpy(start.cells)[None]
        goals = rooms.facing(start.cells.shape, torch.tensor([start.targets]))
        found = rooms.steps_to(maps, goals)[0]
        for pose in [start.pose, (1, 1, 0), (2, 1, 3)]:
            x, y, direction = pose
            assert found[direction, y, x].item() == searched(start, pose)


def searched(start: reading.Beginning, pose: tuple[int, int, int]) -> int:
    """From a pose to facing a target, by `moved` alone."""
    known, width = rooms.kinds(), start.cells.shape[1]
    doors_open = torch.from_numpy(start.cells).long()
    doors_open = torch.where(known.door[doors_open], rooms.code(4, 0, 0), doors_open).to(torch.uint8)[None]
    if not known.free[doors_open[0, pose[1], pose[0]].long()]:
        return rooms.FAR
    reached, edge, steps = {pose}, [pose], 0
    while edge:
        for x, y, direction in edge:
            dx, dy = ((1, 0), (0, 1), (-1, 0), (0, -1))[direction]
            if (y + dy) * width + x + dx in start.targets:
                return steps
        onward = []
        for one in edge:
            for action in (rooms.LEFT, rooms.RIGHT, rooms.FORWARD):
                _, there = rooms.moved(doors_open, torch.tensor([one]), torch.tensor([action]))
                place = tuple(there[0].tolist())
                if place not in reached:
                    reached.add(place)
                    onward.append(place)
        edge, steps = onward, steps + 1
    return rooms.FAR


def test_another_size_keeps_the_nearest_pixels() -> None:
    view = torch.full((1, 7, 7), rooms.WALL, dtype=torch.uint8)
    small = tiles.pixels(view, 32)
    assert small.shape == (1, 3, 32, 32)
    assert torch.equal(
        small, tiles.pixels(view, 35)[:, :, torch.arange(32) * 35 // 32][..., torch.arange(32) * 35 // 32]
    )
