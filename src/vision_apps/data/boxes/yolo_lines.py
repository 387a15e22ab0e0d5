"""What the numbers of a line mean in YOLO's text files.

``class cx cy w h`` in shares of the picture's sides is a box. More numbers may be a polygon, a box with key
points, or a box with its score: the files do not say which, so that it is declared, and told apart only where
one reading alone makes sense.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.text import numbered_lines

Lines = Literal["boxes", "segments", "pose", "scored"]

_FARTHEST = 2.0  # shares: beyond, the numbers must be pixels
_INSIDE = 0.9  # of the points that would be key points lie in what would be their box
_SLACK = 0.02  # share of the picture by which a key point may stand out of its box
_SEEN = {0.0, 1.0, 2.0}  # how well a key point is seen

Object = tuple[int, float, float, float, float]  # class and corners, in shares
Corners = tuple[float, float, float, float]


class Line(NamedTuple):
    source: str  # the file, and which line of it
    label: int
    values: list[float]


def read_lines(file: Path, names: Sequence[str], encoding: str | None = None) -> list[Line]:
    """`DataError`, which names the line, where one holds no numbers or its class is not in the list."""
    found = []
    for number, line in numbered_lines(file, encoding):
        source = f"{file}, line {number}"
        try:
            label, *values = [float(text) for text in line.split()]
        except ValueError:
            raise DataError(f"{source}: expected numbers, found {line!r}") from None
        if label not in range(len(names)):
            offset = "; classes count from 0, these seem to count from 1" if label == len(names) else ""
            raise DataError(
                f"{source}: class {label:g} is not among 0..{len(names) - 1} ({', '.join(names)}){offset}"
            )
        found.append(Line(source, int(label), values))
    return found


class Reading:
    """How all lines of a data set are read.

    Args:
        lines: as declared; by default boxes, and polygons where lines are longer and cannot be key points.
        key_points: how many there are and the numbers of each, as ``kpt_shape`` says.
        description: the file that says so.
    """

    def __init__(self, lines: Lines | None, key_points: object, description: Path) -> None:
        self.more: int | None = None  # numbers after the box
        self.lines = lines
        if key_points is not None:
            if not isinstance(key_points, list) or len(key_points) != 2 or key_points[1] not in (2, 3):
                raise DataError(
                    f"{description}: expected kpt_shape: [number of key points, 2 or 3], not {key_points!r}"
                )
            if lines not in (None, "pose"):
                raise ConfigError(
                    f"data.lines: {lines}, and {description} says kpt_shape: {key_points}, which is a box "
                    "with key points"
                )
            self.lines, self.more = "pose", key_points[0] * key_points[1]

    def require_clear(self, lines: Iterable[Line]) -> None:
        """`DataError` where nobody has said what longer lines are, and they can be boxes with key points."""
        longer = [line for line in lines if len(line.values) >= 6] if self.lines is None else []
        if longer and any(_fits(longer, numbers) for numbers in (2, 3)):
            raise DataError(
                f"{longer[0].source}: {len(longer)} lines have {1 + len(longer[0].values)} numbers: a "
                "box with key points, or a polygon? Say which: data.lines=pose, or data.lines=segments"
            )

    def objects(self, lines: Iterable[Line]) -> list[Object]:
        """`DataError`, which names the line, where one is none."""
        return [(line.label, *self._corners(line)) for line in lines]

    def _corners(self, line: Line) -> Corners:
        count = len(line.values)
        taken = {
            "boxes": count == 4,
            "segments": count == 4 or (count >= 6 and not count % 2),
            "pose": count == 4 or (count > 4 if self.more is None else count == 4 + self.more),
            "scored": count in (4, 5),
            None: count == 4 or (count >= 6 and not count % 2),
        }
        if not taken[self.lines]:
            raise DataError(
                f"{line.source}: expected {self._expected()}, found {1 + count} numbers{self._hint(count)}"
            )
        shares = line.values[: 4 if self.lines in ("pose", "scored") else count]
        if max(map(abs, shares)) > _FARTHEST:
            raise DataError(
                f"{line.source}: expected shares of the picture's sides from 0 to 1, found "
                f"{max(shares, key=abs):g}: are these pixels?"
            )
        if len(shares) == 4:
            return _box(shares)
        xs, ys = shares[::2], shares[1::2]
        return min(xs), min(ys), max(xs), max(ys)

    def _expected(self) -> str:
        more = "" if self.more is None else f" ({self.more} numbers, as kpt_shape says)"
        return {
            "boxes": "'class cx cy w h' (data.lines=boxes)",
            "segments": "'class' and the x y of at least three corners, or a box (data.lines=segments)",
            "pose": f"'class cx cy w h' and key points{more}",
            "scored": "'class cx cy w h score' (data.lines=scored)",
            None: "'class cx cy w h', or 'class' and the x y of at least three corners",
        }[self.lines]

    def _hint(self, count: int) -> str:
        if self.lines is not None:
            return ""
        if count == 5:
            return "; is the last one a score? data.lines=scored"
        return "; a box with key points? data.lines=pose" if count > 5 else ""


def _fits(lines: Sequence[Line], numbers: int) -> bool:
    """Whether all lines can be a box and as many key points of so many numbers each."""
    counts = {len(line.values) for line in lines}
    if len(counts) > 1 or (counts.pop() - 4) % numbers:
        return False
    values = np.array([line.values for line in lines])
    points = values[:, 4:].reshape(len(lines), -1, numbers)
    if numbers == 3:
        return set(np.unique(points[..., 2]).tolist()) <= _SEEN
    half = values[:, None, 2:4] / 2 + _SLACK
    inside = (np.abs(points - values[:, None, :2]) <= half).all(-1) | (points == 0).all(-1)
    return bool(inside.mean() >= _INSIDE)


def _box(shares: Sequence[float]) -> Corners:
    cx, cy, w, h = shares
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
