"""What BabyAI's bot does, by Minigrid's own rules."""

import numpy as np
import pytest

from vision_apps.data.episodes import experts, levels, reading
from vision_apps.data.episodes.rooms import FORWARD, LEFT, RIGHT, STOP


def faces_target(environment: object, targets: list[int]) -> bool:
    x, y = environment.front_pos  # type: ignore[attr-defined]
    return int(y) * environment.width + int(x) in targets  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", ["GoToLocalS6N4", "GoToObjMazeS4"])
def test_a_demonstration_ends_where_the_target_is_faced(level: str) -> None:
    environment = levels.make(level)
    for seed in range(12):
        made = experts.demonstration(environment, seed, most=200)
        assert made.actions[-1] == STOP and STOP not in made.actions[:-1]
        replayed = reading.beginning(environment, seed)
        assert replayed.mission == made.begins.mission and replayed.pose == made.begins.pose
        for action in made.actions:
            reading.act(environment, action)
        assert faces_target(environment, made.begins.targets)


def test_advice_on_the_experts_own_way_is_its_way() -> None:
    environment = levels.make("GoToLocalS6N4")
    for seed in range(12):
        own = experts.demonstration(environment, seed, most=64).actions
        assert experts.advice(environment, seed, own) == own


def test_who_follows_advice_after_going_astray_arrives() -> None:
    environment = levels.make("GoToLocalS6N4")
    for seed in range(12):
        taken = [LEFT, FORWARD, RIGHT, FORWARD, LEFT]
        while taken[-1] != STOP:
            advised = experts.advice(environment, seed, [*taken, STOP])
            assert advised[-1] >= 0
            taken.append(advised[-1])
        start = reading.beginning(environment, seed)
        for action in taken:
            reading.act(environment, action)
        assert faces_target(environment, start.targets)


def test_processes_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(70)
    alone = list(experts.demonstrations("GoToRedBallGrey", seeds, 64))
    actions = np.full((70, 6), -1)
    actions[:, :4] = [LEFT, FORWARD, RIGHT, STOP]
    advised = experts.advised("GoToRedBallGrey", seeds, actions)
    monkeypatch.setattr(experts, "_ALONE", 0)
    monkeypatch.setattr(experts, "cores", lambda: 2)
    shared = list(experts.demonstrations("GoToRedBallGrey", seeds, 64))
    assert [(one.actions, one.begins.mission) for one in alone] == [
        (one.actions, one.begins.mission) for one in shared
    ]
    assert np.array_equal(advised, experts.advised("GoToRedBallGrey", seeds, actions))
    assert (advised[:, 4:] == -1).all() and (advised[:, :4] >= 0).all()
