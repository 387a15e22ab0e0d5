"""What is said of paths: known values, a slow implementation, and what must hold of any path."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from slow_path_metrics import scores
from vision_apps.applications.navigation.metrics import NAMES, PathMetrics
from vision_apps.applications.navigation.path_metrics import Walks, evaluate, without_turns

REFERENCE = [0, 2, 4, 6]  # places on a line, in m

paths = st.lists(st.integers(-4, 8), min_size=1, max_size=9)
episodes = st.lists(st.tuples(paths, paths), min_size=1, max_size=5)


def distance(a: int, b: int) -> float:
    return float(abs(a - b))


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    filled = [[*row, *[99] * (longest - len(row))] for row in rows]
    return torch.tensor(filled), torch.tensor([len(row) for row in rows])


def moves(places: Tensor) -> Tensor:
    return torch.cat((torch.zeros(len(places), 1), places.diff(dim=1).abs().float()), dim=1)


def walks(walked: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> Walks:
    """Paths on a line."""
    places, sizes = without_turns(*padded(walked))
    reference, reference_sizes = padded(references)
    goals = torch.tensor([row[-1] for row in references])[:, None]
    return Walks(
        (places - goals).abs().float(),
        (places[:, :, None] - reference[:, None]).abs().float(),
        moves(places),
        sizes,
        moves(reference),
        reference_sizes,
        (places[:, :1] - goals).abs()[:, 0].float(),
        torch.ones(len(places), dtype=torch.bool),
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([0, 2, 4], {"success": 1, "spl": 1, "ndtw": 0.8465, "sdtw": 0.8465, "cls": 0.7078}),
        ([0, -2, 0, 2, 4, 6], {"success": 1, "spl": 0.6, "ndtw": 0.8465, "cls": 0.6}),
        ([0], {"success": 0, "spl": 0, "ndtw": 0.3679, "cls": 0.2390, "trajectory_length": 0}),
        (
            [0, 2, 4, 6, 8, 10],
            {"success": 0, "oracle_success": 1, "ndtw": 0.6065, "sdtw": 0, "cls": 0.6, "navigation_error": 4},
        ),
        ([0, 2, 4, 6], {name: 1 for name in NAMES if name not in ("navigation_error", "trajectory_length")}),
    ],
)
def test_known_values_on_a_line(path: list[int], expected: dict[str, float]) -> None:
    found = evaluate(walks([path], [REFERENCE]), threshold=3.0)
    assert {name: float(found[name]) for name in expected} == pytest.approx(expected, abs=5e-5)


@given(episodes)
@settings(deadline=None, max_examples=40)
def test_equal_a_slow_implementation(rows: list[tuple[list[int], list[int]]]) -> None:
    walked, references = zip(*rows, strict=True)
    references = tuple([own[0], *(b for a, b in pairwise(own) if a != b)] for own in references)
    found = evaluate(walks(walked, references), threshold=3.0)
    for number, (path, reference) in enumerate(zip(walked, references, strict=True)):
        expected = scores(path, reference, distance)
        assert {name: float(found[name][number]) for name in NAMES} == pytest.approx(expected, abs=1e-9)


@given(episodes)
@settings(deadline=None, max_examples=40)
def test_bounds_and_order(rows: list[tuple[list[int], list[int]]]) -> None:
    walked, references = zip(*rows, strict=True)
    found = evaluate(walks(walked, references), threshold=3.0)
    for name in NAMES:
        assert (found[name] >= 0).all()
        if name not in ("navigation_error", "trajectory_length"):
            assert (found[name] <= 1).all(), name
    assert (found["spl"] <= found["success"]).all()
    assert (found["success"] <= found["oracle_success"]).all()
    assert (found["sdtw"] <= found["ndtw"]).all()


@given(paths)
@settings(deadline=None, max_examples=40)
def test_the_reference_itself_is_perfect(path: list[int]) -> None:
    own = [path[0], *(b for a, b in pairwise(path) if a != b)]
    found = evaluate(walks([own], [own]), threshold=3.0)
    for name in ("success", "oracle_success", "ndtw", "sdtw", "cls"):
        assert float(found[name]) == pytest.approx(1)


def test_nearer_than_the_threshold_is_arrived_and_as_near_is_not() -> None:
    assert evaluate(walks([[0, 3]], [[0, 6]]), threshold=3.0)["success"].tolist() == [0]
    assert evaluate(walks([[0, 4]], [[0, 6]]), threshold=3.0)["success"].tolist() == [1]


def test_who_does_not_say_that_it_arrived_has_not() -> None:
    walked = walks([REFERENCE], [REFERENCE])._replace(stopped=torch.tensor([False]))
    found = evaluate(walked, threshold=3.0)
    assert [float(found[name]) for name in ("success", "spl", "sdtw", "oracle_success")] == [0, 0, 0, 1]


@given(st.lists(paths, min_size=1, max_size=4))
@settings(deadline=None, max_examples=40)
def test_turns_on_the_spot_are_no_places(rows: list[list[int]]) -> None:
    places, sizes = without_turns(*padded(rows))
    cells, again = without_turns(torch.stack([padded(rows)[0]] * 2, dim=2), padded(rows)[1])
    for number, row in enumerate(rows):
        expected = [row[0], *(b for a, b in pairwise(row) if a != b)]
        assert places[number, : int(sizes[number])].tolist() == expected
        assert places[number, int(sizes[number]) :].unique().tolist() in ([], expected[-1:])
    assert torch.equal(again, sizes)
    assert torch.equal(cells[..., 0], places) and torch.equal(cells[..., 1], places)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_means_do_not_depend_on_batches(batch: int) -> None:
    rows = torch.randint(-4, 8, (5, 7), generator=torch.Generator().manual_seed(0)).tolist()
    whole, metric = PathMetrics(3.0), PathMetrics(3.0)
    whole.update(walks(rows, [REFERENCE] * 5))
    for first in range(0, 5, batch):
        part = rows[first : first + batch]
        metric.update(walks(part, [REFERENCE] * len(part)))
    expected = {name: float(value) for name, value in whole.compute().items()}
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected)
    assert tuple(expected) == NAMES
