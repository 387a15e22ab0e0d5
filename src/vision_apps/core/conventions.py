"""What all code that touches images and masks agrees on."""

from collections.abc import Sequence
from typing import Literal

from vision_apps.core.errors import ConfigError

IGNORE_INDEX = 255  # in masks: a pixel that is neither trained on nor counted
Size = int | Sequence[int]  # px: the side of a square, or height and width
Auto = Literal["auto"]  # a setting that is chosen when the data are known


def height_width(size: Size, key: str = "image_size") -> tuple[int, int]:
    """Height and width in pixels of a configured size; `ConfigError`, which names its ``key``, where it is
    neither one side nor two, or a side has less than a pixel."""
    if problems := size_problems(size, key):
        raise ConfigError(problems[0])
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def size_problems(size: Size, key: str) -> list[str]:
    """What is wrong with a configured size, for an error that tells other problems too."""
    sides = [size, size] if isinstance(size, int) else list(size)
    if len(sides) == 2 and min(sides) >= 1:
        return []
    return [f"{key}: expected a side or [height, width] in pixels, not {size}"]
