"""Pictures that are in no file, as those in files are read."""

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.core.pictures import from_pil
from vision_apps.data.images import MAX_PIXELS, Levels, read_image

_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")  # modes of PIL that this format keeps
_EXPECTED = (
    "expected a path, a PIL image, an array uint8 [H, W], [H, W, 3] or [H, W, 4], sRGB, or a tensor uint8 "
    "[3, H, W]"
)


def pixels(picture: object, levels: Levels | None = None) -> Tensor:
    """uint8 [3, H, W], sRGB. `DataError` where it is none of what is expected. ``levels``: as for
    `data.images.read_image`."""
    if isinstance(picture, Tensor):
        if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != 3 or not picture.numel():
            raise DataError(f"a tensor {picture.dtype} {list(picture.shape)}: {_EXPECTED}")
        return picture.cpu()
    if isinstance(picture, np.ndarray):
        grey, colored = picture.ndim == 2, picture.ndim == 3 and picture.shape[2] in (3, 4)
        if picture.dtype != np.uint8 or not (grey or colored) or not picture.size:
            raise DataError(f"an array {picture.dtype} {list(picture.shape)}: {_EXPECTED}")
        picture = Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        raise DataError(f"{type(picture).__name__}: {_EXPECTED}")
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return from_pil(ImageOps.exif_transpose(picture))
    content = io.BytesIO()
    picture.save(content, "PNG" if picture.mode in _PNG else "TIFF", exif=picture.getexif())
    return decoded(content.getvalue(), levels=levels)


def decoded(content: bytes, max_pixels: int = MAX_PIXELS, levels: Levels | None = None) -> Tensor:
    """The bytes of a file by the rules of files: levels, transparency, palettes. `DataError` where they are
    no picture, or one of more than ``max_pixels``. ``levels``: as for `data.images.read_image`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            return read_image(path, max_pixels, levels=levels)
        except CorruptSample as error:
            reason = error.reason.replace(f" <_io.BufferedReader name={str(path)!r}>", "")
            raise DataError(f"no picture that is read here: {reason}") from error
