"""What longer lines of YOLO's text files mean: declared, or told apart only where one reading makes sense."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.boxes.yolo import YoloFolder

COUNT = 8
Box = tuple[float, float, float, float]  # centre and sides, shares


def boxes() -> list[Box]:
    own = random.Random(0)
    return [
        (own.uniform(0.3, 0.7), own.uniform(0.3, 0.7), own.uniform(0.2, 0.4), own.uniform(0.2, 0.4))
        for _ in range(COUNT)
    ]


def points(box: Box, number: int, seen: int | None) -> list[float]:
    """Key points in a box."""
    own, (cx, cy, w, h) = random.Random(1), box
    found: list[float] = []
    for _ in range(number):
        found += [cx + own.uniform(-0.5, 0.5) * w, cy + own.uniform(-0.5, 0.5) * h]
        found += [] if seen is None else [float(seen)]
    return found


def polygon(box: Box, corners: int) -> list[float]:
    cx, cy, w, h = box
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return [value for a in angles for value in (cx + w / 2 * np.cos(a), cy + h / 2 * np.sin(a))]


def write(root: Path, lines: list[list[float]], more: str = "") -> None:
    for name in ("images", "labels"):
        (root / name).mkdir()
    for number, values in enumerate(lines):
        Image.new("RGB", (100, 50)).save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text(" ".join(map(str, [0, *values])) + "\n")
    (root / "data.yaml").write_text(f"train: images\nnames: [a]\n{more}")


def read(root: Path, **options: Any) -> list[Box]:
    """Of each picture its only box, as it was drawn."""
    data = YoloFolder(str(root), **options)
    data.prepare_data()
    every = sorted((item for own in data.annotations.values() for item in own), key=lambda item: item.path)
    corners = [item.boxes[0] / [100, 50, 100, 50] for item in every]
    return [((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) for x1, y1, x2, y2 in corners]


@pytest.mark.parametrize(
    ("shape", "seen"), [((2, 2), None), ((8, 2), None), ((4, 3), 1), ((4, 3), 2), ((17, 3), 0)]
)
@pytest.mark.parametrize("declared", ["kpt_shape", "data.lines", None])
def test_key_points_are_no_corners(
    tmp_path: Path, shape: tuple[int, int], seen: int | None, declared: str | None
) -> None:
    write(
        tmp_path,
        [[*box, *points(box, shape[0], seen)] for box in boxes()],
        f"kpt_shape: {list(shape)}\n" if declared == "kpt_shape" else "",
    )
    if declared is None:
        with pytest.raises(
            DataError, match=r"line 1: 8 lines have \d+ numbers: .*data\.lines=pose, or data\.lines="
        ):
            read(tmp_path)
    else:
        options = {"lines": "pose"} if declared == "data.lines" else {}
        assert np.allclose(read(tmp_path, **options), boxes(), atol=1e-5)


@pytest.mark.parametrize("corners", [[4], [8], [12], [6, 7, 9]])
@pytest.mark.parametrize("lines", ["segments", None])
def test_polygons_give_their_bounds(tmp_path: Path, corners: list[int], lines: str | None) -> None:
    write(tmp_path, [polygon(box, corners[n % len(corners)]) for n, box in enumerate(boxes())])
    found = read(tmp_path, lines=lines)
    if all(not count % 4 for count in corners):  # corners lie on all four sides
        assert np.allclose(found, boxes(), atol=1e-5)
    assert np.allclose(np.array(found)[:, :2], np.array(boxes())[:, :2], atol=0.03)


def test_scores_are_declared(tmp_path: Path) -> None:
    write(tmp_path, [[*box, 0.9] for box in boxes()])
    assert np.allclose(read(tmp_path, lines="scored"), boxes(), atol=1e-5)
    for lines in (None, "boxes", "segments"):
        with pytest.raises(DataError, match=r"found 6 numbers"):
            read(tmp_path, lines=lines)


@pytest.mark.parametrize(
    ("more", "lines", "text"),
    [
        (
            "kpt_shape: [5, 2]",
            None,
            r"expected 'class cx cy w h' and key points \(10 numbers, as kpt_shape says\)",
        ),
        ("kpt_shape: [8]", None, r"expected kpt_shape: \[number of key points, 2 or 3\], not \[8\]"),
        ("kpt_shape: [8, 2]", "segments", r"data\.lines: segments, and .* says kpt_shape: \[8, 2\]"),
        ("", "boxes", r"expected 'class cx cy w h' \(data\.lines=boxes\), found 21 numbers"),
    ],
)
def test_what_contradicts_the_lines_is_refused(
    tmp_path: Path, more: str, lines: str | None, text: str
) -> None:
    write(tmp_path, [[*box, *points(box, 8, None)] for box in boxes()], more)
    with pytest.raises((DataError, ConfigError), match=text):
        read(tmp_path, lines=lines)
