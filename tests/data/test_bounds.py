"""What a stranger's file may cost: each bound is met before the memory or the time is spent."""

import os
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.data.archives import require_bounded
from vision_apps.data.boxes.annotation import MOST_BOXES, annotation
from vision_apps.data.boxes.yolo_layout import description
from vision_apps.data.captions.regions import _archive
from vision_apps.data.images import header, read_image
from vision_apps.data.masks.coding import read_values
from vision_apps.data.text import numbered_lines, read_bytes
from vision_apps.prediction.inputs import find
from vision_apps.prediction.takes import Takes


def png(width: int, height: int) -> str:
    """A whole PNG of so many black pixels, whose size is the only thing large about it."""
    rows = zlib.compressobj(9)
    content = b"".join(rows.compress(bytes(width + 1)) for _ in range(height)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    parts = chunk(b"IHDR", size + b"\x08\0\0\0\0"), chunk(b"IDAT", content), chunk(b"IEND", b"")
    Path("x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return "x.png"


@pytest.mark.parametrize("size", [(1, 50_000), (250_000, 100)])
def test_a_side(size: tuple[int, int]) -> None:
    path = png(*size)
    for read in (read_image, header, read_values):
        with pytest.raises(CorruptSample, match=r"a side may have 200,000, and be 500 times the other; cut"):
            read(path)


def test_a_strip_that_is_read() -> None:
    assert tuple(read_image(png(2000, 4)).shape) == (3, 4, 2000)


def test_a_pipe_is_not_waited_for() -> None:
    os.mkfifo("x.png")
    for read in (read_image, header, read_values):
        with pytest.raises(CorruptSample, match=r"^x.png: is no plain file$"):
            read("x.png")
    with pytest.raises(DataError, match=r"is no plain file"):
        list(numbered_lines(Path("x.png")))
    with pytest.raises(OSError, match=r"is no plain file"):
        read_bytes(Path("x.png"))


def test_names_in_yaml_that_stand_for_more_than_they_are() -> None:
    lines = ["l0: &l0 [a]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9))]
    Path("data.yaml").write_text("\n".join([*lines, "train: .", "names: *l8"]))
    began = time.monotonic()
    with pytest.raises(DataError, match=r"its aliases stand for more than 100,000 values"):
        description(Path(), "data.yaml", None)
    assert time.monotonic() - began < 5


def test_an_archive_that_would_unpack_to_gigabytes() -> None:
    with (
        zipfile.ZipFile("x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("1_boxes.npy", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"would unpack to 300 MiB; expected at most 200 times the file"):
        _archive("x.npz", 0, 0, 0)
    np.savez_compressed("zeros.npz", zeros=np.zeros(1_000_000))
    require_bounded("zeros.npz")


def test_boxes_of_one_picture() -> None:
    boxes = [[0.0, 0.0, 1.0, 1.0]] * (MOST_BOXES + 1)
    with pytest.raises(DataError, match=r"^here: 20,001 boxes in one picture; expected at most 20,000"):
        annotation("x.png", (9, 9), boxes, [0] * len(boxes), image_id=1, source="here")
    assert (
        len(annotation("x.png", (9, 9), boxes[1:], [0] * MOST_BOXES, image_id=1, source="h").boxes) == 20_000
    )


def test_a_pattern_below_links_that_lead_up() -> None:
    for folder in ("q/a", "q/b/.hidden", "elsewhere"):
        Path(folder).mkdir(parents=True)
    for name in ("q/x.png", "q/a/y.png", "q/b/.hidden/no.png", "elsewhere/z.png", "q/a/n.txt"):
        Path(name).touch()
    for name in ("q/up", "q/a/up", "q/b/up"):
        Path(name).symlink_to("..")
    Path("q/linked").symlink_to("../elsewhere")
    takes = Takes(pictures=True, needed=True, words={})
    found = [source.name for source in find(["q/**/*.png"], takes)]
    assert sorted(map(os.path.basename, found)) == ["x.png", "y.png", "z.png"]
    assert {source.name for source in find(["q/a/**/y.png"], takes)} == {"q/a/y.png"}


def test_a_name_that_is_no_text() -> None:
    Path("photos").mkdir()
    Image.new("RGB", (8, 8)).save("photos/a.png")
    os.rename(b"photos/a.png", b"photos/\xff.png")
    (source,) = find(["photos"], Takes(pictures=True, needed=True, words={}))
    assert tuple(read_image(source.name).shape) == (3, 8, 8)
