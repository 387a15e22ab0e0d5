"""Boxes of pictures, and what is known of each, in NumPy's files.

One ``.npz`` of all pictures has the arrays ``<id>_boxes`` [N, 4] and, if anything more is known, in the same
order ``<id>_features`` [N, D]; the id is the picture's name, with or without its ending and folders, or the
number that ends it. Or a folder has a file ``<id>.npz`` for each picture, with ``boxes`` and ``features``.
Boxes are x1, y1, x2, y2 in pixels of the picture, y down, the best first.
"""

import functools
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vision_apps.core.errors import CorruptSample, DataError, some
from vision_apps.data.archives import require_bounded

BOXES, FEATURES = "boxes", "features"
_ARRAY = ".npy"  # how a file in an .npz ends
_NAMED = 3  # in an error


class Entry(NamedTuple):
    """Where the arrays of a picture are."""

    file: str
    boxes: str
    features: str | None

    @property
    def source(self) -> str:
        return f"{self.file}, {self.boxes}"


class RegionFiles:
    """What lies at a place.

    Raises:
        DataError: nothing is there, or no regions are in it.

    Attributes:
        width: D, of the features; none where there are none.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = Path(place)
        files = sorted(self.place.glob("*.npz")) if self.place.is_dir() else [self.place]
        self.entries: dict[str, Entry] = {}
        for file in files:
            self.entries |= _entries(file)
        if not self.entries:
            raise DataError(f"data.regions: {self.place}: no boxes are there; expected {_EXPECTED}")
        with_features = [entry for entry in self.entries.values() if entry.features]
        if with_features and len(with_features) < len(self.entries):
            without = [name for name, entry in self.entries.items() if not entry.features]
            raise DataError(
                f"data.regions: {self.place}: {len(without)} of {len(self.entries)} pictures have no "
                f"features ({some(without, _NAMED)}); expected all or none to have them"
            )
        self.width = self._shape(with_features[0])[1] if with_features else None

    def of(self, name: str) -> Entry | None:
        """The entry of a picture, by its name below the folder of the data."""
        stem = os.path.splitext(name)[0]
        number = re.search(r"[0-9]+$", stem)
        spelled = (name, stem, os.path.basename(name), os.path.basename(stem))
        asked = [*spelled, *([str(int(number[0]))] if number else [])]
        return next((self.entries[own] for own in asked if own in self.entries), None)

    def boxes(self, entry: Entry) -> np.ndarray:
        """float32 [N, 4]. `CorruptSample` where they cannot be read, or are none; the features that belong to
        them are looked at, too."""
        found = self._read(entry.file, entry.boxes)
        if found.ndim != 2 or found.shape[1] != 4:
            raise CorruptSample(entry.source, f"is {list(found.shape)}; expected boxes [N, 4]")
        if found.dtype.kind not in "fiu" or not np.isfinite(found).all():
            raise CorruptSample(entry.source, "holds something that is no finite number")
        if (found[:, 2:] < found[:, :2]).any():
            raise CorruptSample(entry.source, "ends before it begins; expected x1, y1, x2, y2 in pixels")
        if entry.features is not None:
            rows, width = self._shape(entry)
            if (rows, width) != (len(found), self.width):
                raise CorruptSample(
                    f"{entry.file}, {entry.features}",
                    f"is {[rows, width]}; expected {[len(found), self.width]}, as many rows as boxes and as "
                    "many numbers as the other pictures have",
                )
        return found.astype(np.float32)

    def features(self, entry: Entry, rows: np.ndarray) -> Tensor:
        """Those of some boxes, float32 [n, D]. `CorruptSample` where they cannot be read."""
        assert entry.features is not None
        found = torch.from_numpy(self._read(entry.file, entry.features)[rows].astype(np.float32))
        if not found.isfinite().all():
            raise CorruptSample(f"{entry.file}, {entry.features}", "holds something that is no finite number")
        return found

    def _shape(self, entry: Entry) -> tuple[int, int]:
        """That of the features, without reading them."""
        where = f"{entry.file}, {entry.features}"
        try:
            with _opened(entry.file).zip.open(f"{entry.features}{_ARRAY}") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0
                shape, _, _ = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(file)
        except Exception as error:  # a damaged archive fails in many ways
            raise CorruptSample(where, f"cannot be read: {error}") from error
        if len(shape) != 2:
            raise CorruptSample(where, f"is {list(shape)}; expected features [N, D]")
        return shape[0], shape[1]

    def _read(self, file: str, name: str) -> np.ndarray:
        try:
            found: np.ndarray = _opened(file)[name]
        except Exception as error:
            raise CorruptSample(f"{file}, {name}", f"cannot be read: {error}") from error
        return found


def _opened(file: str) -> Any:
    known = os.stat(file)
    return _archive(file, known.st_size, known.st_mtime_ns, os.getpid())


@functools.lru_cache(maxsize=1)
def _archive(file: str, size: int, time: int, process: int) -> Any:
    """A file as it is now, kept open: to find one of many arrays in it takes long. A process that was forked
    opens its own, because it would share the place in the file."""
    require_bounded(file)
    return np.load(file, allow_pickle=False)


_EXPECTED = (
    "a run of detection; or an .npz with arrays <id>_boxes [N, 4] (x1, y1, x2, y2 in pixels) and maybe "
    "<id>_features [N, D]; or a folder with an <id>.npz for each picture, with boxes and maybe features"
)


def _entries(file: Path) -> dict[str, Entry]:
    """The pictures in a file."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.removesuffix(_ARRAY) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"data.regions: {file}: cannot be read: {error}; expected {_EXPECTED}") from error
    ids = {name: name.removesuffix(f"_{BOXES}") for name in sorted(names) if name.endswith(f"_{BOXES}")}
    if BOXES in names:
        ids[BOXES] = file.stem
    found = {}
    for name, own in ids.items():
        features = name.removesuffix(BOXES) + FEATURES
        found[own] = Entry(str(file), name, features if features in names else None)
    return found


class Cut(NamedTuple):
    """Boxes as they lie in a picture."""

    boxes: np.ndarray  # float32 [n, 4], with an area
    rows: np.ndarray  # int64 [n]: which they are among those that were given
    reached_out: int  # how many were cut
    outside: int  # how many had nothing in the picture


def cut(boxes: np.ndarray, size: Sequence[int]) -> Cut:
    """Boxes [N, 4] within a picture of this size, height and width; those without an area there go."""
    limits = np.array([size[1], size[0], size[1], size[0]], np.float32)
    inside = boxes.clip(0, limits)
    rows = np.flatnonzero((inside[:, 2:] > inside[:, :2]).all(1))
    out = (inside != boxes).any(1)
    return Cut(inside[rows], rows, int(out[rows].sum()), len(boxes) - len(rows))


class PictureRegions(NamedTuple):
    """The regions of the pictures of a split, in their order."""

    boxes: Tensor  # float32 [N, M, 4], zero rows past the regions
    files: RegionFiles | None = None  # where their features are
    entries: Sequence[Entry] = ()
    rows: Sequence[np.ndarray] = ()  # of each picture which boxes of its entry these are

    def of(self, index: int, fields: Sequence[str]) -> Mapping[str, Tensor]:
        """What of ``regions`` and ``region_features`` is asked for."""
        found = {"regions": self.boxes[index].clone()} if "regions" in fields else {}
        if "region_features" in fields:
            assert self.files is not None
            own = self.files.features(self.entries[index], self.rows[index])
            found["region_features"] = pad(own, (0, 0, 0, self.boxes.shape[1] - len(own)))
        return found


def given_regions(text: str, size: Sequence[int], width: int | None) -> tuple[Tensor, Tensor | None]:
    """The boxes of one picture of this size, height and width, as a person says them: ``10,20,60,90; ...`` in
    its pixels, or a file as `RegionFiles` has them, ``regions.npz:ID`` where it is of several pictures.
    Returns float32 [N, 4], and [N, D] where a ``width`` D is asked for. `DataError` where there are none."""
    if re.fullmatch(r"[-+0-9.,;\s]+", text):
        if width is not None:
            raise DataError(
                f"regions: the network was taught with {width} numbers of each box, from a file; expected "
                "such a file, as in regions=boxes.npz:ID"
            )
        try:
            boxes = np.array([[float(n) for n in box.split(",")] for box in text.split(";") if box.strip()])
            assert boxes.shape[1:] == (4,) and (boxes[:, 2:] >= boxes[:, :2]).all()
        except (ValueError, AssertionError):
            raise DataError(
                f"regions: {text!r}; expected boxes x1,y1,x2,y2 in pixels with ; between them"
            ) from None
        return torch.from_numpy(cut(boxes.astype(np.float32), size).boxes), None
    place, _, name = (text, "", "") if os.path.exists(text) else text.rpartition(":")
    files = RegionFiles(place or name)
    # a file of one picture names none
    entry = files.of(name) if place and name else next(iter(files.entries.values()))
    if entry is None or (not name and len(files.entries) > 1):
        raise DataError(
            f"regions: {text}: which of its {len(files.entries)} pictures? It has "
            f"{some(list(files.entries), _NAMED)}; expected regions={files.place}:ID"
        )
    if files.width != width:
        raise DataError(
            f"regions: {text} has {files.width or 'no'} features of a box; the network was taught with "
            f"{width or 'none'}"
        )
    own = cut(files.boxes(entry), size)
    return torch.from_numpy(own.boxes), None if width is None else files.features(entry, own.rows)
