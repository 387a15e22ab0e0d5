"""The table of colours: exact in lightness, inside the gamut, honest about probabilities."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from vision_apps.data.scenes.colors import (
    COLORS,
    GREYS,
    MATERIAL_ROWS,
    MATERIALS,
    grey_of_lightness,
    lightness_of_grey,
    palette,
    shades,
)

USED = slice(40, 245)  # the greys that scenes show, but for a few stars and outlines


@pytest.fixture(scope="module")
def lab() -> np.ndarray:
    """Lab of every shade, float64 [colours, 256, 3], by another implementation."""
    return rgb2lab(shades() / 255)


def test_every_shade_has_the_lightness_of_its_grey(lab: np.ndarray) -> None:
    grey = np.arange(GREYS)
    of_grey = rgb2lab(np.repeat(grey[:, None], 3, 1)[None] / 255)[0, :, 0]
    np.testing.assert_allclose(lightness_of_grey(grey), of_grey, atol=2e-3)
    assert abs(lab[..., 0] - of_grey)[:, USED].max() < 0.15
    assert abs(lab[..., 0] - of_grey)[:, USED].mean() < 0.02


def test_the_8_bit_grey_of_a_shade_is_its_row(lab: np.ndarray) -> None:
    seen = np.rint(grey_of_lightness(lab[..., 0]))
    np.testing.assert_array_equal(seen, np.broadcast_to(np.arange(GREYS), seen.shape))


@pytest.mark.parametrize("name", COLORS)
def test_a_shade_keeps_the_hue_and_loses_chroma_only_at_the_border_of_the_gamut(
    lab: np.ndarray, name: str
) -> None:
    hue, chroma = COLORS[name]
    ab = lab[list(COLORS).index(name), USED, 1:]
    nominal = chroma * np.array([np.cos(np.deg2rad(hue)), np.sin(np.deg2rad(hue))])
    radial = ab @ nominal / max(chroma, 1)
    across = ab @ np.array([-nominal[1], nominal[0]]) / max(chroma, 1)
    assert abs(across).max() < 4  # 8-bit triples are that coarse in ab
    assert radial.max() < chroma + 4
    full = lab[list(COLORS).index(name), 130, 1:]
    assert np.hypot(*(full - nominal)) < max(4, 0.4 * chroma)


def test_rows_are_distributions_of_the_named_colors() -> None:
    probabilities, colors = palette()
    assert probabilities.shape == colors.shape[:2] == (len(MATERIALS) * GREYS, 12)
    assert colors.dtype == torch.uint8
    torch.testing.assert_close(probabilities.sum(1), torch.ones(len(probabilities)))
    row = MATERIAL_ROWS["apple"] + 130
    assert probabilities[row, :3].tolist() == pytest.approx([0.7, 0.3, 0])
    for choice, name in enumerate(MATERIALS["apple"].colors):
        assert colors[row, choice].tolist() == shades()[list(COLORS).index(name), 130].tolist()


def test_lightness_and_grey_are_inverse() -> None:
    lightness = np.linspace(0, 100, 101)
    np.testing.assert_allclose(lightness_of_grey(grey_of_lightness(lightness)), lightness, atol=1e-2)
