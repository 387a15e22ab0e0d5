"""In a mirror and in other colours an expert goes where it is told, by Minigrid's own names of things."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from vision_apps.applications.navigation.module import Navigation
from vision_apps.applications.navigation.types import NavigationBatch
from vision_apps.applications.navigation.world import follow
from vision_apps.core import assembly
from vision_apps.core.config.compose import compose
from vision_apps.core.loader import BatchLoader
from vision_apps.core.seeding import seed_everything
from vision_apps.data.episodes import rooms, symmetries


def assembled(level: str, count: int = 24) -> tuple[Navigation, NavigationBatch]:
    words = ["task=navigation", f"data.level={level}", f"data.train_images={count}"]
    words += ["data.val_images=2", "data.test_images=2"]
    config: Any = OmegaConf.to_container(compose(words), resolve=True)
    seed_everything(0)
    data = assembly.build_data(config)
    module = assembly.build_module(config, data.facts, trainable=False)
    assert isinstance(module, Navigation)
    data.batch_type = module.batch_type
    return module, next(iter(BatchLoader(data.samples("train"), module.batch_type, batch_size=count)))


def name_of(code: int) -> str:
    """What Minigrid calls a thing with its colour."""
    from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT

    kind, rest = divmod(code, rooms.COLORS * rooms.STATES)
    return f"{IDX_TO_COLOR[rest // rooms.STATES]} {IDX_TO_OBJECT[kind]}"


@pytest.mark.parametrize(
    ("level", "repaints"),
    [("GoToLocalS6N4", True), ("GoToDoor", True), ("GoToObjMazeS4", True), ("GoToRedBallGrey", False)],
)
def test_the_expert_ends_before_what_the_new_instruction_names(level: str, repaints: bool) -> None:
    module, batch = assembled(level)
    words = ["", "?", *module.numbers]
    given = module.inputs(batch)
    inputs, actions, labels = module.world.another(given, batch.actions, batch.actions, module.numbers)
    assert torch.equal(actions, labels)
    states = follow(module.world, inputs, actions).states
    assert inputs.starts is not None and not torch.equal(inputs.starts, batch.starts), "some are mirrored"
    changed = 0
    for number, taken in enumerate(actions.tolist()):
        if rooms.STOP not in taken:
            continue  # a way that is blocked
        maps, poses = states[taken.index(rooms.STOP)]
        x, y = rooms.ahead(poses)
        faced = name_of(int(maps[number, y[number], x[number]]))
        told = " ".join(words[index] for index in inputs.instructions[number].tolist() if index)
        kind = faced.split()[1]
        assert told in {f"go to {the} {thing}" for the in ("the", "a") for thing in (faced, kind)}, faced
        before = given.instructions[number]
        changed += not torch.equal(before, inputs.instructions[number])
    assert (changed > 0) == repaints


def test_a_mirror_in_a_mirror_is_the_room_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    poses = torch.randint(4, (9, 3), generator=generator)
    actions = torch.randint(-1, 5, (9, 6), generator=generator)
    twice = symmetries.mirrored_poses(symmetries.mirrored_poses(poses, 6), 6)
    assert torch.equal(twice, poses)
    assert torch.equal(symmetries.mirrored_actions(symmetries.mirrored_actions(actions)), actions)


def test_a_mirrored_step_leads_to_the_mirror_of_where_it_led() -> None:
    _, batch = assembled("GoToObjMazeS4", 6)
    assert batch.maps is not None and batch.starts is not None
    maps, poses, width = batch.maps, batch.starts[:, 1:], batch.maps.shape[2]
    swapped = symmetries.mirrored_maps(maps), symmetries.mirrored_poses(poses, width)
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        taken = torch.randint(4, (len(maps),), generator=generator)
        maps, poses = rooms.moved(maps, poses, taken)
        swapped = rooms.moved(*swapped, symmetries.mirrored_actions(taken))
        assert torch.equal(symmetries.mirrored_maps(swapped[0]), maps)
        assert torch.equal(symmetries.mirrored_poses(swapped[1], width), poses)


def test_walls_stay_and_every_other_thing_takes_the_colour_that_it_is_told() -> None:
    codes = torch.arange(rooms.CODES, dtype=torch.uint8)[None, None]
    colors = torch.tensor([[3, 0, 5, 1, 2, 4]])
    new = symmetries.repainted_maps(codes, colors)[0, 0].tolist()
    for code, other in enumerate(new):
        kind, color = code // 18, code // 3 % 6
        painted = kind in {4, 5, 6, 7}  # door, key, ball, box
        assert other == (code - 3 * color + 3 * colors[0, color] if painted else code)
