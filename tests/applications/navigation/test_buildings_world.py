"""The graph world: what is seen, where actions lead, what the expert says, and how walks are measured."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from slow_path_metrics import scores
from vision_apps.applications.navigation.buildings_world import BuildingsWorld, graph_walks
from vision_apps.applications.navigation.path_metrics import evaluate
from vision_apps.applications.navigation.types import NavigationAnswer, NavigationBatch, NavigationInputs
from vision_apps.applications.navigation.walking import shown
from vision_apps.core.errors import DataError
from vision_apps.core.fields import kinds, padded
from vision_apps.data.episodes.generated_building import furnished
from vision_apps.data.episodes.r2r import R2R, views_of
from vision_apps.data.episodes.view_features import write_tsv


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> R2R:
    found = R2R(**R2R.fake(tmp_path_factory.mktemp("r2r")))
    found.prepare_data()
    return found


@pytest.fixture(scope="module")
def world(data: R2R) -> BuildingsWorld:
    return world_of(data)


def world_of(data: R2R, **changes: Any) -> BuildingsWorld:
    fact = {name: value for name, value in data.facts["world"].items() if name != "kind"}
    return BuildingsWorld(**fact | changes)


def batch_of(data: R2R, count: int = 8) -> NavigationBatch:
    samples = data.load("train", (*NavigationBatch._fields[:3], "starts", "goals"))
    rows = [samples[index] for index in range(count)]
    known = kinds(NavigationBatch)
    return NavigationBatch(
        **{name: torch.stack(padded([row[name] for row in rows], name, known[name])) for name in rows[0]}
    )


def inputs_of(batch: NavigationBatch) -> NavigationInputs:
    return NavigationInputs(batch.instructions, None, batch.starts)


def answer_of(world: BuildingsWorld, batch: NavigationBatch, actions: Tensor) -> NavigationAnswer:
    assert batch.starts is not None
    places = world.walked(batch.starts, actions)
    over = torch.cat((torch.zeros_like(actions[:, :1]), actions), dim=1) < 0
    B, T = actions.shape
    return NavigationAnswer(
        actions, places.masked_fill(over, -1)[..., None], torch.zeros(B, T, 1), torch.zeros(B, T)
    )


def test_the_described_actions_walk_the_described_path(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    assert batch.starts is not None and batch.goals is not None
    places = world.walked(batch.starts, batch.actions)
    for route, row, actions in zip(data.routes["train"], places.tolist(), batch.actions, strict=False):
        expected = [data.buildings.number(route.scan, name) for name in route.path]
        assert row[: len(expected)] == expected
        assert actions[len(expected) - 1] == world.stop
    assert torch.equal(places[:, -1], batch.goals[:, 0])


def test_what_is_seen_is_what_the_file_says_where_one_looks(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    state = world.reset(inputs_of(batch))
    seen = world.observe(state)
    assert seen.views is not None and seen.candidates is not None and seen.possible is not None
    D = data.views.width
    assert seen.views.shape == (8, 36, D + 4) and seen.candidates.shape == (8, world.actions, D + 5)
    for row, number in enumerate(state.viewpoints.tolist()):
        own = data.views.of([data.buildings.names[number]])[0]
        assert torch.equal(seen.views[row, :, :D], own)
        x, y, _ = data.buildings.positions[number].tolist()
        for column, other in enumerate(data.buildings.neighbours[number].tolist(), 1):
            assert bool(seen.possible[row, column]) == (other >= 0)
            if other < 0:
                assert not seen.candidates[row, column].any()
                continue
            there_x, there_y, _ = data.buildings.positions[other].tolist()
            heading = math.degrees(math.atan2(there_x - x, there_y - y)) % 360
            view = 12 + round(heading / 30) % 12  # those that look ahead
            assert torch.equal(seen.candidates[row, column, :D], own[view])
            turn = math.radians(heading) - float(state.headings[row])
            expected = torch.tensor([math.sin(turn), math.cos(turn), 0.0, 1.0, 0.0])
            torch.testing.assert_close(seen.candidates[row, column, D:], expected, atol=1e-5, rtol=0)
    assert seen.possible[:, world.stop].all()
    assert torch.equal(seen.candidates[:, world.stop, -1], torch.ones(8))


def test_a_move_turns_to_where_it_goes(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    state = world.reset(inputs_of(batch))
    before = world.observe(state)
    moved = world.step(state, batch.actions[:, 0])
    seen = world.observe(moved)
    assert before.led is not None and not before.led.any()
    assert before.candidates is not None and seen.led is not None
    taken = before.candidates[torch.arange(8), batch.actions[:, 0], data.views.width : -1]
    assert torch.equal(seen.led, taken)
    again = world.observe(world.step(moved, torch.full((8,), world.stop)))
    assert again.led is not None and not again.led.any()


def test_what_cannot_be_done_leaves_the_agent_where_it_is(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    state = world.reset(inputs_of(batch))
    for action in (-1, world.stop, world.actions - 1, 99):
        stays = (data.buildings.neighbours[state.viewpoints] >= 0).sum(1) < action
        stays |= action <= world.stop
        moved = world.step(state, torch.full((8,), action))
        assert torch.equal(moved.viewpoints[stays], state.viewpoints[stays])


def test_the_expert_follows_the_path_and_leads_back_from_elsewhere(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    assert torch.equal(world.expert(batch, batch.actions), batch.actions)
    assert batch.starts is not None and batch.goals is not None
    generator = torch.Generator().manual_seed(0)
    astray = torch.randint(1, 3, (8, 4), generator=generator)
    for _ in range(world.max_steps):  # what was advised is done next, until nobody has to go on
        advice = world.expert(batch, torch.cat((astray, torch.zeros(8, 1, dtype=torch.int64)), dim=1))[:, -1]
        astray = torch.cat((astray, advice[:, None]), dim=1)
    assert (advice == world.stop).all()
    assert torch.equal(world.walked(batch.starts, astray)[:, -1], batch.goals[:, 0])
    over = astray.clone()
    over[:, 3:] = -1
    assert (world.expert(batch, over)[:, 3:] == -1).all()


def test_walks_are_measured_as_a_slow_implementation_does(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    actions = torch.randint(0, 4, (8, 7), generator=torch.Generator().manual_seed(1))
    actions[2, 3:] = -1
    answer = answer_of(world, batch, actions)
    found = evaluate(world.walks(batch, answer), threshold=3.0)

    def distance(a: int, b: int) -> float:
        return float(data.buildings.distance(torch.tensor([a]), torch.tensor([b])))

    for row, route in enumerate(data.routes["train"][:8]):
        reference = [data.buildings.number(route.scan, name) for name in route.path]
        path = [place for place in answer.places[row, :, 0].tolist() if place >= 0]
        expected = scores(path, reference, distance)
        assert {name: float(found[name][row]) for name in expected} == pytest.approx(expected), row


def test_walking_as_described_is_perfect(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    found = evaluate(world.walks(batch, answer_of(world, batch, batch.actions)), threshold=3.0)
    for name in ("success", "spl", "oracle_success", "ndtw", "sdtw", "cls"):
        assert found[name].tolist() == pytest.approx([1.0] * 8), name


def test_what_stands_past_the_end_is_not_read(data: R2R, world: BuildingsWorld) -> None:
    places, sizes = torch.tensor([[0, 1, -1], [3, -1, -1]]), torch.tensor([2, 1])
    one = graph_walks(data.buildings, places, sizes, places, sizes)
    other = graph_walks(data.buildings, places[:, :2], sizes, places, sizes)
    for name, value in evaluate(one, 3.0).items():
        assert torch.equal(value, evaluate(other, 3.0)[name])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"connectivity": "nowhere"}, "module.world.connectivity: there is no folder"),
        ({"scans": ["building000", "strange"]}, "strange_connectivity.json: cannot be read"),
        ({"neighbours": 1}, r"has a viewpoint with \d neighbours; the run knows at most 1"),
        ({"scans": ["building000"]}, r"starts: viewpoint \d+ of 20"),
        ({"features": "nowhere.tsv"}, "there is no file"),
        ({"feature_width": 99}, "data.feature_width: 99"),
    ],
)
def test_other_files_are_told(changes: dict[str, Any], text: str, data: R2R) -> None:
    world = world_of(data, **changes)  # not yet: networks are looked at without files
    with pytest.raises(DataError, match=text):
        world.observe(world.reset(inputs_of(batch_of(data))))


def test_features_of_another_building_are_told(data: R2R, tmp_path: Path) -> None:
    write_tsv(tmp_path / "one.tsv", views_of([furnished(0, 7)]))
    world = world_of(data, features=str(tmp_path / "one.tsv"))
    with pytest.raises(DataError, match="no features of"):
        world.observe(world.reset(inputs_of(batch_of(data))))


def test_an_episode_is_named_by_words(data: R2R, world: BuildingsWorld) -> None:
    route = data.routes["test"][0]
    begun = world.begin({"scan": route.scan, "viewpoint": route.path[0], "heading": str(route.heading)})
    sample = data.load("test", ("starts",))[0]
    assert torch.equal(begun.starts[0], sample["starts"])
    assert begun.instruction is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"scan": "building00"}, r"scan: 'building00'; the run knows .*; did you mean 'building00\d'"),
        ({"viewpoint": "kitchen"}, "viewpoint: 'kitchen' is not among the 20 that are included"),
        ({"heading": "north"}, "heading: 'north'; expected a number, rad"),
        ({"heading": "inf"}, "heading: 'inf'; expected a number, rad"),
    ],
)
def test_words_that_name_no_episode_are_told(
    words: dict[str, str], text: str, data: R2R, world: BuildingsWorld
) -> None:
    route = data.routes["test"][0]
    with pytest.raises(DataError, match=text):
        world.begin({"scan": route.scan, "viewpoint": route.path[0], **words})


def test_a_trajectory_is_as_files_of_results_have_it(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    assert batch.starts is not None
    places = world.walked(batch.starts, batch.actions)
    for row, route in enumerate(data.routes["train"][:8]):
        found = world.trajectory(batch.starts[row], places[row][:, None])
        assert [viewpoint for viewpoint, _, _ in found] == list(route.path)
        assert found[0][1:] == (pytest.approx(route.heading, abs=1e-6), 0.0)
        here, there = (data.buildings.positions[places[row, step]].tolist() for step in (0, 1))
        turned = math.atan2(there[0] - here[0], there[1] - here[1]) % (2 * math.pi)
        assert found[1][1:] == (pytest.approx(turned), pytest.approx(0.0, abs=1e-6))


def test_paths_and_goals_lie_on_the_map(data: R2R, world: BuildingsWorld) -> None:
    batch = batch_of(data)
    assert batch.starts is not None and batch.goals is not None
    maps = world.background(inputs_of(batch))
    places = world.walked(batch.starts, batch.actions)
    for row, picture in enumerate(maps):
        points = world.on_background(places[row][:, None])
        assert ((points > 0) & (points < picture.shape[1])).all()
        assert torch.equal(world.marks(batch.goals[row])[0], points[-1])
        # every stretch of a way runs along a line of the map
        for one, other in pairwise(points):
            x, y = ((one + other) / 2).long().tolist()
            near = picture[:, y - 1 : y + 2, x - 1 : x + 2].float().mean((1, 2))
            assert near[0] < 240 or torch.equal(one, other)
    assert not len(world.on_background(torch.zeros(0, 1, dtype=torch.int64)))
    assert not len(world.marks(torch.tensor([-1])))


def test_who_sees_nothing_still_knows_where_ways_lead(data: R2R, world: BuildingsWorld) -> None:
    seen = world.observe(world.reset(inputs_of(batch_of(data))))
    dark = shown(seen, lambda pixels: pixels, "image")
    assert seen.candidates is not None and dark.candidates is not None and dark.views is not None
    D = data.views.width
    assert not dark.views.any() and not dark.candidates[..., :D].any()
    assert torch.equal(dark.candidates[..., D:], seen.candidates[..., D:])
    told = shown(seen, lambda pixels: pixels, "instruction")
    assert told.views is not None and told.candidates is not None and seen.views is not None
    assert torch.equal(told.views, seen.views) and torch.equal(told.candidates, seen.candidates)
