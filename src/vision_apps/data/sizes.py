"""Height and width of many pictures from their headers, for formats that do not say."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vision_apps.core.errors import CorruptSample
from vision_apps.core.hardware import cores
from vision_apps.data.images import MAX_PIXELS, decoding, open_image

_ORIENTATION = 0x0112  # EXIF
_ON_ITS_SIDE = (5, 6, 7, 8)


def picture_size(path: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width of a picture, turned as its EXIF orientation says. No pixel is decoded.
    `CorruptSample` where it is no picture, or larger than ``max_pixels``."""
    with decoding(path, max_pixels), open(path, "rb") as file:
        image = open_image(file, path, max_pixels)
        width, height = image.size
        turned = image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    return (width, height) if turned else (height, width)


def picture_sizes(
    paths: Iterable[str], max_pixels: int = MAX_PIXELS
) -> tuple[dict[str, tuple[int, int]], list[CorruptSample]]:
    """Of each picture its height and width, and those that cannot be opened. Missing files are in neither."""
    sizes: dict[str, tuple[int, int]] = {}
    broken: list[CorruptSample] = []

    def measured(path: str) -> tuple[str, tuple[int, int] | CorruptSample | None]:
        try:
            return path, picture_size(path, max_pixels)
        except CorruptSample as problem:
            return path, problem if os.path.isfile(path) else None

    with ThreadPoolExecutor(cores()) as pool:
        for path, found in pool.map(measured, dict.fromkeys(paths)):
            if isinstance(found, CorruptSample):
                broken.append(found)
            elif found is not None:
                sizes[path] = found
    return sizes, broken
