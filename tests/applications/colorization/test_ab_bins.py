import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from vision_apps.applications.colorization.ab_bins import ab_bins, nearest_bin, soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab

# a: least and greatest b of the authors' 313 bins
ROWS = {
    -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100),
    -40: (-40, 100), -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100),
    10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90), 50: (-100, 80),
    60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
}  # fmt: skip


def test_the_313_bins_are_the_authors():
    expected = [(a, b) for a, (low, high) in ROWS.items() for b in range(low, high + 1, 10)]
    assert ab_bins().tolist() == [list(map(float, pair)) for pair in expected]
    assert len(expected) == 313


def test_the_313_bins_are_byte_for_byte_the_authors_file():
    # their pts_in_hull.npy: int64, with the 16-byte alignment of the NumPy of its time
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (313, 2), }"
    header += b" " * (-(10 + len(header) + 1) % 16) + b"\n"
    body = ab_bins().long().numpy().tobytes()
    file = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body
    expected = "b5dec01315c34f43f1c8c089e84c45ae35d1838d8e77ed0e7ca930f79ffa450e"
    assert hashlib.sha256(file).hexdigest() == expected


def test_the_whole_grid_has_529_bins_in_the_same_order():
    grid = ab_bins(529)
    assert len(grid) == 529 and grid[0].tolist() == [-110, -110] and grid[1].tolist() == [-110, -100]
    with pytest.raises(ValueError, match="313 or 529"):
        ab_bins(256)


def colors(*shape: int) -> torch.Tensor:
    images = torch.randint(0, 256, (shape[0], 3, *shape[1:]), generator=torch.Generator().manual_seed(1))
    return rgb_to_ab(images.to(torch.uint8))


def dense(indices: torch.Tensor, weights: torch.Tensor, count: int) -> np.ndarray:
    batch, _, height, width = indices.shape
    empty = torch.zeros(batch, count, height, width)
    return empty.scatter_add(1, indices, weights).permute(0, 2, 3, 1).reshape(-1, count).numpy()


@pytest.mark.parametrize("count", [313, 529])
@pytest.mark.parametrize("neighbours", [1, 5, 10])
def test_equals_a_search_over_all_bins(neighbours, count):
    ab = colors(2, 24, 31)
    points = ab.permute(0, 2, 3, 1).reshape(-1, 2).double().numpy()
    search = NearestNeighbors(n_neighbors=neighbours, algorithm="ball_tree").fit(
        ab_bins(count).double().numpy()
    )
    distance, index = search.kneighbors(points)
    weight = np.exp(-(distance**2) / (2 * 5**2))
    expected = np.zeros((len(points), count))
    np.put_along_axis(expected, index, weight / weight.sum(1, keepdims=True), 1)
    assert np.abs(dense(*soft_encode(ab, neighbours, count), count) - expected).max() < 1e-5


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.sampled_from([1, 5, 10]))
@settings(deadline=None, max_examples=100)
def test_is_a_distribution_whose_first_entry_is_nearest(red, green, blue, neighbours):
    ab = rgb_to_ab(torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1))
    indices, weights = (x.flatten() for x in soft_encode(ab, neighbours))
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    assert (weights > 0).all() and (weights.diff() <= 0).all()
    assert len(indices.unique()) == neighbours
    distance = (ab_bins() - ab.flatten()).norm(dim=1)
    assert distance[indices[0]] == pytest.approx(distance.min().item(), abs=1e-4)
    assert nearest_bin(ab).item() == indices[0]


def test_a_bin_itself_is_encoded_around_itself():
    bins = ab_bins()
    inside = bins[nearest_bin(bins.T[None, :, :, None]).flatten()]
    assert torch.equal(inside, bins)
