"""From one image file to a uint8 tensor, with untrusted files in mind.

The header is read first and a picture of more than ``max_pixels`` is refused before a single pixel is
decoded: a PNG of one megabyte can claim gigabytes. Only formats that are decoded in-process are opened (no
PostScript, which would start an interpreter). JPEG goes through torchvision, everything else through Pillow.
"""

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from vision_apps.core.errors import CorruptSample

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 50_000_000  # above every common camera's picture; 150 MB once decoded

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_DIRECT_JPEG = ("RGB", "L")  # CMYK needs Adobe's inversion flag, which Pillow honours
_SOURCE_LINE = re.compile(r"^\S+, \S+\.cpp:\d+, ")  # what torchvision puts in front of its reasons


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Tensor:
    """The picture as sRGB: uint8 [3, H, W], turned as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits are scaled to 8, transparency is laid over white, an animation
    gives its first frame. Colour profiles are not applied. `CorruptSample` where the file is missing,
    truncated, larger than ``max_pixels`` or no picture that is read here.
    """
    with decoding(path, max_pixels), open(path, "rb") as file:
        return _decode(file, path, max_pixels)


@contextlib.contextmanager
def decoding(path: str | Path, max_pixels: int) -> Iterator[None]:
    """Whatever goes wrong while a file is decoded becomes a `CorruptSample` that names it."""
    try:
        yield
    except (CorruptSample, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, met before the size can be asked for
        raise CorruptSample(
            path, f"too large for max_pixels = {max_pixels} or for Pillow: {error}"
        ) from error
    except Exception as error:  # decoders fail on broken bytes in more ways than they document
        reason = _SOURCE_LINE.sub("", str(error))
        raise CorruptSample(path, f"cannot be decoded: {reason}") from error


def open_image(file: BinaryIO, path: str | Path, max_pixels: int) -> Image.Image:
    """The picture with its header read and its pixels not yet decoded. `CorruptSample` where it is larger
    than ``max_pixels``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels is the limit here
        image = Image.open(file, formats=_FORMATS)
    width, height = image.size
    if width * height > max_pixels:
        raise CorruptSample(
            path,
            f"{width} x {height} pixels are more than max_pixels = {max_pixels}; "
            "make it smaller or, if it is from a data set that you trust, raise data.max_pixels",
        )
    return image


def _decode(file: BinaryIO, path: str | Path, max_pixels: int) -> Tensor:
    image = open_image(file, path, max_pixels)
    if image.format in ("JPEG", "MPO") and image.mode in _DIRECT_JPEG:
        file.seek(0)
        content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
        decoded: Tensor = decode_jpeg(content, ImageReadMode.RGB, apply_exif_orientation=True)
        return decoded
    pixels = np.array(_as_rgb(ImageOps.exif_transpose(image)))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range; store 8 or 16 bits per channel")
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip at 255
        levels = np.clip(np.asarray(image), 0, 65_535)
        return Image.fromarray((levels / 257).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
