import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from vision_apps.applications.colorization.lab import (
    lab_to_rgb,
    lab_to_srgb,
    rgb_to_ab,
    rgb_to_lab,
    rgb_to_lightness,
)


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def channels_last(maps: torch.Tensor) -> np.ndarray:
    return maps.permute(0, 2, 3, 1).double().numpy()


def test_agrees_with_scikit_image():
    images = random_images(2, 3, 64, 64)
    # dark greys, where the cube root gives way to its tangent
    images[0, :, 0] = torch.arange(64, dtype=torch.uint8)
    expected = rgb2lab(channels_last(images) / 255)
    assert np.abs(channels_last(rgb_to_lab(images)) - expected).max() < 1e-3


def test_back_agrees_with_scikit_image_outside_the_gamut_too():
    scale = torch.tensor([100.0, 220, 220]).view(1, 3, 1, 1)
    lab = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * scale
    lab -= torch.tensor([0.0, 110, 110]).view(1, 3, 1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image announces that it clips
        expected = lab2rgb(channels_last(lab))
    assert np.abs(channels_last(lab_to_srgb(lab)) - expected).max() < 1e-3


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_every_color_comes_back_unchanged(colors):
    images = torch.tensor(colors, dtype=torch.uint8).T[None, :, :, None]
    assert torch.equal(lab_to_rgb(rgb_to_lab(images)), images)


def test_parts_are_those_of_the_whole():
    images = random_images(2, 3, 13, 18)
    lab = rgb_to_lab(images)
    assert torch.allclose(rgb_to_lightness(images), lab[:, :1], atol=1e-5)
    assert torch.equal(rgb_to_ab(images), lab[:, 1:])
    # not bitwise: vectorised powers round differently at the end of a row
    assert torch.allclose(rgb_to_ab(images, stride=4), lab[:, 1:, ::4, ::4], atol=1e-3)


def test_autocast_changes_nothing():
    images = random_images(1, 3, 16, 16)
    exact = rgb_to_lab(images), lab_to_srgb(rgb_to_lab(images))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rgb_to_lab(images), lab_to_srgb(rgb_to_lab(images))
    for before, after in zip(exact, found, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("images", [torch.rand(1, 3, 4, 4), torch.zeros(3, 4, 4, dtype=torch.uint8)])
def test_refuses_floats_and_single_images(images):
    with pytest.raises(ValueError, match="expected uint8"):
        rgb_to_lab(images)


def test_tables_made_in_inference_mode_serve_training():
    from vision_apps.applications.colorization import lab

    lab._linear_light_on.cache_clear()
    with torch.inference_mode():
        rgb_to_lab(random_images(1, 3, 2, 2))
    assert not lab._linear_light_on(torch.device("cpu")).is_inference()
