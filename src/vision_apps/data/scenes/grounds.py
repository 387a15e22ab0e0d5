"""Textures of sky and ground: offsets of the lightness in L*, which tell the material in grey.

For a sky y is measured from the top of the picture, for a ground it is the depth below its ridge; x is
0..1, for a ground shifted by its phase. x [1, S], y [S, 1] or [S, S].
"""

import numpy as np

from vision_apps.data.scenes.kinds import Draw, Field


def _night(x: Field, y: Field) -> Field:
    """Stars on a jittered lattice."""
    row = np.floor(y * 9)
    across = x * 9 + 0.37 * row
    lit = (np.hypot(across % 1 - 0.5, (y * 9) % 1 - 0.5) < 0.13) & ((np.floor(across) * 5 + row * 3) % 4 == 0)
    return np.where(lit, 66, 12 * y)


def _meadow(x: Field, depth: Field) -> Field:
    """Tufts: short upright strokes, rows shifted against each other."""
    row = np.floor(depth * 16)
    stroke = (abs((x * 11 + 0.37 * row) % 1 - 0.5) < 0.09) & ((depth * 16) % 1 > 0.45)
    return 5 - 22 * depth - 9 * stroke


def _beach(x: Field, depth: Field) -> Field:
    """Soft dunes with pebbles."""
    row = np.floor(depth * 13)
    across = x * 9 + 0.41 * row
    pebble = np.hypot(across % 1 - 0.5, (depth * 13) % 1 - 0.5) < 0.2
    return 3 * np.sin(9 * depth + 5 * x) - 10 * (pebble & (np.floor(across) % 2 == row % 2))


def _waves(x: Field, depth: Field) -> Field:
    """Crests that grow wider towards the viewer."""
    crest = np.sin(46 * np.sqrt(np.maximum(depth, 0)) + 1.2 * np.sin(22 * x))
    return np.where(crest > 0.72, 11, -8 * depth)


def _furrows(x: Field, depth: Field) -> Field:
    """Rows that run to a vanishing point above the ridge."""
    return np.where(np.sin(9 * (x - 0.8) / (0.16 + np.maximum(depth, 0))) > 0, 6, -6)


TEXTURES: dict[str, Draw] = {
    "day": lambda x, y: 14 * y - 4,
    "dusk": lambda x, y: 4 * np.floor(9 * y + 0.35 * np.sin(7 * x)) - 8,  # bands, lighter below
    "night": _night,
    "meadow": _meadow,
    "beach": _beach,
    "waves": _waves,
    "snow": lambda x, depth: 4 - 30 * np.minimum(depth, 0.3) + 2 * np.sin(14 * x + 20 * depth),
    "furrows": _furrows,
}
