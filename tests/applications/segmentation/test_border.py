"""U-Net's border weights on masks made by hand, and against distances to every pixel."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from vision_apps.applications.segmentation.border import border_weights


def weight(d1: float, d2: float, w0: float = 10.0, sigma: float = 5.0) -> float:
    return w0 * math.exp(-((d1 + d2) ** 2) / (2 * sigma**2))


def test_the_strip_between_two_cells() -> None:
    mask = torch.zeros(1, 5, 9, dtype=torch.uint8)
    mask[0, :, :3] = 1
    mask[0, :, 5:] = 1
    weights = border_weights(mask)
    assert weights.dtype == torch.float32
    # columns 3 and 4 lie 1 and 2 px from the nearer and the farther cell
    torch.testing.assert_close(weights[0, :, 3:5], torch.full((5, 2), weight(1, 2)))
    assert weights[0, :, :3].eq(0).all() and weights[0, :, 5:].eq(0).all()


def test_one_pixel_between_cells_of_two_sizes_and_diagonal_distances() -> None:
    mask = torch.zeros(1, 7, 7, dtype=torch.uint8)
    mask[0, 0, 0] = 1
    mask[0, 4:, 2:] = 1
    found = border_weights(mask, w0=2.0, sigma=3.0)[0]
    assert found[3, 3].item() == pytest.approx(weight(1, math.hypot(3, 3), 2.0, 3.0))
    assert found[0, 6].item() == pytest.approx(weight(4, 6, 2.0, 3.0))
    assert found[2, 1].item() == pytest.approx(weight(math.hypot(2, 1), math.hypot(2, 1), 2.0, 3.0))


def test_a_third_cell_farther_away_changes_nothing() -> None:
    mask = torch.zeros(1, 3, 30, dtype=torch.uint8)
    mask[0, :, 0:3] = mask[0, :, 6:9] = 1
    two = border_weights(mask)
    mask[0, :, 28:] = 1
    three = border_weights(mask)
    torch.testing.assert_close(two[0, :, 3:6], three[0, :, 3:6])
    assert three[0, 1, 27].item() == pytest.approx(weight(1, 19))


@pytest.mark.parametrize("objects", [0, 1])
def test_fewer_than_two_objects_have_no_border(objects: int) -> None:
    mask = torch.zeros(2, 8, 8, dtype=torch.uint8)
    mask[:, 2 : 2 + objects, 2:5] = 1
    assert border_weights(mask).eq(0).all()


def test_touching_objects_of_two_classes_are_two_and_ignored_pixels_none() -> None:
    mask = torch.zeros(1, 3, 6, dtype=torch.uint8)
    mask[0, 1, 1], mask[0, 1, 2] = 1, 2
    mask[0, 1, 5] = 255
    found = border_weights(mask)[0]
    assert found[1, 3].item() == pytest.approx(weight(1, 2))
    assert found[0, 1].item() == pytest.approx(weight(1, math.sqrt(2)))
    assert found[1, 5] == 0


def brute(mask: Tensor, w0: float, sigma: float) -> Tensor:
    """Distances to each object's every pixel."""
    objects = []
    for value in (1, 2):
        labels, count = ndimage.label(mask.numpy() == value)
        objects += [torch.from_numpy(labels == n).nonzero().double() for n in range(1, count + 1)]
    if len(objects) < 2:
        return torch.zeros(mask.shape)
    grid = torch.ones(mask.shape).nonzero().double()
    distances = torch.stack([torch.cdist(grid, places).amin(1) for places in objects])
    total = distances.sort(dim=0).values[:2].sum(0).reshape(mask.shape)
    return (w0 * torch.exp(-(total**2) / (2 * sigma**2)) * (mask == 0)).float()


@given(seed=st.integers(0, 1000), sigma=st.floats(0.5, 8))
def test_as_with_distances_to_every_pixel(seed: int, sigma: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.tensor([0, 0, 0, 0, 0, 0, 1, 2, 255], dtype=torch.uint8)
    mask = values[torch.randint(len(values), (2, 14, 11), generator=generator)]
    expected = torch.stack([brute(one, 10.0, sigma) for one in mask])
    torch.testing.assert_close(border_weights(mask, 10.0, sigma), expected, atol=2e-6, rtol=1e-4)
