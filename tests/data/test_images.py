"""Decoding: what comes out for every kind of picture, and what broken and hostile files do."""

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.core.errors import CorruptSample
from vision_apps.data.images import read_image


def picture(height: int = 12, width: int = 20) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def pixels_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".webp"])
def test_lossless_formats_give_the_exact_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture().save(path, lossless=True)
    decoded = read_image(path)
    assert decoded.dtype == torch.uint8
    assert decoded.is_contiguous()
    assert torch.equal(decoded, pixels_of(picture()))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_agrees_with_pillow(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    picture().convert(mode).save(path, quality=95)
    difference = read_image(path).int() - pixels_of(Image.open(path)).int()
    assert difference.abs().max() <= 2  # decoders round differently


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = picture().resize((24, 16))
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](np.array(upright))))
    stored.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}))
    decoded = read_image(path)
    assert decoded.shape == (3, 16, 24)
    assert (decoded.int() - pixels_of(upright).int()).abs().float().mean() < 2


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    levels = np.linspace(0, 65_535, 64).astype(np.uint16).reshape(8, 8)
    for name in ("a.png", "a.tif", "a.pgm"):
        Image.fromarray(levels).save(tmp_path / name)
        decoded = read_image(tmp_path / name)
        assert torch.equal(decoded[0], decoded[2])
        assert torch.equal(decoded[0], torch.from_numpy((levels / 257).round().astype(np.uint8)))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (255, 0, 0, 255))
    clear.save(tmp_path / "a.png")
    decoded = read_image(tmp_path / "a.png")
    assert decoded[:, 0, 0].tolist() == [255, 0, 0]
    assert decoded[:, 1, 1].tolist() == [255, 255, 255]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "b.png", transparency=0)
    assert read_image(tmp_path / "b.png")[:, 0].T.tolist() == [[255, 255, 255], [200, 100, 50]]


def test_palette_one_bit_and_animation(tmp_path: Path) -> None:
    picture().quantize(16).save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.png"), pixels_of(picture().quantize(16)))
    picture().convert("1").save(tmp_path / "b.png")
    assert set(read_image(tmp_path / "b.png").unique().tolist()) == {0, 255}
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    red.save(tmp_path / "c.gif", save_all=True, append_images=[blue])
    assert read_image(tmp_path / "c.gif")[:, 0, 0].tolist() == [255, 0, 0]


def bomb(side: int) -> bytes:
    """A valid PNG of side x side one-bit pixels, all black, that compresses a thousandfold."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    squeeze = zlib.compressobj(1)
    rows = b"".join([*(squeeze.compress(bytes(1 + side // 8)) for _ in range(side)), squeeze.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (9_000, "9000 x 9000 pixels are more than max_pixels = 50000000.*raise data.max_pixels"),
        (30_000, "max_pixels = 50000000 or for Pillow: .*900000000 pixels"),
    ],
)
def test_a_pixel_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int, message: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side))
    assert path.stat().st_size < 1_000_000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(CorruptSample, match=message) as caught:
        read_image(path)
    assert time.process_time() - start < 0.5  # decoding it takes seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000  # KiB; decoded, 240 MB or more
    assert caught.value.path == str(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".gif", ".tif"])
def test_truncated_files_are_corrupt_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    for share in (0.0, 0.02, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(CorruptSample) as caught:
            read_image(path)
        assert caught.value.path == str(path)
        assert ".cpp" not in caught.value.reason


def test_other_content_is_a_corrupt_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    for content in (b"", b"no picture", postscript, b"\x89PNG\r\n\x1a\n" + b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(CorruptSample):
            read_image(path)
    with pytest.raises(CorruptSample, match="No such file"):
        read_image(tmp_path / "missing.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(CorruptSample, match="floating-point"):
        read_image(tmp_path / "b.tif")


def test_every_single_flipped_byte_decodes_or_is_a_corrupt_sample(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for kind in ("PNG", "JPEG"):
        stream = io.BytesIO()
        picture().save(stream, kind)
        content = stream.getvalue()
        for place in range(0, min(len(content), 400), 7):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
            try:
                decoded = read_image(path, max_pixels=10_000)
            except CorruptSample:
                continue
            assert decoded.shape[0] == 3
            assert decoded[0].numel() <= 10_000
