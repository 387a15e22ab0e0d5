"""Who stands for whom, with two objects that can be followed by hand, and against a naive loop."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.applications.detection.matching import BACKGROUND, BETWEEN, assign, coverage, match, sample

NONE = torch.zeros(0, 4)


def test_thresholds() -> None:
    overlaps = torch.tensor([[0.80, 0.10, 0.50, 0.30, 0.70, 0.00], [0.10, 0.75, 0.20, 0.29, 0.71, 0.05]])
    assert match(overlaps, 0.3, 0.7).tolist() == [0, 1, BETWEEN, BETWEEN, 1, BACKGROUND]
    assert match(overlaps, 0.5, 0.5).tolist() == [0, 1, 0, BACKGROUND, 1, BACKGROUND]


def test_every_object_gets_its_best_references() -> None:
    overlaps = torch.tensor([[0.9, 0.2, 0.1, 0.0], [0.1, 0.25, 0.25, 0.0]])
    assert match(overlaps, 0.3, 0.7).tolist() == [0, BACKGROUND, BACKGROUND, BACKGROUND]
    assert match(overlaps, 0.3, 0.7, best_of_each=True).tolist() == [0, 1, 1, BACKGROUND]


def test_a_reference_that_is_best_for_two_goes_to_the_one_it_overlaps_more() -> None:
    overlaps = torch.tensor([[0.4, 0.1], [0.5, 0.2]])
    assert match(overlaps, 0.6, 0.7, best_of_each=True).tolist() == [1, BACKGROUND]


def test_an_object_that_nothing_touches_makes_no_positive() -> None:
    assert match(torch.zeros(2, 3), 0.3, 0.7, best_of_each=True).tolist() == [BACKGROUND] * 3


def test_no_object_and_no_reference() -> None:
    assert match(torch.zeros(0, 3), 0.3, 0.7, best_of_each=True).tolist() == [BACKGROUND] * 3
    assert match(torch.zeros(2, 0), 0.3, 0.7, best_of_each=True).tolist() == []


@given(st.integers(1, 4), st.integers(1, 12), st.integers(0, 10_000))
def test_matching_is_the_naive_loop(objects: int, references: int, seed: int) -> None:
    overlaps = torch.rand(objects, references, generator=torch.Generator().manual_seed(seed))
    expected = []
    for column in overlaps.T.tolist():
        best = max(range(objects), key=lambda n: column[n])
        expected.append(best if column[best] >= 0.7 else BACKGROUND if column[best] < 0.3 else BETWEEN)
    assert match(overlaps, 0.3, 0.7).tolist() == expected
    for reference in range(references):
        claims = [n for n in range(objects) if overlaps[n, reference] == overlaps[n].max()]
        if claims:
            expected[reference] = max(claims, key=lambda n: overlaps[n, reference])
    assert match(overlaps, 0.3, 0.7, best_of_each=True).tolist() == expected


def test_coverage_is_a_share_of_the_own_area() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 20], [50, 50, 60, 60], [5, 5, 5, 5]])
    region = torch.tensor([[5.0, 0, 100, 10], [0, 0, 20, 20]])
    expected = torch.tensor([[0.5, 1.0], [150 / 400, 1.0], [0, 0], [0, 0]])
    torch.testing.assert_close(coverage(boxes, region), expected)


def test_what_lies_in_an_ignored_region_is_neither() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50]])
    references = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [24, 20, 34, 30], [60, 60, 70, 70]])
    ignored = torch.tensor([[18.0, 18, 29, 32]])  # 0.9 of the second, exactly half of the third
    assert assign(references, objects, NONE, 0.5, 0.5).tolist() == [0, -1, -1, -1]
    assert assign(references, objects, ignored, 0.5, 0.5).tolist() == [0, BETWEEN, BACKGROUND, BACKGROUND]
    assert assign(references, NONE, ignored, 0.5, 0.5).tolist() == [-1, BETWEEN, BACKGROUND, BACKGROUND]
    assert assign(objects, objects, objects[1:], 0.5, 0.5).tolist() == [0, BETWEEN]
    barely = torch.tensor([[18.0, 18, 29.1, 32]])  # .51 of the third
    assert assign(references, objects, barely, 0.5, 0.5).tolist() == [0, BETWEEN, BETWEEN, BACKGROUND]


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 32), st.booleans(), st.sampled_from([0.25, 0.5])
)
def test_counts_of_a_sample(positives: int, negatives: int, count: int, random: bool, share: float) -> None:
    matched = torch.tensor([3] * positives + [BETWEEN] * 5 + [BACKGROUND] * negatives)
    chosen, background = sample(matched, count, share, torch.Generator() if random else None)
    assert len(chosen) == min(positives, int(count * share))
    assert len(background) == min(negatives, count - len(chosen))
    assert (matched[chosen] == 3).all() and (matched[background] == BACKGROUND).all()
    assert len(chosen.unique()) == len(chosen) and len(background.unique()) == len(background)


def test_in_evaluation_the_sample_is_the_same_and_from_everywhere() -> None:
    matched = torch.full((100,), BACKGROUND)
    _, first = sample(matched, 10, 0.5, None)
    assert first.tolist() == list(range(0, 100, 10))
    generator = torch.Generator().manual_seed(1)
    _, drawn = sample(matched, 10, 0.5, generator)
    _, again = sample(matched, 10, 0.5, generator)
    assert drawn.tolist() != again.tolist()


@pytest.mark.parametrize("random", [True, False])
def test_a_sample_of_a_sample_is_the_whole(random: bool) -> None:
    matched = torch.tensor([0] * 30 + [BACKGROUND] * 90)
    taken = torch.cat(sample(matched, 64, 0.25, torch.Generator() if random else None))
    assert sum(map(len, sample(matched[taken], 64, 0.25, None))) == len(taken) == 64
