"""What suits data that nobody has described: the size of pictures, the batch."""

import math
import statistics
from collections.abc import Sequence

_STEP = 32  # px: the coarsest stride of the networks
_SMALLER = {16: 128, 8: 64}  # samples of a batch, and how many there have to be for it
_LEAST = 4


def batch_size(samples: int, full_from: int) -> int:
    """32 from ``full_from`` samples on. Of a small set less, so that an epoch moves the weights a few times:
    16 from 128 samples on, 8 from 64; 4 of fewer."""
    batches = {32: full_from, **_SMALLER}
    return next((batch for batch, least in batches.items() if samples >= least), _LEAST)


def square_side(sizes: Sequence[tuple[int, int]], least: int, most: int) -> int:
    """Side in pixels of squares that suit pictures of these heights and widths: the median short side, as a
    multiple of 32 from ``least`` to ``most``."""
    return _whole(statistics.median(min(size) for size in sizes), least, most)


def height_and_width(sizes: Sequence[tuple[int, int]], least: int, most: int) -> int | list[int]:
    """Height and width in pixels that suit pictures of these heights and widths: the median long side, as a
    multiple of 32 from ``least`` to ``most``, and the other one of the median shape. One number where they
    are the same."""
    longest = _whole(statistics.median(max(size) for size in sizes), least, most)
    ratio = statistics.median(height / width for height, width in sizes)
    height, width = (longest, longest / ratio) if ratio > 1 else (longest * ratio, longest)
    sides = [_STEP * math.ceil(side / _STEP) for side in (height, width)]  # a smaller one would shrink them
    return sides[0] if sides[0] == sides[1] else sides


def _whole(side: float, least: int, most: int) -> int:
    return min(max(_STEP * round(side / _STEP), least), most)
