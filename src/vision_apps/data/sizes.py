"""Height and width of many pictures from their headers, for formats that do not say."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from vision_apps.core.errors import CorruptSample
from vision_apps.core.hardware import cores
from vision_apps.data.images import MAX_PIXELS, Header, header


def headers(
    paths: Iterable[str], max_pixels: int = MAX_PIXELS
) -> tuple[dict[str, Header], list[CorruptSample]]:
    """Of each picture its header, and those that cannot be opened. Missing files are in neither."""
    found: dict[str, Header] = {}
    broken: list[CorruptSample] = []

    def measured(path: str) -> tuple[str, Header | CorruptSample | None]:
        try:
            return path, header(path, max_pixels)
        except CorruptSample as problem:
            return path, problem if os.path.isfile(path) else None

    with ThreadPoolExecutor(cores()) as pool:
        for path, one in pool.map(measured, dict.fromkeys(paths)):
            if isinstance(one, CorruptSample):
                broken.append(one)
            elif one is not None:
                found[path] = one
    return found, broken


def picture_sizes(
    paths: Iterable[str], max_pixels: int = MAX_PIXELS
) -> tuple[dict[str, tuple[int, int]], list[CorruptSample]]:
    """Of each picture its height and width, turned as its orientation says, and those that cannot be opened.
    Missing files are in neither."""
    found, broken = headers(paths, max_pixels)
    return {path: (one.height, one.width) for path, one in found.items()}, broken
