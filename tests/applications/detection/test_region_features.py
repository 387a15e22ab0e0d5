"""RoIPool against the paper's loop, RoIAlign and crops against `grid_sample`, levels by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.applications.detection.region_features import Crops, Pooled, as_rows
from vision_apps.core.errors import ConfigError


def naive_roi_pool(features: Tensor, region: list[float], size: int, scale: float) -> Tensor:
    """Girshick 2015, section 2.1: corners rounded to cells, maxima over a grid of about equal parts."""
    left, top, right, bottom = (math.floor(value * scale + 0.5) for value in region)
    height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
    pooled = torch.zeros(len(features), size, size)
    for i in range(size):
        for j in range(size):
            rows = slice(top + math.floor(i * height / size), top + math.ceil((i + 1) * height / size))
            columns = slice(left + math.floor(j * width / size), left + math.ceil((j + 1) * width / size))
            cell = features[:, max(rows.start, 0) : rows.stop, max(columns.start, 0) : columns.stop]
            if cell.numel():
                pooled[:, i, j] = cell.amax(dim=(1, 2))
    return pooled


def sampled(pixels: Tensor, region: Tensor, size: int) -> Tensor:
    """Bilinear values at the centres of size x size equal parts of the region (inside the picture)."""
    left, top, right, bottom = region.tolist()
    steps = (torch.arange(size) + 0.5) / size
    ys = (top + steps * (bottom - top)) / pixels.shape[1] * 2 - 1
    xs = (left + steps * (right - left)) / pixels.shape[2] * 2 - 1
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)[None]
    return F.grid_sample(pixels[None], grid, align_corners=False)[0]


def test_roi_pool_is_the_loop_of_the_paper() -> None:
    features = torch.randn(2, 3, 12, 12)
    regions = torch.tensor([[0.0, 3, 5, 70, 61], [1, 20, 20, 36, 90], [1, 0, 0, 96, 96]])
    pooled = Pooled(size=4, pool="pool")([features], [8], regions)
    for row, region in enumerate(regions):
        expected = naive_roi_pool(features[int(region[0])], region[1:].tolist(), 4, 1 / 8)
        torch.testing.assert_close(pooled[row], expected)


def test_roi_align_samples_between_the_cells() -> None:
    features = torch.randn(2, 3, 12, 12)
    regions = torch.tensor([[0.0, 13, 15, 70, 61], [1, 20, 20, 36, 90]])
    aligned = Pooled(size=5, pool="align", sampling=1)([features], [8], regions)
    for row, region in enumerate(regions):
        torch.testing.assert_close(aligned[row], sampled(features[int(region[0])], region[1:] / 8, 5))


def test_a_crop_is_warped_whatever_its_aspect() -> None:
    pixels = torch.randn(2, 3, 64, 64)
    regions = torch.tensor([[0.0, 10, 12, 50, 30], [1, 20, 10, 30, 55]])
    cut = Crops(size=8, context=1.0, sampling=1)(pixels, regions)
    for row, region in enumerate(regions):
        torch.testing.assert_close(cut[row], sampled(pixels[int(region[0])], region[1:], 8))


def test_context_is_sixteen_pixels_of_227() -> None:
    pixels = torch.randn(1, 3, 64, 64)
    crops = Crops(size=16, sampling=1)
    assert crops.context * (227 - 2 * 16) == pytest.approx(227)
    margin = (crops.context - 1) / 2 * 20
    wider = torch.tensor([22 - margin, 24 - margin, 42 + margin, 44 + margin])
    cut = crops(pixels, torch.tensor([[0.0, 22, 24, 42, 44]]))
    torch.testing.assert_close(cut[0], sampled(pixels[0], wider, 16), rtol=1e-3, atol=1e-4)


def test_beyond_the_picture_is_the_mean_color() -> None:
    cut = Crops(size=8, context=2.0)(torch.ones(1, 3, 32, 32), torch.tensor([[0.0, 0, 0, 16, 16]]))
    assert (cut[0, :, :1] == 0).all() and (cut[0, :, 3:, 3:] == 1).all()  # normalised pixels: 0 is the mean


def test_regions_take_the_level_that_goes_with_their_size() -> None:
    strides = [8, 16, 32]
    maps = [torch.full((1, 2, 256 // stride, 256 // stride), float(stride)) for stride in strides]
    sides = [10, 111, 113, 223, 225, 250]
    regions = torch.tensor([[0.0, 0, 0, side, side] for side in sides])
    found = Pooled(size=2)(maps, strides, regions)[:, 0, 0, 0].tolist()
    assert found == [8, 8, 8, 8, 16, 16]
    order = [4, 0, 5, 1]
    assert Pooled(size=2)(maps, strides, regions[order])[:, 0, 0, 0].tolist() == [16, 8, 16, 8]


@pytest.mark.parametrize("pool", ["align", "pool"])
def test_no_region_is_no_feature_and_a_gradient_of_zero(pool: str) -> None:
    features = torch.randn(1, 3, 8, 8, requires_grad=True)
    pooled = Pooled(size=2, pool=pool)([features, features[..., :4, :4]], [8, 16], torch.zeros(0, 5))
    assert pooled.shape == (0, 3, 2, 2)
    pooled.sum().backward()
    assert features.grad is not None and not features.grad.any()


def test_rows_say_which_picture() -> None:
    boxes = [torch.ones(2, 4), torch.zeros(0, 4), torch.full((1, 4), 2.0)]
    assert as_rows(boxes).tolist() == [[0, 1, 1, 1, 1], [0, 1, 1, 1, 1], [2, 2, 2, 2, 2]]


def test_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.regions\.pool: 'max', expected align or pool"):
        Pooled(pool="max")
    with pytest.raises(ConfigError, match=r"model\.regions\.context: 0\.9, expected at least 1"):
        Crops(context=0.9)
