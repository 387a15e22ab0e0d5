"""Episodes of R2R, RxR and generated buildings: what is offered, and what is broken, told or counted."""

import json
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from vision_apps.core.data import SPLITS
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.episodes.generated_building import LANDMARKS, furnished, walks
from vision_apps.data.episodes.graph_data import GraphEpisodes, actions_along
from vision_apps.data.episodes.r2r import R2R, GeneratedBuildings, RxR
from vision_apps.data.questions.words import UNKNOWN, words_of

FIELDS = GraphEpisodes.fields


def opened(root: Path, kind: type[R2R] = R2R, **changes: Any) -> R2R:
    data = kind(**kind.fake(root) | changes)
    data.prepare_data()
    return data


def again(root: Path, **changes: Any) -> R2R:
    """The same files once more."""
    given = {"files": {"train": "R2R_train.json", "val": "R2R_val_seen.json", "test": "R2R_val_unseen.json"}}
    data = R2R(**{"root": str(root), "features": "features.tsv", "least_word": 1} | given | changes)
    data.prepare_data()
    return data


def change(root: Path, spoil: Callable[[dict[str, Any]], object], entry: int = 0) -> None:
    file = root / "R2R_train.json"
    rows = json.loads(file.read_text())
    spoil(rows[entry])
    file.write_text(json.dumps(rows))


def test_both_formats_are_the_same_episodes(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "r2r"), opened(tmp_path / "rxr", RxR)
    assert one.facts["vocabulary"] == other.facts["vocabulary"]
    assert torch.equal(one.views.of(one.buildings.names), other.views.of(other.buildings.names))
    for split in SPLITS:
        told = [
            {(route.scan, route.path, route.heading, route.instruction) for route in data.routes[split]}
            for data in (one, other)
        ]
        assert told[0] == told[1] and told[0]


def test_a_sample_is_the_entry_of_its_file(tmp_path: Path) -> None:
    data = opened(tmp_path)
    rows = {f"{row['path_id']}": row for row in json.loads((tmp_path / "R2R_train.json").read_text())}
    samples, words = data.load("train", FIELDS), data.vocabulary
    assert len(samples) == 3 * len(rows)
    for index, name in enumerate(data.sample_names("train")):
        sample, (path_id, number) = samples[index], name.split("_")
        row = rows[path_id]
        assert [words[word] for word in sample["instructions"] if word] == words_of(
            row["instructions"][int(number)]
        )
        scan, viewpoint = data.buildings.names[int(sample["starts"][0])]
        assert (scan, viewpoint) == (row["scan"], row["path"][0])
        assert float(sample["starts"][1]) / 1e6 == pytest.approx(row["heading"], abs=1e-6)
        assert data.buildings.names[int(sample["goals"])] == (row["scan"], row["path"][-1])
        place = int(sample["starts"][0])
        taken = sample["actions"][sample["actions"] >= 0].tolist()
        for action, name in zip(taken, [*row["path"][1:], None], strict=True):
            if name is None:
                assert action == 0
            else:
                place = int(data.buildings.neighbours[place, action - 1])
                assert data.buildings.names[place][1] == name
        assert sample["images"].shape == (3, 64, 64) and sample["images"].dtype == torch.uint8


def test_actions_lead_along_a_path(tmp_path: Path) -> None:
    data = opened(tmp_path)
    path = torch.tensor(
        [data.buildings.number(data.routes["val"][0].scan, n) for n in data.routes["val"][0].path]
    )
    actions = actions_along(data.buildings, path)
    for one, other, action in zip(path, path[1:], actions, strict=False):
        assert data.buildings.neighbours[one, action - 1] == other


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda row: row.update(scan="strange"), "there is no connectivity/strange_connectivity.json"),
        (lambda row: row["path"].__setitem__(1, "f" * 32), "its viewpoint f+ is not among those included"),
        (lambda row: row["path"].pop(1), r"one cannot walk from \w+ to \w+ in one move"),
        (lambda row: row.update(path=row["path"][:1]), "it has a start and no goal"),
        (lambda row: row.update(instructions=["...", "go", "go"]), "there is no word in its instruction"),
        (lambda row: row.update(path=(row["path"][:2] * 30)), "it takes 60 actions with the stop"),
    ],
)
def test_what_cannot_be_followed_is_refused_or_left_out_and_counted(
    spoil: Callable[[dict[str, Any]], object], text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = opened(tmp_path)
    change(tmp_path, spoil)
    with pytest.raises(DataError, match=text) as caught:
        again(tmp_path)
    assert "R2R_train.json, entry 0, 0_" in str(caught.value) or "entry 0" in str(caught.value)
    assert "data.on_corrupt=skip" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        data = again(tmp_path, on_corrupt="skip")
    lost = len(whole.routes["train"]) - len(data.routes["train"])
    assert lost == (1 if "no word" in text else 3)
    assert f"({lost} so far)" in caplog.text


def test_a_goal_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    opened(tmp_path)
    row = json.loads((tmp_path / "R2R_train.json").read_text())[0]
    file = tmp_path / "connectivity" / f"{row['scan']}_connectivity.json"
    rooms = json.loads(file.read_text())
    (goal,) = (number for number, room in enumerate(rooms) if room["image_id"] == row["path"][-1])
    for number, room in enumerate(rooms):
        room["unobstructed"][goal] = False
        if number == goal:
            room["unobstructed"] = [False] * len(rooms)
    file.write_text(json.dumps(rooms))
    with pytest.raises(
        DataError, match=f"its goal {row['path'][-1]} cannot be reached from {row['path'][0]}"
    ):
        again(tmp_path)


def test_a_graph_without_one_of_its_viewpoints_is_told(tmp_path: Path) -> None:
    opened(tmp_path)
    file = next((tmp_path / "connectivity").iterdir())
    file.write_text(json.dumps(json.loads(file.read_text())[:-1]))
    with pytest.raises(DataError, match="speaks of 20 viewpoints, and the file has 19"):
        again(tmp_path)


def test_features_that_lack_a_viewpoint_are_told(tmp_path: Path) -> None:
    opened(tmp_path)
    file = tmp_path / "features.tsv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    with pytest.raises(DataError, match="no features of 1 of 60 viewpoints"):
        again(tmp_path)


def test_words_that_training_does_not_know_are_counted(tmp_path: Path) -> None:
    opened(tmp_path)
    file = tmp_path / "R2R_val_seen.json"
    rows = json.loads(file.read_text())
    rows[0]["instructions"][1] = "Zigzag to the sofa."
    file.write_text(json.dumps(rows))
    data = again(tmp_path)
    index = data.sample_names("val").index(f"{rows[0]['path_id']}_1")
    assert data.load("val", FIELDS)[index]["instructions"][0] == UNKNOWN
    assert f"val: 1 of {3 * len(rows)} instructions have unknown words" in list(data.doctor())


def test_long_instructions_are_cut_and_counted(tmp_path: Path) -> None:
    opened(tmp_path)
    data = again(tmp_path, longest=5)
    samples = data.load("train", ("instructions",))
    assert max(len(samples[index]["instructions"]) for index in range(len(samples))) == 5
    assert any("more words than data.longest=5" in line for line in data.doctor())


def test_a_run_that_goes_on_keeps_its_words(tmp_path: Path) -> None:
    opened(tmp_path)
    data = R2R(**R2R.fake(tmp_path / "other"))
    data.known_facts = {"vocabulary": ["", "<unknown>", "sofa"]}
    data.prepare_data()
    assert data.facts["vocabulary"] == ["", "<unknown>", "sofa"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"longest": 0}, "data.longest: 0"),
        ({"max_steps": 1}, "data.max_steps: 1"),
        ({"threshold": 0.0}, "data.threshold: 0.0"),
        ({"files": {"train": "a.json"}}, "data.files: train; expected train, val, test"),
        ({"folds": 5, "fold": 0}, "data.folds: 5"),
    ],
)
def test_settings_out_of_range_are_told(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=text):
        R2R(**R2R.fake(tmp_path) | changes)


def test_a_file_without_goals_is_for_predict_alone(tmp_path: Path) -> None:
    given = R2R.fake(tmp_path)
    data = R2R(**given | {"files": given["files"] | {"test": "R2R_test.json"}, "on_corrupt": "skip"})
    with pytest.raises(DataError, match=r"nothing of R2R_test\.json can be used, which is data\.files\.test"):
        data.prepare_data()


class TestGenerated:
    def test_a_building_is_a_function_of_seed_and_number(self) -> None:
        one, same, other = furnished(0, 3), furnished(0, 3), furnished(1, 3)
        assert torch.equal(one.building.positions, same.building.positions)
        assert all(torch.equal(own, same.views[place]) for place, own in one.views.items())
        assert not torch.equal(one.building.positions, other.building.positions)

    def test_every_room_can_be_reached_and_no_two_that_are_seen_together_are_alike(self) -> None:
        for number in range(5):
            house = furnished(0, number)
            assert house.building.distances.isfinite().all()
            for room, edges in enumerate(house.building.edges):
                seen = [house.landmarks[other] for other in edges.nonzero()[:, 0].tolist()]
                assert len({*seen, house.landmarks[room]}) == len(seen) + 1

    def test_an_instruction_names_what_is_on_the_way(self) -> None:
        house = furnished(0, 1)
        for route in walks(0, house, 10):
            expected = [house.landmarks[room] for room in route.path[1:]]
            for text in route.instructions:
                assert [word for word in words_of(text) if word in LANDMARKS] == expected
            assert all(house.building.edges[one, other] for one, other in pairwise(route.path))

    def test_splits_have_no_route_in_common_and_the_test_no_building(self, tmp_path: Path) -> None:
        data = opened(tmp_path, GeneratedBuildings)
        routes = {split: {(own.scan, own.path) for own in data.routes[split]} for split in SPLITS}
        assert not routes["train"] & routes["val"]
        assert not {scan for scan, _ in routes["train"] | routes["val"]} & {
            scan for scan, _ in routes["test"]
        }

    def test_it_is_written_once_and_whole(self, tmp_path: Path) -> None:
        first = opened(tmp_path, GeneratedBuildings)
        times = {path: path.stat().st_mtime_ns for path in first.root.rglob("*")}
        assert opened(tmp_path, GeneratedBuildings).root == first.root
        assert {path: path.stat().st_mtime_ns for path in first.root.rglob("*")} == times
        assert [path.name for path in tmp_path.iterdir()] == [first.root.name]
        other = opened(tmp_path, GeneratedBuildings, world_seed=1)
        assert other.root != first.root

    def test_of_two_that_write_one_is_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        slow = GeneratedBuildings(**GeneratedBuildings.fake(tmp_path))
        opened(tmp_path, GeneratedBuildings)
        slow._write()
        assert len(list(tmp_path.iterdir())) == 1
        slow.prepare_data()
