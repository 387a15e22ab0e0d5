"""Labels that were made on the pixels as they are stored, of pictures that EXIF says to turn."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vision_apps.core.errors import some
from vision_apps.data.images import Header
from vision_apps.data.sizes import headers

LabelsOn = Literal["raw", "upright"]

_NAMED = 3  # pictures in a line


def turned_boxes(boxes: NDArray[np.float32], header: Header) -> NDArray[np.float32]:
    """Boxes x1, y1, x2, y2 [n, 4] over the pixels of a file, where they lie once the picture is turned."""
    height, width = header.stored
    x1, y1, x2, y2 = boxes.T
    across, up = (width - x2, width - x1), (height - y2, height - y1)  # mirrored
    (left, right), (top, bottom) = {
        1: ((x1, x2), (y1, y2)),
        2: (across, (y1, y2)),
        3: (across, up),
        4: ((x1, x2), up),
        5: ((y1, y2), (x1, x2)),
        6: (up, (x1, x2)),
        7: (up, across),
        8: ((y1, y2), across),
    }[header.orientation]
    return np.stack([left, top, right, bottom], 1)


def turned_pixels(values: NDArray[np.integer], orientation: int) -> NDArray[np.integer]:
    """Values of the pixels of a file [h, w, ...], where they lie once its picture is turned."""
    if orientation in (5, 7):
        values = values.swapaxes(0, 1)
        return values[::-1, ::-1] if orientation == 7 else values
    if orientation in (6, 8):
        return np.rot90(values, -1 if orientation == 6 else 1)
    return {1: values, 2: values[:, ::-1], 3: values[::-1, ::-1], 4: values[::-1]}[orientation]


def told(pictures: Sequence[str], labels_on: LabelsOn | None, max_pixels: int) -> Iterator[str]:
    """A line where pictures are turned by EXIF and nobody has said what their labels were made on."""
    if labels_on is not None:
        return
    found, _ = headers(pictures, max_pixels)
    if turned := [path for path, one in found.items() if one.orientation != 1]:
        yield (
            f"pictures: {len(turned)} of {len(found)} are turned by their EXIF orientation, such as "
            f"{some(turned, _NAMED)}; labels are read as of the turned pictures. Were they made on the "
            "pixels as they are stored: data.labels_on=raw; if not, data.labels_on=upright"
        )
