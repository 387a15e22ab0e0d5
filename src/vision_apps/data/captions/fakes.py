"""Tiny seeded pictures with captions, from which the fakes of all formats are written."""

from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 230)}
PLACES = ("left", "right")


def fake_pictures(folder: Path, names: list[str], size: int, seed: int) -> dict[str, list[str]]:
    """Write pictures of random shapes around ``size`` px with one bright square; returns two captions for
    each name."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    captions: dict[str, list[str]] = {}
    for name in names:
        height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
        pixels = rng.integers(0, 96, (height, width, 3), dtype=np.uint8)
        color, side = list(COLORS)[int(rng.integers(len(COLORS)))], int(rng.integers(2))
        half = slice(0, width // 2) if side == 0 else slice(width // 2, width)
        pixels[height // 4 : 3 * height // 4, half] = COLORS[color]
        Image.fromarray(pixels).save(folder / name)
        text = f"{color} square on the {PLACES[side]}"
        captions[name] = [f"A {text}.", f"There's a {text}!"]
    return captions
