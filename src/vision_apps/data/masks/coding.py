"""From one mask file to the class of every pixel, and back to a picture that one can look at.

Masks come as index pictures (grey or palette), as colour maps (RGB, a colour per class) and as binary
pictures (0 and 255). The numbers in the file are the truth: a palette is looked through only where that is
asked for, levels are never scaled, and a number or colour that is no class is an error that names it.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from vision_apps.core.conventions import IGNORE_INDEX, Size, height_width
from vision_apps.core.errors import CorruptSample
from vision_apps.data.images import MAX_PIXELS, ORIENTATION, decoding, open_image, stored_as
from vision_apps.data.resizing import ResizeMode, content_sizes
from vision_apps.data.turning import turned_pixels

Colors = Sequence[Sequence[int]]  # r, g, b in 0..255
Palettes = Literal["index", "color"]

_INTEGERS = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")
_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow spreads 2 and 4 bits over 0..255; this takes it back
_LEVELS = 65_536


def voc_colors(count: int) -> list[list[int]]:
    """The colour map of PASCAL VOC (Everingham et al. 2010, development kit): distinct colours for up to 256
    indices. Its first is black and its last, for `IGNORE_INDEX`, is cream."""
    return [
        [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)]
        for index in range(count)
    ]


class MaskCoding:
    """What the numbers or colours of mask files mean.

    Args:
        num_classes: K, at most 255.
        values: number in the file to class 0..K-1 or `IGNORE_INDEX`, complete; by default the classes and
            `IGNORE_INDEX` stand for themselves.
        colors: colour to class or `IGNORE_INDEX`, for masks that are RGB pictures. Without any, an RGB
            picture is accepted if its channels are equal, and read as numbers.
        palettes: whether a palette picture is read by its ``index`` or its ``color``; by default by its index
            where its palette does not give that to another class.
        shown: the colour of each class, which a palette may contradict; by default those of ``colors``.
        value_hint, color_hint: what to do about a number or a colour that is no class, added to the error;
            ``{}`` in it is the number.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        values: Mapping[int, int] | None = None,
        colors: Mapping[tuple[int, int, int], int] | None = None,
        palettes: Palettes | None = None,
        shown: Mapping[tuple[int, int, int], int] | None = None,
        value_hint: str = "",
        color_hint: str = "",
    ) -> None:
        self.num_classes = num_classes
        self.values = dict(identity(num_classes) if values is None else values)
        self.value_hint = value_hint
        self.color_hint = color_hint
        self._table = np.full(_LEVELS, -1, np.int16)
        for value, target in self.values.items():
            self._table[value] = target
        known = _packed(np.array(list(colors or {}), np.int64).reshape(-1, 3))
        order = known.argsort()
        self.palettes = palettes
        self._shown = dict(shown if shown is not None else colors or {})
        self._colors, self._targets = known[order], np.array(list((colors or {}).values()), np.int16)[order]

    @property
    def has_colors(self) -> bool:
        return len(self._colors) > 0

    def read(
        self, path: str | Path, max_pixels: int = MAX_PIXELS, orientation: int = 1
    ) -> NDArray[np.integer]:
        """As `read_values`, of a palette picture by its indices or its colours. `CorruptSample` as there, and
        where its palette gives an index to another class and nobody has said which to believe."""
        if self.palettes is not None:
            return read_values(path, max_pixels, orientation, by_color=self.palettes == "color")
        values, palette = read_with_palette(path, max_pixels, orientation)
        if self._shown and (doubt := self.doubt(values, palette)):
            raise CorruptSample(path, doubt)
        return values

    def doubt(self, values: NDArray[np.integer], palette: Colors | None) -> str:
        """What a palette says against its indices; empty where it says nothing.

        Args:
            values: of the mask.
        """
        if palette is None or values.ndim == 3:
            return ""
        for index, color in enumerate(palette):
            red, green, blue = color
            by_color, by_index = self._shown.get((red, green, blue)), self.values.get(index)
            wrong = by_color is not None and by_index not in (None, IGNORE_INDEX, by_color)
            if wrong and (values == index).any():  # a palette may have more colours than the mask
                return (
                    f"its index {index} is class {by_index}, and its palette shows it as {list(color)}, the "
                    f"colour of class {by_color}; say which to believe: data.palettes=color, or "
                    "data.palettes=index"
                )
        return ""

    def codes(self, values: NDArray[np.integer], path: str | Path) -> NDArray[np.int16]:
        """The class of every pixel [H, W], or `IGNORE_INDEX`, or -1 where it is no class. `CorruptSample`
        where it is an RGB picture and nothing says what its colours mean.

        Args:
            values: of a mask file, numbers [H, W] or colours [H, W, 3], as `read_values` gives them.
        """
        if values.ndim == 3 and self.has_colors:
            packed = _packed(values)
            place = np.searchsorted(self._colors, packed).clip(max=len(self._colors) - 1)
            codes: NDArray[np.int16] = np.where(self._colors[place] == packed, self._targets[place], -1)
            return codes
        if values.ndim == 3:
            if (values != values[..., :1]).any():
                raise CorruptSample(
                    path, f"an RGB picture, and no palette says which colour is which class{self.color_hint}"
                )
            values = values[..., 0]
        if values.dtype == np.uint8:
            return self._table[values]
        inside = (values >= 0) & (values < _LEVELS)
        return np.where(inside, self._table[np.where(inside, values, 0)], -1)

    def classes(self, values: NDArray[np.integer], path: str | Path) -> NDArray[np.uint8]:
        """The class of every pixel, or `IGNORE_INDEX`, uint8 [H, W]. `CorruptSample`, which names its number
        or colour, its place and what was expected, where a pixel is no class.

        Args:
            values: of a mask file, numbers [H, W] or colours [H, W, 3], as `read_values` gives them.
        """
        codes = self.codes(values, path)
        if codes.min(initial=0) < 0:
            raise CorruptSample(path, self._unknown(values, codes))
        return codes.astype(np.uint8)

    def _unknown(self, values: NDArray[np.integer], codes: NDArray[np.int16]) -> str:
        row, column = (int(place[0]) for place in np.nonzero(codes < 0))
        found = values[row, column].tolist()
        where = f"at row {row}, column {column} is none of the {self.num_classes} classes"
        if values.ndim == 3 and self.has_colors:
            return f"colour {found} {where}{self.color_hint}"
        found = found[0] if isinstance(found, list) else found
        return f"value {found} {where}: expected {self.expected()}{self.value_hint.replace('{}', str(found))}"

    def expected(self) -> str:
        """The numbers that a mask may hold, for instance ``0 to 10, 255 (ignored)``."""
        ignored = sorted(value for value, target in self.values.items() if target == IGNORE_INDEX)
        runs: list[list[int]] = []
        for value in sorted(self.values.keys() - set(ignored)):
            if runs and value == runs[-1][1] + 1:
                runs[-1][1] = value
            else:
                runs.append([value, value])
        texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
        return ", ".join(texts + [f"{value} (ignored)" for value in ignored])


def identity(num_classes: int) -> dict[int, int]:
    """Number in the file to class, where classes and `IGNORE_INDEX` stand for themselves."""
    return {**{index: index for index in range(num_classes)}, IGNORE_INDEX: IGNORE_INDEX}


def _packed(colors: NDArray[np.integer]) -> NDArray[np.int64]:
    """[..., 3] -> one number per colour [...]."""
    return colors.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def read_values(
    path: str | Path, max_pixels: int = MAX_PIXELS, orientation: int = 1, *, by_color: bool = False
) -> NDArray[np.integer]:
    """The numbers of a mask file, whole [H, W] (the indices of a palette picture; 0 and 1 of one bit), or its
    colours, uint8 [H, W, 3]; turned as its EXIF orientation says. `CorruptSample` where the file is missing,
    truncated, larger than ``max_pixels``, lossy (JPEG, WebP) or half transparent, which leaves the class
    open.

    Args:
        orientation: EXIF, of a picture over whose stored pixels the mask was made; a mask that has one of its
            own is turned by that.
        by_color: the colours of a palette picture instead of its indices.
    """
    return _read(path, max_pixels, orientation, by_color)[0]


def read_with_palette(
    path: str | Path, max_pixels: int = MAX_PIXELS, orientation: int = 1
) -> tuple[NDArray[np.integer], list[list[int]] | None]:
    """As `read_values`, and the colours of a palette picture by index; None where the mask has no palette."""
    return _read(path, max_pixels, orientation, by_color=False)


def _read(
    path: str | Path, max_pixels: int, orientation: int, by_color: bool
) -> tuple[NDArray[np.integer], list[list[int]] | None]:
    with decoding(path, max_pixels), open(path, "rb") as file:
        image = open_image(file, path, max_pixels)
        if image.format in _LOSSY:
            raise CorruptSample(path, f"{image.format} changes the values of a mask; store it as PNG")
        spread = _SPREAD.get(stored_as(image), 1)  # asked first: Pillow forgets it once pixels are read
        if image.getexif().get(ORIENTATION, 1) != 1:
            orientation = 1
        image = ImageOps.exif_transpose(image)
        flat = (image.getpalette() or []) if image.mode == "P" else None
        palette = None if flat is None else [flat[start : start + 3] for start in range(0, len(flat), 3)]
        values = np.array(image.convert("RGB")) if by_color and palette else _values(image, path, spread)
        return turned_pixels(values, orientation), palette


def _values(image: Image.Image, path: str | Path, spread: int) -> NDArray[np.integer]:
    if image.mode in _INTEGERS:
        values = np.array(image)
        return values.astype(np.uint8) if image.mode == "1" else values // spread if spread > 1 else values
    if image.mode in ("LA", "RGBA"):
        *_, opacity = image.split()
        if opacity.getextrema() != (255, 255):
            raise CorruptSample(path, "transparent pixels have no agreed class; store the mask without alpha")
        return np.array(image.convert(image.mode[:-1]))
    if image.mode == "RGB":
        return np.array(image)
    raise CorruptSample(path, f"pixels of mode {image.mode} are no classes; store an index or RGB picture")


def read_mask(
    path: str | Path, coding: MaskCoding, max_pixels: int = MAX_PIXELS, orientation: int = 1
) -> Tensor:
    """The class of every pixel, uint8 [H, W], `IGNORE_INDEX` included. `CorruptSample` where the file cannot
    be read as numbers or colours, or a pixel is no class. ``orientation``: as for `read_values`."""
    return torch.from_numpy(coding.classes(coding.read(path, max_pixels, orientation), path))


def other_size(mask: Sequence[int], picture: Sequence[int], path: str | Path) -> str:
    """What is said of a mask that does not cover its picture.

    Args:
        mask, picture: height and width.
        path: of the picture.
    """
    turned = tuple(mask) == tuple(picture)[::-1] and mask[0] != mask[1]
    hint = "; the picture may be turned by its EXIF orientation and the mask not" if turned else ""
    return f"the mask is {mask[1]} x {mask[0]} pixels, its picture {path} {picture[1]} x {picture[0]}{hint}"


def resize_mask(mask: Tensor, size: Size, mode: ResizeMode = "letterbox") -> Tensor:
    """A mask, uint8 [h, w], brought to where `resizing.resize_picture` brings its picture: uint8 [H, W] with
    the class of the nearest pixel, and `IGNORE_INDEX` in the letterbox's rest."""
    height, width = height_width(size)
    inner, across = content_sizes(torch.tensor(mask.shape), size, mode).tolist()
    if (inner, across) != tuple(mask.shape):
        mask = F.interpolate(mask[None, None], [inner, across], mode="nearest-exact")[0, 0]
    return F.pad(mask, (0, width - across, 0, height - inner), value=IGNORE_INDEX)


def encode_palette_png(mask: Tensor, palette: Colors) -> bytes:
    """A PNG whose pixels are the classes of ``mask``, uint8 [H, W], and whose palette makes them visible:
    ``palette`` for the first classes, the colours of `voc_colors` for the other numbers, so that pixels of
    `IGNORE_INDEX` are cream. `ValueError` where the mask holds a number that is neither `IGNORE_INDEX` nor a
    class of the palette."""
    classes = mask.cpu().numpy()
    strange = classes[(classes >= len(palette)) & (classes != IGNORE_INDEX)]
    if strange.size:
        raise ValueError(f"class {strange[0]} has no colour in a palette of {len(palette)}")
    colors = [list(color) for color in palette] + voc_colors(256)[len(palette) :]
    image = Image.fromarray(np.ascontiguousarray(classes))
    image.putpalette([level for color in colors for level in color])
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()
