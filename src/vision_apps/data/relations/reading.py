"""Files of scene graphs that come from strangers: read as plain data, with what is wrong told by file and
key."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from vision_apps.core.errors import DataError
from vision_apps.core.spelling import alike
from vision_apps.data.text import read_bytes

MOST_ROWS = 2**27  # of an array: a hundred times those of Visual Genome


def read_json(path: Path, expected: str) -> Any:
    """The file's content. `DataError`, which says what was ``expected``, where it cannot be read."""
    try:
        return json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}; expected {expected}") from error


def names_of(values: object, source: str, *, predicates: bool = False) -> list[str]:
    """A list of different names. `DataError` where it is none."""
    kind = "predicates" if predicates else "classes"
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise DataError(f"{source}: expected a list of names of {kind}")
    names = [alike(value) for value in values]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{source}: two {kind} are called {twice!r}")
    return names


def numbered_names(values: object, source: str) -> list[str]:
    """The names of an object {"1": name, "2": ...} in the order of its numbers. `DataError` where these are
    not 1 to their count."""
    if not isinstance(values, Mapping) or not values:
        raise DataError(f'{source}: expected an object such as {{"1": "name"}}')
    try:
        by_number = {int(number): str(name) for number, name in values.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{source}: expected whole numbers as its keys: {error}") from error
    if sorted(by_number) != list(range(1, len(values) + 1)):
        raise DataError(f"{source}: its keys are not the numbers 1 to {len(values)}")
    return names_of([by_number[number] for number in sorted(by_number)], source)


def whole(value: object, source: str) -> int:
    """A whole number. `DataError` where it is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{source}: expected a whole number, not {value!r:.80}")
    return value


def numbers(values: object, count: int, source: str) -> list[float]:
    """That many numbers. `DataError` where there are not."""
    if (
        not isinstance(values, Sequence)
        or len(values) != count
        or not all(isinstance(value, int | float) for value in values)
    ):
        raise DataError(f"{source}: expected {count} numbers, not {values!r:.80}")
    return list(values)


def triplets(values: object, source: str) -> list[list[int]]:
    """Rows of three whole numbers. `DataError` where there are none."""
    if not isinstance(values, list):
        raise DataError(f"{source}: expected a list of [subject, object, predicate], not {values!r:.80}")
    for row in values:
        if not isinstance(row, list) or len(row) != 3:
            raise DataError(f"{source}: expected [subject, object, predicate], not {row!r:.80}")
        for value in row:
            whole(value, source)
    return values


class Hdf5Arrays:
    """Arrays of an HDF5 file, each checked before it is read: links are not followed, into other files
    neither, and nothing is allocated that was not asked about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = h5py.File(path, "r")
        except OSError as error:
            raise DataError(f"{path}: cannot be read as HDF5: {error}; is the file whole?") from error

    def __enter__(self) -> "Hdf5Arrays":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, name: str, columns: int | None = None, rows: int | None = None) -> np.ndarray:
        """Whole numbers, int64 [n] or with ``columns`` [n, columns]; one column may also stand as [n].
        `DataError` where it is missing or another.

        Args:
            rows: n, where it is known.
        """
        where = f"{self.path}, {name!r}"
        link = self.file.get(name, getlink=True)
        if link is None:
            raise DataError(f"{where}: there is no such array; the file has {', '.join(sorted(self.file))}")
        found = self.file[name] if type(link) is h5py.HardLink else None
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise DataError(f"{where}: its numbers are elsewhere; expected an array in this file")
        shape = tuple(found.shape or ())
        good = shape[1:] in (((), (1,)) if columns in (None, 1) else ((columns,),))
        if not shape or not good or (rows is not None and shape[0] != rows) or shape[0] > MOST_ROWS:
            wanted = ", ".join(str(n) for n in ("n" if rows is None else rows, columns) if n is not None)
            raise DataError(f"{where}: is {list(shape)}; expected [{wanted}], n at most {MOST_ROWS}")
        if found.dtype.kind not in "iu":
            raise DataError(f"{where}: is {found.dtype}; expected whole numbers")
        try:
            values = found[()].astype(np.int64)
        except OSError as error:
            raise DataError(f"{where}: cannot be read: {error}; is the file whole?") from error
        return values.reshape(len(values)) if columns in (None, 1) else values
