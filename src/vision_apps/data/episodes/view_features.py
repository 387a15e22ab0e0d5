"""What a network saw at each viewpoint of a building, in files: 36 views, D numbers each.

A TSV file has a line a viewpoint (Anderson et al. 2018): ``scanId``, ``viewpointId``, ``image_w``,
``image_h``, ``vfov`` and ``features``, float32 [36, D] in base64. An HDF5 file has a data set
``<scan>_<viewpoint>`` of [36, D]. The views go round in steps of 30 degrees, clockwise from north, first
those that look 30 degrees down, then ahead, then up.
"""

import base64
import binascii
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import h5py
import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError, some

VIEWS = 36
HEADINGS = 12
TSV_COLUMNS = ("scanId", "viewpointId", "image_w", "image_h", "vfov", "features")
MOST_FEATURES = 2**16  # of a view
_BYTES = 4  # of a number
_MOST_LINE = VIEWS * MOST_FEATURES * _BYTES * 4 // 3 + 1024  # bytes of a line, which is read whole
_HDF5 = (".h5", ".hdf5")
_NAMED = 3  # in an error
Place = tuple[str, str]  # scan and viewpoint


class ViewFile(Protocol):
    """A file of features."""

    path: Path
    width: int  # D

    def __contains__(self, place: Place) -> bool: ...

    def read(self, place: Place) -> Tensor:
        """Those of a viewpoint that is in it, float32 [36, D]. `CorruptSample` where they cannot be read."""


class Line(NamedTuple):
    """Where the features of a viewpoint stand in a TSV file."""

    number: int  # from 1
    start: int  # byte
    size: int  # bytes


class TsvViews:
    """Which viewpoint stands where is found once; their features are read as they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, Line] = {}
        self.width = 0
        start = 0
        try:
            with open(path, "rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(_MOST_LINE), b""), 1):
                    self._index(number, start, line)
                    start += len(line)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        if not self.lines:
            raise DataError(f"{path}: it has no line; expected {', '.join(TSV_COLUMNS)} with tabs between")

    def _index(self, number: int, start: int, line: bytes) -> None:
        if not line.strip():
            return
        columns = line.rstrip(b"\r\n").split(b"\t")
        if number == 1 and columns[0] == TSV_COLUMNS[0].encode():  # some files say their columns
            return
        if len(columns) != len(TSV_COLUMNS):
            raise DataError(
                f"{self.path}, line {number}: {len(columns)} columns; expected {', '.join(TSV_COLUMNS)} with "
                "tabs between"
            )
        scan, viewpoint, text = (columns[column].decode("utf-8", "replace") for column in (0, 1, 5))
        size = (len(text) * 3 // 4) - text[-2:].count("=")
        rows = VIEWS * _BYTES
        if not self.lines:
            self.width = size // rows
        if size != rows * self.width or not self.width:
            raise DataError(
                f"{self.path}, line {number}: the features of {scan} {viewpoint} have {size} bytes; expected "
                f"{rows} for each number of a view, as many as in the first line; is the file whole?"
            )
        self.lines[scan, viewpoint] = Line(number, start, len(line))

    def __contains__(self, place: Place) -> bool:
        return place in self.lines

    def read(self, place: Place) -> Tensor:
        number, start, size = self.lines[place]
        try:
            with open(self.path, "rb") as file:
                file.seek(start)
                text = file.read(size).rstrip(b"\r\n").rpartition(b"\t")[2]
            values = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
            return _checked(values.reshape(VIEWS, self.width), f"{self.path}, line {number}")
        except (OSError, binascii.Error, ValueError) as error:
            raise CorruptSample(f"{self.path}, line {number}", f"cannot be read: {error}") from error


class Hdf5Views:
    """A data set a viewpoint; links and data sets that lead out of the file are refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self.names = {str(name) for name in file}
            if not self.names:
                raise DataError(f"{path}: it is empty; expected data sets <scan>_<viewpoint>")
            self.width = self._data_set(file, min(self.names)).shape[1]

    def _opened(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error}; is the file whole?") from error

    def _data_set(self, file: h5py.File, name: str) -> h5py.Dataset:
        """The data set of this name, whose shape is right and which lies in this file."""
        if type(file.get(name, getlink=True)) is not h5py.HardLink:
            raise DataError(f"{self.path}, {name}: it is a link; expected a data set in this file")
        found = file[name]
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise DataError(
                f"{self.path}, {name}: its numbers are not here; expected a data set in this file"
            )
        rows, width = found.shape if found.ndim == 2 else (0, 0)
        if rows != VIEWS or not 1 <= width <= MOST_FEATURES or found.dtype.kind != "f":
            raise DataError(
                f"{self.path}, {name}: {found.dtype} {list(found.shape)}; expected floats [{VIEWS}, D], D at "
                f"most {MOST_FEATURES}"
            )
        return found

    def __contains__(self, place: Place) -> bool:
        return "_".join(place) in self.names

    def read(self, place: Place) -> Tensor:
        name = "_".join(place)
        with self._opened() as file:
            found = self._data_set(file, name)
            if found.shape[1] != self.width:
                raise CorruptSample(
                    f"{self.path}, {name}", f"{found.shape[1]} numbers of a view; others have {self.width}"
                )
            try:
                return _checked(found[()].astype(np.float32), f"{self.path}, {name}")
            except OSError as error:
                raise CorruptSample(f"{self.path}, {name}", f"cannot be read: {error}") from error


def _checked(values: np.ndarray, source: str) -> Tensor:
    if not np.isfinite(values).all():
        raise CorruptSample(source, "holds something that is no finite number")
    return torch.from_numpy(np.array(values, dtype=np.float32))


class ViewFeatures:
    """The features of the viewpoints that are asked for last are kept in memory.

    Args:
        path: a file whose name ends in ``.tsv``, ``.h5`` or ``.hdf5``.
        width: use only the first so many numbers of a view (some files have those of classes behind them).
        memory: GiB to keep features in.

    Attributes:
        width: numbers of a view.
    """

    def __init__(self, path: Path, width: int | None = None, memory: float = 4.0) -> None:
        if not path.is_file():
            raise DataError(f"data.features: there is no file {path.absolute()}")
        self.file: ViewFile = (Hdf5Views if path.suffix.lower() in _HDF5 else TsvViews)(path)
        self.width = self.file.width if width is None else width
        if not 1 <= self.width <= self.file.width:
            raise DataError(f"data.feature_width: {width}; {path} has {self.file.width} numbers of a view")
        kept = max(1, int(memory * 2**30) // (VIEWS * self.width * _BYTES))
        self._kept = functools.lru_cache(maxsize=kept)(self._read)

    def _read(self, place: Place) -> Tensor:
        return self.file.read(place)[:, : self.width].clone()

    def of(self, places: Sequence[Place]) -> Tensor:
        """float32 [n, 36, width]. `CorruptSample` where they cannot be read."""
        if not places:
            return torch.zeros(0, VIEWS, self.width)
        return torch.stack([self._kept(place) for place in places])

    def require(self, places: Sequence[Place]) -> None:
        """`DataError` where the file lacks some viewpoints."""
        if missing := [" ".join(place) for place in places if place not in self.file]:
            raise DataError(
                f"{self.file.path}: no features of {len(missing)} of {len(places)} viewpoints: "
                f"{some(missing, _NAMED)}; is the file whole, and of these buildings?"
            )


def opened(path: Path, width: int | None = None, memory: float = 4.0) -> ViewFeatures:
    """The features of a file as it is now: data and world share what is kept of it."""
    if not path.is_file():
        return ViewFeatures(path, width, memory)
    known = os.stat(path)
    return _opened(path.absolute(), width, memory, known.st_size, known.st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _opened(path: Path, width: int | None, memory: float, size: int, time: int) -> ViewFeatures:
    return ViewFeatures(path, width, memory)


def write_tsv(path: Path, views: dict[Place, Tensor]) -> None:
    """The file that `TsvViews` reads; of each viewpoint float32 [36, D]."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        for (scan, viewpoint), values in views.items():
            text = base64.b64encode(values.numpy().astype("<f4").tobytes()).decode()
            file.write("\t".join([scan, viewpoint, "640", "480", "60", text]) + "\n")
        file.flush()
        os.fsync(file.fileno())


def write_hdf5(path: Path, views: dict[Place, Tensor]) -> None:
    """The file that `Hdf5Views` reads."""
    with h5py.File(path, "w") as file:
        for place, values in views.items():
            file["_".join(place)] = values.numpy()
