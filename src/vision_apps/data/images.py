"""From one image file to a uint8 tensor, with untrusted files in mind.

The header is read first and a picture of more than ``max_pixels`` is refused before a single pixel is
decoded: a PNG of one megabyte can claim gigabytes. Only formats that are decoded in-process are opened (no
PostScript, which would start an interpreter). JPEG goes through torchvision, everything else through Pillow.
"""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg, decode_png

from vision_apps.core.errors import CorruptSample

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"),
    *(".avif", ".heic", ".heif"),
)
MAX_PIXELS = 50_000_000  # above every common camera's picture; 150 MB once decoded
MAX_SIDE, MAX_RATIO = 200_000, 500  # of the longer side: px, and times the shorter one
Levels = Sequence[float]  # what becomes black and what becomes white

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
_BRANDS = 64  # bytes, in which HEIC says what it is
_DIRECT_JPEG = ("RGB", "L")  # CMYK needs Adobe's inversion flag, which Pillow honours
_SOURCE_LINE = re.compile(r"^\S+, \S+\.cpp:\d+, ")  # what torchvision puts in front of its reasons
ORIENTATION = 0x0112  # the tag of EXIF
_ON_ITS_SIDE = (5, 6, 7, 8)
_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N")
_DEEP = re.compile(r"(RGB|RGBA|LA);16")  # what a file holds that Pillow gives with 8 bits


class Header(NamedTuple):
    """What is known of a picture before its pixels are."""

    height: int  # once it is turned as its orientation says
    width: int
    orientation: int  # EXIF, 1..8; 1: stored as it is seen

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of the pixels in the file."""
        turned = self.orientation in _ON_ITS_SIDE
        return (self.width, self.height) if turned else (self.height, self.width)


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS, levels: Levels | None = None) -> Tensor:
    """The picture as sRGB: uint8 [3, H, W], turned as its EXIF orientation says.

    Grey becomes three equal channels, transparency is laid over white, an animation gives its first frame.
    Colour profiles are not applied. `CorruptSample` where the file is missing, truncated, larger than
    ``max_pixels`` or no picture that is read here.

    Args:
        levels: of pictures with more than 8 bits. By default 16 bits go from 0 to 65535, and signed, 32-bit
            and floating-point levels are refused, since they have no agreed range.
    """
    with decoding(path, max_pixels), open(path, "rb") as file:
        return _decode(file, path, max_pixels, levels)


@contextlib.contextmanager
def decoding(path: str | Path, max_pixels: int) -> Iterator[None]:
    """Whatever goes wrong while a file is decoded becomes a `CorruptSample` that names it."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
            raise CorruptSample(path, "is no plain file")
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
    than ``max_pixels``, or nothing that is installed reads its format."""
    start = file.read(_BRANDS)
    file.seek(0)
    formats = list(_FORMATS)
    if start[4:8] == b"ftyp" and re.search(rb"hei[cxms]|hev[cx]", start[8:]):  # whatever the file is called
        if not _heif():
            raise CorruptSample(path, "HEIC is read with an extra: pip install 'vision-apps[heic]'")
        formats = ["HEIF"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # max_pixels is the limit here
        image = Image.open(file, formats=formats)
    width, height = image.size
    if width * height > max_pixels:
        raise CorruptSample(
            path,
            f"{width} x {height} pixels are more than max_pixels = {max_pixels}; "
            "make it smaller or, if it is from a data set that you trust, raise data.max_pixels",
        )
    longer, shorter = max(width, height), min(width, height)
    if (
        longer > MAX_SIDE or longer > MAX_RATIO * shorter
    ):  # scaled to a side of 224 px it would have gigabytes
        raise CorruptSample(
            path,
            f"{width} x {height} pixels: a side may have {MAX_SIDE:,}, and be {MAX_RATIO} times the other; "
            "cut it into parts",
        )
    return image


@cache
def _heif() -> bool:
    """Whether Pillow opens HEIC from here on; its decoder is under another licence than Pillow."""
    try:
        plugin: Any = import_module("pi_heif")
    except ImportError:
        return False
    plugin.register_heif_opener()
    return True


def header(path: str | Path, max_pixels: int = MAX_PIXELS) -> Header:
    """No pixel is decoded. `CorruptSample` where it is no picture, or larger than ``max_pixels``."""
    with decoding(path, max_pixels), open(path, "rb") as file:
        image = open_image(file, path, max_pixels)
        (width, height), orientation = image.size, image.getexif().get(ORIENTATION, 1)
    if orientation not in range(1, 9):
        orientation = 1  # as decoders take it
    if orientation in _ON_ITS_SIDE and image.format != "TIFF":  # of which Pillow turns the size, too
        width, height = height, width
    return Header(height, width, orientation)


def _decode(file: BinaryIO, path: str | Path, max_pixels: int, levels: Levels | None) -> Tensor:
    image = open_image(file, path, max_pixels)
    if image.format in ("JPEG", "MPO") and image.mode in _DIRECT_JPEG:
        file.seek(0)
        content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
        decoded: Tensor = decode_jpeg(content, ImageReadMode.RGB, apply_exif_orientation=True)
        return decoded
    if levels is not None and is_deep(image):
        pixels = _scaled(deep_values(image, file), levels)
    else:
        _require_agreed(image)
        pixels = np.array(_as_rgb(ImageOps.exif_transpose(image)))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def is_deep(image: Image.Image) -> bool:
    """Whether its file has more than 8 bits for a level."""
    return image.mode[0] in "IF" or _DEEP.match(stored_as(image)) is not None


def stored_as(image: Image.Image) -> str:
    """What Pillow calls the layout of the pixels in the file."""
    tiles = getattr(image, "tile", None)
    layout = tiles[0].args if tiles else None
    return layout if isinstance(layout, str) else str(layout and layout[0])


def deep_values(image: Image.Image, file: BinaryIO) -> NDArray[Any]:
    """The levels of a picture that `is_deep`, turned as its orientation says: [H, W], or [H, W, channels] in
    which the last may be opacity. ``ValueError`` where nothing here reads all of their bits."""
    if image.mode[0] in "IF":
        return np.asarray(ImageOps.exif_transpose(image))
    if image.format != "PNG":
        raise ValueError(f"{image.format} with 16 bits a colour is read with 8 of them; save it as PNG")
    file.seek(0)
    content = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    values: Tensor = decode_png(content, ImageReadMode.UNCHANGED, apply_exif_orientation=True)
    return values.permute(1, 2, 0).numpy()


def _scaled(values: NDArray[Any], levels: Levels) -> NDArray[np.uint8]:
    """Levels as 8 bits of three channels [H, W, 3]; what lies outside of the range is cut to it."""
    low, high = levels
    if values.ndim == 2:
        values = values[..., None]
    colors = values[..., :3] if values.shape[-1] >= 3 else values[..., :1]
    shares = np.nan_to_num((colors.astype(np.float64) - low) / (high - low), nan=0.0).clip(0, 1)
    if values.shape[-1] in (2, 4):
        opacity = values[..., -1:] / np.iinfo(values.dtype).max
        shares = shares * opacity + (1 - opacity)
    eight: NDArray[np.uint8] = (shares * 255).round().astype(np.uint8)
    return eight.repeat(3 // eight.shape[-1], -1)


def _require_agreed(image: Image.Image) -> None:
    """``ValueError`` where nobody can know which level is white."""
    if image.mode == "F" or (image.mode == "I" and stored_as(image) not in _SIXTEEN):
        kind = "floating-point" if image.mode == "F" else "signed or 32-bit"
        raise ValueError(
            f"{kind} levels have no agreed range; say it, as in data.levels=[0,1] (data.levels=auto measures "
            "it), or store 8 or 16 bits per channel"
        )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip at 255
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
