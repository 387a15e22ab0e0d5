"""What all code that touches images and masks agrees on."""

from collections.abc import Sequence

from vision_apps.core.errors import ConfigError

IGNORE_INDEX = 255  # in masks: a pixel that is neither trained on nor counted
Size = int | Sequence[int]  # px: the side of a square, or height and width


def height_width(size: Size, key: str = "image_size") -> tuple[int, int]:
    """Height and width in pixels of a configured size.

    Args:
        key: where it stands in the configuration, for the error.

    Raises:
        ConfigError: it is neither one side nor two, or a side has less than a pixel.
    """
    sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) != 2 or min(sides) < 1:
        raise ConfigError(f"{key}: expected a side or [height, width] in pixels, not {size}")
    return int(sides[0]), int(sides[1])
