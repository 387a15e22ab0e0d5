"""Pictures of which is known what to answer, for fakes of data sets."""

from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 230)}


def fake_pictures(folder: Path, names: list[str], size: int, seed: int) -> list[str]:
    """Write seeded pictures of shapes around ``size`` pixels, each with a rectangle of one colour; returns
    the names of the colours."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    told = []
    for number, name in enumerate(names):
        height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
        pixels = rng.integers(90, 160, (height, width, 3), dtype=np.uint8)
        color = list(COLORS)[number % len(COLORS)]
        pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = COLORS[color]
        Image.fromarray(pixels).save(folder / name)
        told.append(color)
    return told
