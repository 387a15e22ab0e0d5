"""Graphs of buildings: their files, ways through them, and what is no such file."""

import json
import math
import re
from pathlib import Path
from typing import Any

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_apps.core.errors import DataError
from vision_apps.data.episodes.building_set import BuildingSet
from vision_apps.data.episodes.buildings import Building, read_building, scans_in, write_building


def building(seed: int, count: int = 9, share: float = 0.25, scan: str = "one") -> Building:
    """Anywhere, with moves between some; maybe not in one piece."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.rand(count, count, generator=generator) < share
    edges = (edges | edges.T).fill_diagonal_(False)
    positions = 10 * torch.rand(count, 3, generator=generator, dtype=torch.float64)
    return Building(scan, tuple(f"{scan}-{number}" for number in range(count)), positions, edges)


def as_networkx(own: Building) -> Any:
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(own)))
    for one, other in own.edges.nonzero().tolist():
        graph.add_edge(
            one, other, weight=math.dist(own.positions[one].tolist(), own.positions[other].tolist())
        )
    return graph


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_distances_are_those_of_another_library(seed: int) -> None:
    own = building(seed)
    expected = dict(networkx.all_pairs_dijkstra_path_length(as_networkx(own)))
    for one, row in enumerate(own.distances.tolist()):
        for other, found in enumerate(row):
            assert found == pytest.approx(expected[one].get(other, math.inf))


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_going_on_by_the_next_is_a_shortest_way(seed: int) -> None:
    both = BuildingSet([building(seed, scan="one"), building(seed + 1, 7, scan="two")])
    goal = seed % len(both)
    for start in range(len(both)):
        place, walked = torch.tensor([start]), 0.0
        distance = float(both.distance(place, torch.tensor([goal])))
        for _ in range(len(both)):
            column = both.next(place, torch.tensor([goal]))
            if column < 0:
                break
            following = both.neighbours[place, column]
            walked += float((both.positions[following] - both.positions[place]).norm())
            place = following
        if math.isinf(distance):
            assert place == start
        else:
            assert place == goal
            assert walked == pytest.approx(distance)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    own = building(3)
    write_building(tmp_path, own)
    found = read_building(tmp_path, "one")
    assert found.viewpoints == own.viewpoints
    assert torch.equal(found.positions, own.positions) and torch.equal(found.edges, own.edges)
    assert scans_in(tmp_path) == ["one"]


def test_what_is_not_included_is_left_out(tmp_path: Path) -> None:
    own = building(3)
    write_building(tmp_path, own)
    file = tmp_path / "one_connectivity.json"
    rows = json.loads(file.read_text())
    rows[2]["included"] = False
    file.write_text(json.dumps(rows))
    kept = [0, 1, *range(3, 9)]
    found = read_building(tmp_path, "one")
    assert found.viewpoints == tuple(own.viewpoints[row] for row in kept)
    assert torch.equal(found.edges, own.edges[kept][:, kept])


def test_numbers_go_through_all_buildings() -> None:
    both = BuildingSet([building(1, 5, scan="one"), building(2, 4, scan="two")])
    assert [both.number(*name) for name in both.names] == list(range(9))
    assert both.building("two") is both.buildings[1] and both.building("three") is None
    assert both.distance(torch.tensor([0]), torch.tensor([6])).isinf().all()
    for number, row in enumerate(both.neighbours.tolist()):
        own = [other for other in row if other >= 0]
        assert own == sorted(own) and row[len(own) :] == [-1] * (len(row) - len(own))
        assert all(number in both.neighbours[other] for other in own)


def change(**values: object) -> Any:
    return lambda rows: rows[1].update(values)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda rows: rows.pop(4), "its unobstructed speaks of 9 viewpoints, and the file has 8"),
        (lambda rows: rows.clear(), "0 of them"),
        (lambda rows: rows[1].pop("image_id"), "viewpoint 1: its image_id is None"),
        (lambda rows: rows.__setitem__(1, 7), "viewpoint 1: it is 7"),
        (change(included=1), "viewpoint 1: its included is 1"),
        (change(pose=[0.0] * 12), r"viewpoint 1: its pose is \["),
        (change(pose=[math.inf] * 16), r"viewpoint 1: its pose is \["),
        (change(unobstructed=[0] * 9), r"viewpoint 1: its unobstructed is \["),
        (change(image_id="one-0"), "one-0 stand in it more than once"),
        (change(unobstructed=[False] * 9), "and not back"),
        (lambda rows: [row.update(included=False) for row in rows], "none of its 9 viewpoints is included"),
    ],
)
def test_what_is_no_graph_is_told_with_file_and_viewpoint(spoil: Any, text: str, tmp_path: Path) -> None:
    write_building(tmp_path, building(3, share=0.9))
    file = tmp_path / "one_connectivity.json"
    rows = json.loads(file.read_text())
    spoil(rows)
    file.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=text) as caught:
        read_building(tmp_path, "one")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", ["", "{}", "[" * 100_000, '"text"', "[1, 2"])
def test_what_is_no_list_is_told(content: str, tmp_path: Path) -> None:
    file = tmp_path / "one_connectivity.json"
    file.write_text(content)
    with pytest.raises(DataError, match=re.escape(str(file))):
        read_building(tmp_path, "one")
    with pytest.raises(DataError, match="two_connectivity"):
        read_building(tmp_path, "two")
