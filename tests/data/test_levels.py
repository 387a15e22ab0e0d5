"""Pictures with more than 8 bits: which levels become black and white."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.core.errors import ConfigError, CorruptSample
from vision_apps.data import files
from vision_apps.data.images import read_image
from vision_apps.data.labels.folder import ImageFolder
from vision_apps.data.levels import measured, require_range


def ramp(high: float, kind: type, low: float = 0) -> np.ndarray:
    return np.linspace(low, high, 64).astype(kind).reshape(8, 8)


@pytest.mark.parametrize(
    ("name", "values", "levels"),
    [
        ("a.png", ramp(4095, np.uint16), [0, 4095]),
        ("a.tif", ramp(4000, np.uint16), [0, 4095]),
        ("a.pgm", ramp(1000, np.uint16), [0, 1023]),
        ("a.tif", ramp(255, np.int32), [0, 255]),
        ("a.tif", ramp(65_535, np.uint16), [0, 65_535]),
        ("a.tif", ramp(1, np.float32), [0, 1]),
        ("a.tif", ramp(40, np.float32, -40), [-40, 40]),
        ("a.tif", ramp(1000, np.int16, -1000), [-1000, 1000]),
    ],
)
def test_the_measured_range_is_black_to_white(
    tmp_path: Path, name: str, values: np.ndarray, levels: list[float]
) -> None:
    Image.fromarray(values).save(tmp_path / name)
    assert measured([str(tmp_path / name)]) == pytest.approx(levels)
    decoded = read_image(tmp_path / name, levels=levels)
    shares = (values.astype(float) - levels[0]) / (levels[1] - levels[0])
    assert torch.equal(decoded, torch.from_numpy((shares * 255).round()).to(torch.uint8).expand(3, 8, 8))


def test_what_is_outside_is_cut(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100, 200, 300]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", levels=[100, 200])[0, 0].tolist() == [0, 0, 255, 255]


def test_eight_bits_have_no_levels(tmp_path: Path) -> None:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert measured([str(tmp_path / "a.png"), str(tmp_path / "b.png")]) is None
    assert read_image(tmp_path / "a.png", levels=[0, 10])[0, 0].tolist() == list(range(8))


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int16])
def test_levels_without_an_agreed_range_are_refused(tmp_path: Path, kind: type) -> None:
    Image.fromarray(ramp(1, kind)).save(tmp_path / "a.tif")
    with pytest.raises(CorruptSample, match=r"no agreed range; say it, as in data\.levels=\[0,1\]"):
        read_image(tmp_path / "a.tif")


def deep_png(path: Path, values: np.ndarray) -> None:
    """Colours of 16 bits, which Pillow does not write."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )


def test_colours_of_16_bits_keep_all_of_them(tmp_path: Path) -> None:
    colors = np.stack([ramp(4095, np.uint16), ramp(2000, np.uint16), ramp(100, np.uint16)], -1)
    deep_png(tmp_path / "a.png", colors)
    assert measured([str(tmp_path / "a.png")]) == [0, 4095]
    decoded = read_image(tmp_path / "a.png", levels=[0, 4095])
    assert torch.equal(
        decoded, torch.from_numpy((colors / 4095 * 255).round().astype(np.uint8)).movedim(-1, 0)
    )
    clear = np.concatenate([colors, np.zeros((8, 8, 1), np.uint16)], -1)
    deep_png(tmp_path / "b.png", clear)
    assert (read_image(tmp_path / "b.png", levels=[0, 4095]) == 255).all()


def test_a_data_set_measures_its_training_pictures_and_says_so(tmp_path: Path) -> None:
    for name, high in (("a", 4095), ("b", 2000)):
        for number in range(8):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((8, 8), high - number, np.uint16)).save(path)
    data = ImageFolder(str(tmp_path), image_size=8, batch_size=4, levels="auto")
    data.prepare_data()
    assert data.settle() == {"levels": [0, 4095]}
    brightest = data.load("train", ("images",))[0]["images"].max()
    assert brightest > 110  # 2000 of 4095; of 65535 it would be 8


def test_levels_of_some_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "_MEASURED", 4)
    for number in range(40):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.fromarray(ramp(4000, np.uint16)).save(tmp_path / "ab"[number % 2] / f"{number}.png")
    data = ImageFolder(str(tmp_path), image_size=8, batch_size=4, levels="auto")
    data.prepare_data()
    with caplog.at_level("WARNING"):
        data.settle()
    every = len(data.sample_names("train"))
    (message,) = caplog.messages
    assert message.endswith(
        f" of {every} training pictures; what lies outside of data.levels=[0,4095] in others is cut to it"
    )


@pytest.mark.parametrize("levels", [[1, 1], [3, 2], [0, 1, 2]])
def test_a_range_that_is_none_is_refused(levels: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"data\.levels: expected \[low, high\]"):
        require_range(levels)
