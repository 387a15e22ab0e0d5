"""Mask files of every kind: the numbers in the file are the classes, and what is none is named."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from torchvision import datasets

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.errors import CorruptSample
from vision_apps.data.masks.coding import (
    MaskCoding,
    encode_palette_png,
    identity,
    other_size,
    read_mask,
    read_values,
    read_with_palette,
    resize_mask,
    voc_colors,
)
from vision_apps.data.resizing import resize_picture

CLASSES = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)


def grey_png(bits: int, rows: list[bytes], width: int, height: int | None = None) -> bytes:
    """A grey PNG of ``bits`` per pixel, chunk by chunk: Pillow writes none of 2 or 4 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height or len(rows), bits, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mask.png"


def reason(path: Path, coding: MaskCoding | None = None, max_pixels: int = 1000) -> str:
    with pytest.raises(CorruptSample) as caught:
        read_mask(path, coding or MaskCoding(4), max_pixels)
    assert caught.value.path == str(path)
    return caught.value.reason


def test_grey_levels_are_classes(path: Path) -> None:
    Image.fromarray(CLASSES).save(path)
    mask = read_mask(path, MaskCoding(4))
    assert mask.dtype == torch.uint8
    assert mask.tolist() == CLASSES.tolist()


def test_a_palette_is_never_looked_through(path: Path) -> None:
    image = Image.fromarray(CLASSES)
    image.putpalette([7, 7, 7] * 256)  # every index the same colour
    image.save(path)
    assert read_mask(path, MaskCoding(4)).tolist() == CLASSES.tolist()


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".gif"])
def test_other_lossless_formats(tmp_path: Path, suffix: str) -> None:
    classes = CLASSES % 4  # Pillow numbers the colours of a GIF without gaps
    image = Image.fromarray(classes)
    image.putpalette([level for index in range(256) for level in (index, 255 - index, 0)])
    image.save(tmp_path / f"mask{suffix}")
    assert read_mask(tmp_path / f"mask{suffix}", MaskCoding(4)).tolist() == classes.tolist()


def test_one_bit_is_0_and_1(path: Path) -> None:
    Image.fromarray(np.eye(3, dtype=bool)).save(path)
    assert read_mask(path, MaskCoding(2)).tolist() == np.eye(3, dtype=int).tolist()


@pytest.mark.parametrize(("bits", "row"), [(2, 0b00011011), (4, 0x03)])
def test_few_bits_are_not_spread(path: Path, bits: int, row: int) -> None:
    path.write_bytes(grey_png(bits, [bytes([row])], 8 // bits))
    assert read_mask(path, MaskCoding(4)).tolist() == [[0, 1, 2, 3] if bits == 2 else [0, 3]]


def test_sixteen_bits_are_not_scaled(path: Path) -> None:
    Image.fromarray(np.array([[0, 1], [300, 65_535]], np.uint16)).save(path)
    coding = MaskCoding(3, values={0: 0, 1: 1, 300: 2, 65_535: IGNORE_INDEX})
    assert read_mask(path, coding).tolist() == [[0, 1], [2, 255]]
    assert reason(path) == (
        "value 300 at row 1, column 0 is none of the 4 classes: expected 0 to 3, 255 (ignored)"
    )


def test_values_are_mapped(path: Path) -> None:
    Image.fromarray(np.array([[0, 11, 2]], np.uint8)).save(path)
    assert read_mask(path, MaskCoding(3, values=identity(3) | {11: IGNORE_INDEX})).tolist() == [[0, 255, 2]]


def test_an_unknown_value_is_named_with_its_place(path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 2], [3, 17, 9]], np.uint8)).save(path)
    assert reason(path) == (
        "value 17 at row 1, column 1 is none of the 4 classes: expected 0 to 3, 255 (ignored)"
    )
    hinted = MaskCoding(4, value_hint="; say 'data.values={{}:255}'")
    assert reason(path, hinted).endswith("255 (ignored); say 'data.values={17:255}'")


def test_the_expected_values_are_told_in_runs() -> None:
    coding = MaskCoding(4, values={0: IGNORE_INDEX, 1: 0, 2: 1, 3: 2, 7: 3, 8: IGNORE_INDEX})
    assert coding.expected() == "1 to 3, 7, 0 (ignored), 8 (ignored)"


def test_a_color_map_is_matched_exactly(path: Path) -> None:
    colors = {(0, 0, 0): 0, (128, 0, 0): 1, (0, 128, 0): 2, (224, 224, 192): IGNORE_INDEX}
    order = [*colors]
    picture = np.array([[order[0], order[1]], [order[2], order[3]]], np.uint8)
    Image.fromarray(picture).save(path)
    coding = MaskCoding(3, colors=colors, color_hint="; name it in data.palette")
    assert read_mask(path, coding).tolist() == [[0, 1], [2, 255]]
    picture[1, 0] = (0, 128, 1)
    Image.fromarray(picture).save(path)
    assert reason(path, coding) == (
        "colour [0, 128, 1] at row 1, column 0 is none of the 3 classes; name it in data.palette"
    )


@given(st.data())
def test_a_color_map_against_a_loop(data: st.DataObject) -> None:
    levels = st.tuples(*[st.integers(0, 3)] * 3)
    colors = data.draw(st.dictionaries(levels, st.integers(0, 4), min_size=1, max_size=20))
    picture = data.draw(npst.arrays(np.uint8, (3, 4, 3), elements=st.integers(0, 3)))
    codes = MaskCoding(5, colors=colors).codes(picture, "")
    expected = [[colors.get(tuple(pixel), -1) for pixel in row] for row in picture.tolist()]
    assert codes.tolist() == expected


def test_rgb_without_a_palette_is_grey_or_refused(path: Path) -> None:
    Image.fromarray(np.stack([CLASSES] * 3, axis=-1)).save(path)
    assert read_mask(path, MaskCoding(4)).tolist() == CLASSES.tolist()
    assert reason(path, MaskCoding(3)) == (
        "value 3 at row 1, column 0 is none of the 3 classes: expected 0 to 2, 255 (ignored)"
    )
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(path)
    assert reason(path) == "an RGB picture, and no palette says which colour is which class"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_has_to_be_opaque(path: Path, mode: str) -> None:
    image = Image.fromarray(CLASSES).convert(mode)
    image.save(path)
    assert read_mask(path, MaskCoding(4)).tolist() == CLASSES.tolist()
    image.putalpha(254)
    image.save(path)
    assert reason(path) == "transparent pixels have no agreed class; store the mask without alpha"


def test_lossy_and_real_valued_masks_are_refused(tmp_path: Path) -> None:
    Image.fromarray(CLASSES).save(tmp_path / "a.jpg")
    assert reason(tmp_path / "a.jpg") == "JPEG changes the values of a mask; store it as PNG"
    Image.fromarray(CLASSES.astype(np.float32)).save(tmp_path / "b.tif")
    assert reason(tmp_path / "b.tif") == "pixels of mode F are no classes; store an index or RGB picture"


def test_a_missing_a_truncated_and_a_huge_mask(tmp_path: Path, path: Path) -> None:
    assert reason(path) == f"cannot be decoded: [Errno 2] No such file or directory: '{path}'"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 4, (20, 20), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:70])
    assert reason(path).startswith("cannot be decoded: ")
    path.write_bytes(b"no picture at all")
    assert reason(path).startswith("cannot be decoded: cannot identify image file")
    Image.new("1", (2000, 1000)).save(path)
    assert reason(path, max_pixels=1_999_999) == (
        "2000 x 1000 pixels are more than max_pixels = 1999999; make it smaller or, if it is from a data set "
        "that you trust, raise data.max_pixels"
    )
    path.write_bytes(grey_png(1, [b""], 30_000, 30_000))
    assert reason(path).startswith("too large for max_pixels = 1000 or for Pillow: ")


def test_masks_are_turned_as_their_pictures_are(path: Path) -> None:
    image = Image.fromarray(CLASSES)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    assert read_mask(path, MaskCoding(4)).tolist() == np.rot90(CLASSES, -1).tolist()


@given(st.integers(1, 255), st.data())
def test_what_is_written_is_read_back(tmp_path: Path, count: int, data: st.DataObject) -> None:
    shape = data.draw(npst.array_shapes(min_dims=2, max_dims=2, max_side=12))
    known = st.sampled_from([*range(count), IGNORE_INDEX])
    mask = data.draw(npst.arrays(np.uint8, shape, elements=known))
    palette = data.draw(npst.arrays(np.uint8, (count, 3))).tolist()
    path = tmp_path / "written.png"
    path.write_bytes(encode_palette_png(torch.from_numpy(mask), palette))
    assert read_mask(path, MaskCoding(count)).tolist() == mask.tolist()
    assert (read_with_palette(path)[1] or [])[:count] == palette
    seen = np.array(Image.open(path).convert("RGB"))
    colors = np.array([*palette, *voc_colors(256)[count:]], np.uint8)
    assert np.array_equal(seen, colors[mask])


def test_a_mask_without_a_color_is_not_written() -> None:
    with pytest.raises(ValueError, match=re.escape("class 3 has no colour in a palette of 3")):
        encode_palette_png(torch.from_numpy(CLASSES), [[0, 0, 0]] * 3)
    image = Image.open(io.BytesIO(encode_palette_png(torch.tensor([[255]], dtype=torch.uint8), [[1, 2, 3]])))
    assert image.convert("RGB").getpixel((0, 0)) == (224, 224, 192)


def test_the_colors_of_voc() -> None:
    colors = voc_colors(256)
    assert colors[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colors[15] == [192, 128, 128]  # a person is pink
    assert colors[20] == [0, 64, 128]
    assert colors[IGNORE_INDEX] == [224, 224, 192]
    assert len({tuple(color) for color in colors}) == 256


def test_a_grey_mask_has_no_palette(path: Path) -> None:
    Image.fromarray(CLASSES).save(path)
    assert read_with_palette(path)[1] is None


@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    target=st.tuples(st.integers(2, 24), st.integers(2, 24)),
    resize_mode=st.sampled_from(["letterbox", "stretch"]),
)
def test_masks_lie_where_their_pictures_lie(
    height: int, width: int, target: tuple[int, int], resize_mode: str
) -> None:
    mask = torch.arange(height * width, dtype=torch.uint8).view(height, width) % 200
    fitted = resize_mask(mask, target, resize_mode)
    white, _ = resize_picture(torch.full((3, height, width), 255, dtype=torch.uint8), target, resize_mode)
    assert fitted.dtype == torch.uint8
    assert torch.equal(fitted == IGNORE_INDEX, white[0] == 114)
    inner, across = int((white[0, :, 0] != 114).sum()), int((white[0, 0] != 114).sum())
    rows = [int((row + 0.5) * height / inner) for row in range(inner)]
    columns = [int((column + 0.5) * width / across) for column in range(across)]
    # the pixel whose area holds the centre; torch computes in float32, so a tie may go to a neighbour
    exact = mask[rows][:, columns]
    differs = exact != fitted[:inner, :across]
    tie_rows = torch.tensor([(2 * row + 1) * height % (2 * inner) == 0 for row in range(inner)])
    tie_columns = torch.tensor([(2 * column + 1) * width % (2 * across) == 0 for column in range(across)])
    assert not (differs & ~(tie_rows[:, None] | tie_columns[None])).any()


def test_a_mask_that_fits_is_not_touched() -> None:
    mask = torch.from_numpy(CLASSES)
    assert torch.equal(resize_mask(mask, (2, 3)), mask)
    assert resize_mask(mask, 6).tolist()[:2] == [[0, 0, 1, 1, 2, 2]] * 2
    assert resize_mask(mask, 6).tolist()[4:] == [[IGNORE_INDEX] * 6] * 2


def test_other_sizes_are_told_with_both() -> None:
    assert other_size((4, 3), (5, 6), "a.jpg") == "the mask is 3 x 4 pixels, its picture a.jpg 6 x 5"
    assert other_size((4, 3), (3, 4), "a.jpg") == (
        "the mask is 3 x 4 pixels, its picture a.jpg 4 x 3; the picture may be turned by its EXIF "
        "orientation and the mask not"
    )


def test_values_are_read_as_they_are(path: Path) -> None:
    Image.fromarray(np.array([[200, 3]], np.uint8)).save(path)
    assert read_values(path).tolist() == [[200, 3]]


def test_torchvision_knows_the_same_archives() -> None:
    """What is downloaded is looked up there."""
    assert datasets.voc.DATASET_YEAR_DICT["2012"]["base_dir"] == "VOCdevkit/VOC2012"
    assert len(datasets.OxfordIIITPet._RESOURCES) == 2
