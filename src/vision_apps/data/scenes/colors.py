"""What colour the world's materials have, and how likely, given what can be seen in grey.

A *material* is a law of colour: a few named colours with their probabilities. Shape and texture tell the
material; the colour of each part of a scene is then drawn from it. Shading and texture change the lightness
only.

The grey image is the 8-bit grey of equal luminance, so that every pair of material and grey is one row of a
finite table: row ``material * 256 + grey``. All colours of a row have the same grey, hence grey does not
tell them apart, and the table holds the exact distribution of a pixel's colour given its row.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

GREYS = 256

# Linear sRGB to CIE XYZ (IEC 61966-2-1); its row sums are the white point, its second row is luminance.
RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
LUMINANCE = RGB_TO_XYZ[1]

# Name: hue angle in degrees and chroma, both in CIE Lab (D65). The first twelve stand 30 degrees apart.
COLORS: dict[str, tuple[float, float]] = {
    "rose": (0, 52),
    "red": (30, 62),
    "orange": (60, 62),
    "yellow": (90, 62),
    "lime": (120, 58),
    "green": (150, 52),
    "jade": (180, 42),
    "turquoise": (210, 38),
    "azure": (240, 42),
    "blue": (270, 52),
    "violet": (300, 56),
    "magenta": (330, 56),
    "white": (0, 0),
    "cream": (95, 26),
    "gold": (82, 66),
    "honey": (72, 60),
    "sky": (252, 26),
    "peach": (55, 34),
    "lilac": (312, 26),
    "midnight": (285, 30),
    "grass": (130, 38),
    "rust": (58, 40),
    "sand": (82, 28),
    "sea": (222, 26),
    "ice": (250, 9),
    "lavender": (305, 34),
}

HUES = tuple(COLORS)[:12]


class Material(NamedTuple):
    """A law of colour. The lightness is drawn from its range independently of the colour."""

    lightness: tuple[float, float]  # L*, 0..100, before shading and texture
    colors: dict[str, float]  # name in `COLORS`: probability; one colour, two, or any


# Of two colours one is clearly likelier: the annealed mean answers with it, L2 with the colour between them.
MATERIALS: dict[str, Material] = {
    "any": Material((58, 72), dict.fromkeys(HUES, 1 / len(HUES))),
    "moonstone": Material((82, 90), {"cream": 1.0}),
    "brass": Material((72, 82), {"gold": 1.0}),
    "water": Material((56, 68), {"azure": 1.0}),
    "wax": Material((64, 74), {"honey": 1.0}),
    "apple": Material((52, 64), {"red": 0.7, "lime": 0.3}),
    "ruby": Material((48, 60), {"red": 0.7, "magenta": 0.3}),
    "canvas": Material((56, 68), {"green": 0.65, "orange": 0.35}),
    "enamel": Material((48, 60), {"red": 0.65, "blue": 0.35}),
    "signal": Material((62, 74), {"blue": 0.7, "yellow": 0.3}),
    "day": Material((80, 86), {"sky": 1.0}),
    "dusk": Material((70, 78), {"peach": 0.65, "lilac": 0.35}),
    "night": Material((16, 24), {"midnight": 1.0}),
    "cloud": Material((92, 96), {"white": 1.0}),
    "meadow": Material((58, 68), {"grass": 0.7, "rust": 0.3}),
    "beach": Material((74, 82), {"sand": 1.0}),
    "waves": Material((54, 64), {"sea": 1.0}),
    "snow": Material((86, 92), {"ice": 1.0}),
    "furrows": Material((50, 60), {"lavender": 0.65, "grass": 0.35}),
}

MATERIAL_ROWS = {name: row * GREYS for row, name in enumerate(MATERIALS)}


class Palette(NamedTuple):
    """The distribution of the colour in each row of the table; unused candidates have probability 0."""

    probabilities: Tensor  # float32 [M, C], rows sum to 1
    colors: Tensor  # uint8 [M, C, 3] sRGB


def grey_of_lightness(lightness: Array) -> Array:
    """L* (0..100) to the equal-luminance sRGB grey value in 0..255, not rounded (CIE 15; IEC 61966-2-1)."""
    f = (lightness + 16) / 116
    luminance = np.where(lightness > 8, f**3, lightness * (27 / 24389))
    return 255 * _gamma(luminance)


def lightness_of_grey(grey: Array) -> Array:
    """sRGB grey values in 0..255 to their L* (0..100; CIE 15; IEC 61966-2-1)."""
    luminance = _linear(grey / 255)
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * (24389 / 27))


@lru_cache(maxsize=1)
def shades() -> NDArray[np.uint8]:
    """Every named colour at every grey: uint8 [colours, 256, 3], in the order of `COLORS`.

    A colour outside the sRGB gamut at some lightness keeps lightness and hue and gives up chroma. Of the
    8-bit triples around the exact colour the one is taken whose lightness is nearest: the residue is about
    0.01 L*, far below the step between two greys, so that the rounding does not reveal the colour either.
    """
    polar = np.array(list(COLORS.values()))
    hue = np.deg2rad(polar[:, 0])
    direction = np.stack([np.cos(hue), np.sin(hue)], axis=-1)[:, None, :]
    grey = np.arange(GREYS, dtype=np.float64)
    lightness = lightness_of_grey(grey)[None, :]

    low, high = np.zeros((len(polar), GREYS)), np.repeat(polar[:, 1:], GREYS, axis=1)
    low = np.where(_in_gamut(_lab_to_linear(lightness, high[..., None] * direction)), high, low)
    for _ in range(16):
        middle = (low + high) / 2
        inside = _in_gamut(_lab_to_linear(lightness, middle[..., None] * direction))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    exact = 255 * _gamma(_lab_to_linear(lightness, low[..., None] * direction))

    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    around = np.clip(np.rint(exact)[..., None, :] + steps, 0, 255)
    seen = lightness_of_grey(255 * _gamma(_linear(around / 255) @ LUMINANCE))
    # A hundredth of L* weighs as much as one 8-bit step of colour.
    cost = ((seen - lightness[..., None]) / 0.01) ** 2 + ((around - exact[..., None, :]) ** 2).sum(-1)
    best = cost.argmin(-1)[..., None, None]
    return np.take_along_axis(around, best, axis=2)[:, :, 0].astype(np.uint8)


@lru_cache(maxsize=1)
def palette() -> Palette:
    """The table of the whole world: one row per (material, grey)."""
    widest = max(len(material.colors) for material in MATERIALS.values())
    index = {name: i for i, name in enumerate(COLORS)}
    probabilities = np.zeros((len(MATERIALS), widest), dtype=np.float32)
    chosen = np.zeros((len(MATERIALS), widest), dtype=np.int64)
    for row, (_, law) in enumerate(MATERIALS.values()):
        probabilities[row, : len(law)] = list(law.values())
        chosen[row, : len(law)] = [index[name] for name in law]
    colors = shades()[chosen].transpose(0, 2, 1, 3).reshape(-1, widest, 3)
    return Palette(torch.from_numpy(probabilities.repeat(GREYS, axis=0)), torch.from_numpy(colors.copy()))


def _lab_to_linear(lightness: Array, ab: Array) -> Array:
    """L* [...] and ab [..., 2] to linear sRGB [..., 3], outside 0..1 where the colour is out of gamut."""
    fy = (lightness + 16) / 116
    f = np.stack(np.broadcast_arrays(fy + ab[..., 0] / 500, fy, fy - ab[..., 1] / 200), axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * (108 / 841)) * RGB_TO_XYZ.sum(axis=1)
    return xyz @ np.linalg.inv(RGB_TO_XYZ).T


def _in_gamut(linear: Array) -> NDArray[np.bool_]:
    return (linear.min(-1) >= 0) & (linear.max(-1) <= 1)


def _gamma(linear: Array) -> Array:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _linear(gamma: Array) -> Array:
    return np.where(gamma <= 0.04045, gamma / 12.92, ((gamma + 0.055) / 1.055) ** 2.4)
