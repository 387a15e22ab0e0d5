"""Where objects are, and what a map shows there."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import roi_align

from vision_apps.applications.scene_graphs.geometry import BETWEEN, PLACE, between, box_grid, places, union

SIZE = (32, 48)


def boxes(count: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=draw).sort(1).values
    return corners.flatten(1) * torch.tensor([48.0, 32, 48, 32]) + torch.tensor([0.0, 0, 1, 1])


def test_a_map_is_read_as_roi_align_reads_it_with_one_point_a_cell() -> None:
    maps = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    # inside: beyond the middle of the outermost values the two differ in how they go on
    rows = boxes(6).clamp(4, 28).view(2, 3, 4)
    numbers = torch.arange(2.0).repeat_interleave(3)[:, None]
    expected = roi_align(
        maps, torch.cat((numbers, rows.flatten(0, 1)), 1), 5, 1 / 4, sampling_ratio=1, aligned=True
    )
    found = box_grid(maps, rows, SIZE, 5)
    torch.testing.assert_close(found.flatten(0, 1), expected.flatten(1), atol=1e-5, rtol=1e-4)


def test_a_plane_is_read_where_the_points_are() -> None:
    """A map whose value is its place: right and down, in pixels."""
    y, x = torch.meshgrid(torch.arange(8) * 4 + 2.0, torch.arange(12) * 4 + 2.0, indexing="ij")
    read = box_grid(torch.stack((x, y))[None], torch.tensor([[[10.0, 6, 30, 22]]]), SIZE, 2)
    assert read.view(2, 4).tolist() == [[15, 25, 15, 25], [10, 10, 18, 18]]


def test_places() -> None:
    whole = places(torch.tensor([0.0, 0, 48, 32]), SIZE)
    assert whole[:4].tolist() == [0, 0, 2, 2] and whole.shape == (PLACE,)
    corner = places(torch.tensor([24.0, 0, 48, 16]), SIZE)
    assert corner[:4].tolist() == [0.5, -0.5, 1, 1]


def test_how_two_lie_to_each_other() -> None:
    left, right = torch.tensor([0.0, 8, 12, 24]), torch.tensor([24.0, 8, 36, 24])
    found = between(left, right, SIZE)
    assert found.shape == (BETWEEN,)
    assert found[:2].tolist() == [1, 0], "the way: to the right by half of the picture, which is 2"
    assert found[2:4].tolist() == pytest.approx([0.5, -1]), "a gap across, none down"
    assert found[4:8].tolist() == pytest.approx([2, 0, 2, 0]), "twice the width of either"
    assert found[8:].abs().max() < 1e-6, "of one size, and apart"
    inside = between(torch.tensor([2.0, 10, 6, 14]), left, SIZE)
    assert inside[10:].tolist() == pytest.approx([1, 16 / 192]), "all of one is in the other"


@given(st.integers(0, 1000))
def test_seen_from_the_other_side(seed: int) -> None:
    one, other = boxes(5, seed), boxes(5, seed + 1)
    there, back = between(one, other, SIZE), between(other, one, SIZE)
    assert there.isfinite().all() and there.abs().max() <= 5
    torch.testing.assert_close(there[:, :2], -back[:, :2])
    torch.testing.assert_close(there[:, 2:4], back[:, 2:4])
    torch.testing.assert_close(there[:, 4:6], -back[:, 6:8])
    torch.testing.assert_close(there[:, 10], back[:, 11])


def test_the_union_holds_both_and_rows_without_an_area_are_finite() -> None:
    one, other = boxes(20), boxes(20, 1)
    around = union(one, other)
    assert torch.equal(torch.maximum(around[:, 2:], one[:, 2:]), around[:, 2:])
    assert torch.equal(union(around, one), around) and torch.equal(union(one, other), union(other, one))
    nothing = torch.zeros(1, 1, 4)
    assert places(nothing, SIZE).isfinite().all() and between(nothing, nothing, SIZE).isfinite().all()
    assert box_grid(torch.randn(1, 2, 4, 6), nothing, SIZE, 2).isfinite().all()
