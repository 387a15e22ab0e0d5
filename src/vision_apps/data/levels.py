"""Which levels become black and white, of pictures that hold more than 8 bits: a camera's 12 bits in 16,
signed levels of a scanner, floating-point ones of a measurement."""

import logging
from collections.abc import Sequence

from vision_apps.core.errors import ConfigError, CorruptSample
from vision_apps.data.images import MAX_PIXELS, Levels, decoding, deep_values, is_deep, open_image

log = logging.getLogger(__name__)


def measured(paths: Sequence[str], max_pixels: int = MAX_PIXELS, every: int = 0) -> list[float] | None:
    """The range of the levels in these pictures; None where all have 8 bits. Whole levels from 0 on go up to
    the last one of as many bits as the brightest needs (4095, 65535), shares to 1, and all others from the
    least to the largest. Pictures that cannot be read are passed over: whoever reads samples names them.

    Args:
        every: so many pictures are to be read by this range; that these are fewer is told.
    """
    lowest, highest, whole = float("inf"), float("-inf"), True
    for path in paths:
        try:
            with decoding(path, max_pixels), open(path, "rb") as file:
                image = open_image(file, path, max_pixels)
                if not is_deep(image):
                    continue
                values = deep_values(image, file)
                if values.ndim == 3 and values.shape[-1] in (2, 4):  # the last is opacity
                    values = values[..., :-1]
                whole = whole and values.dtype.kind != "f"
                lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        except CorruptSample:
            continue
    if not lowest <= highest:
        return None
    levels = [lowest, highest] if lowest < highest else [lowest, lowest + 1]
    if lowest >= 0 and whole:
        levels = [0, 2 ** max(8, int(highest).bit_length()) - 1]
    elif lowest >= 0 and highest <= 1:
        levels = [0, 1]
    if len(paths) < every:
        log.warning(
            "data: levels are measured in %d of %d training pictures; what lies outside of "
            "data.levels=[%g,%g] in others is cut to it",
            *(len(paths), every, *levels),
        )
    return levels


def require_range(levels: Levels) -> list[float]:
    """`ConfigError` where the second is not above the first."""
    if len(levels) != 2 or not levels[0] < levels[1]:
        raise ConfigError(
            f"data.levels: expected [low, high], what is black and what is white, or auto, not {list(levels)}"
        )
    return list(levels)
