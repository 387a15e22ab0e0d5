"""What was computed of each sample, kept on disk: a plain array a field, mapped into memory when it is read.

A folder has the name of its fingerprint, a hash of all that its numbers were computed from, and gets that
name when it is whole. It holds ``made_of.json``, which says what that was, and ``<field>.npy``. Nothing that
lies there is executed.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import filelock
import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import DataError
from vision_apps.core.progress import duration
from vision_apps.data.on_disk import read_only

log = logging.getLogger(__name__)

# Raised when the same pictures and backbone get other numbers or lie otherwise, so that what was kept before
# is not read as ours.
VERSION = 1

_MADE_OF, _THERE = "made_of.json", "there"
_SECONDS = 10  # between lines about the progress
_ROOM = 64 << 20  # bytes that are left free
# what numpy has not is kept as whole numbers of the same bits
_STORED: dict[torch.dtype, type[np.generic]] = {
    torch.uint8: np.uint8,
    torch.int64: np.int64,
    torch.float16: np.float16,
    torch.bfloat16: np.int16,
    torch.float32: np.float32,
    torch.float64: np.float64,
}


class Field(NamedTuple):
    """What is kept of each sample under one name."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, batch: Tensor) -> "Field":
        """That of the rows of a tensor [B, ...]."""
        return cls(tuple(batch.shape[1:]), batch.dtype)

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape)) or 'a number'} {str(self.dtype).removeprefix('torch.')}"


Fields = Mapping[str, Field]
Computed = Iterable[tuple[list[int], Mapping[str, Tensor]]]  # numbers of samples, ascending, and their rows


class Store:
    """Whole arrays of ``count`` samples in a folder. Processes that are given one open the files anew."""

    def __init__(self, folder: Path, count: int, fields: Fields) -> None:
        self.folder, self.count, self.fields = folder, count, dict(fields)
        self._arrays: dict[str, np.ndarray] = {}

    def rows(self, name: str, numbers: Tensor | list[int]) -> Tensor:
        """Copies of the rows with these numbers, [n, ...]."""
        values = self._array(name)[np.asarray(numbers)]
        return torch.from_numpy(values).view(self.fields[name].dtype)

    def row(self, name: str, number: int) -> Tensor:
        return self.rows(name, [number])[0]

    def is_there(self, number: int) -> bool:
        """Whether anything is kept of this sample; not of one whose file was broken."""
        return bool(self._array(_THERE)[number])

    def require(self, made_of: Mapping[str, Any]) -> "Store":
        """Itself, if its files are whole and were computed from this. `DataError` where not."""
        try:
            if json.loads((self.folder / _MADE_OF).read_text(encoding="utf-8")) != made_of:
                raise ValueError(f"{_MADE_OF} says that it was computed from something else")
            for name in (*self.fields, _THERE):
                self._array(name)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"data: kept features cannot be read: {self.folder}: {error}\n"
                "  Delete that folder and they are computed again."
            ) from error
        return self

    def _array(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            field = Field((), torch.uint8) if name == _THERE else self.fields[name]
            array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            expected, dtype = (self.count, *field.shape), np.dtype(_STORED[field.dtype])
            if array.shape != expected or array.dtype != dtype:
                raise ValueError(
                    f"{name}.npy holds {array.dtype} {list(array.shape)}, expected {dtype} {list(expected)}"
                )
            self._arrays[name] = array
        return self._arrays[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_arrays": {}}  # a mapped array would be sent with all that it holds


def fingerprint(made_of: Mapping[str, Any]) -> str:
    """A hash, 16 hexadecimal digits, of plain data."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def keep(
    cache: Path,
    made_of: Mapping[str, Any],
    count: int,
    fields: Fields,
    compute: Callable[[], Computed],
    *,
    title: str,
    key: str,
) -> Store:
    """What is kept below ``cache`` of what these numbers are made of; computed first where it is not there.
    Of several processes that want the same, one computes and the others wait.

    Args:
        made_of: plain data: all that the numbers depend on.
        count: samples.
        compute: gives the rows of all samples in their order; a sample that it leaves out is not there.
        title: of the numbers, for what is told.
        key: of the configuration, which says where they are kept.

    Raises:
        DataError: they cannot be kept there, or what lies there is damaged or something else.
    """
    made_of = json.loads(json.dumps({**made_of, "format": VERSION}))  # as it is read back
    folder = cache / fingerprint(made_of)
    store = Store(folder, count, fields)
    if folder.is_dir():
        return store.require(made_of)
    if place := read_only(folder):
        raise _cannot_keep(cache, f"{place} is read-only", key)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(cache / f".{folder.name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            log.info("%s: another process computes them; waiting for it", title)
            lock.acquire()
        try:
            if not folder.is_dir():
                _write(folder, made_of, count, fields, compute, title)
        finally:
            lock.release()
    except OSError as error:
        raise _cannot_keep(cache, error.strerror or str(error), key) from error
    return store.require(made_of)


def _write(
    folder: Path,
    made_of: Mapping[str, Any],
    count: int,
    fields: Fields,
    compute: Callable[[], Computed],
    title: str,
) -> None:
    """`OSError` where the file system refuses, or has no room."""
    needed = count * sum(field.bytes for field in fields.values())
    kinds = ", ".join(f"{name} {field}" for name, field in fields.items())
    _tell(f"{title}: {count:,} samples of {kinds}: {_size(needed)}, kept in {folder}")
    free = shutil.disk_usage(folder.parent).free
    if free < needed + _ROOM:
        raise OSError(f"they take {_size(needed)}, and {_size(free)} are free")
    unfinished = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    unfinished.mkdir()
    try:
        there = np.zeros(count, np.uint8)
        files = {name: _begun(unfinished / f"{name}.npy", count, field) for name, field in fields.items()}
        try:
            _fill(files, fields, there, compute, title)
        finally:
            for file in files.values():
                file.close()
        np.save(unfinished / f"{_THERE}.npy", there)
        (unfinished / _MADE_OF).write_text(json.dumps(made_of, indent=2), encoding="utf-8")
        for path in unfinished.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _begun(path: Path, count: int, field: Field) -> BinaryIO:
    """An array's file with its header. Its rows are written one after another: in a file that is mapped a
    full disk would end the process without a word."""
    dtype = np.dtype(_STORED[field.dtype])
    file = path.open("wb")
    np.lib.format.write_array_header_1_0(
        file,
        {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": (count, *field.shape),
        },
    )
    return file


def _fill(
    files: Mapping[str, BinaryIO],
    fields: Fields,
    there: np.ndarray,
    compute: Callable[[], Computed],
    title: str,
) -> None:
    started = shown = time.monotonic()
    done, count = 0, len(there)

    def skip_to(number: int) -> None:
        for name, file in files.items():
            file.write(bytes((number - done) * fields[name].bytes))

    for numbers, values in compute():
        for place, number in enumerate(numbers):
            skip_to(number)
            for name, file in files.items():
                row = values[name][place].detach().cpu().contiguous()
                if Field(tuple(row.shape), row.dtype) != fields[name]:
                    raise DataError(
                        f"data: {name} of sample {number} is {Field(tuple(row.shape), row.dtype)}, of others "
                        f"{fields[name]}: what is kept has one shape"
                    )
                file.write(row.reshape(-1).view(torch.uint8).numpy().tobytes())
            there[number], done = 1, number + 1
        now = time.monotonic()
        if now - shown > _SECONDS and done < count:
            shown, left = now, (now - started) / done * (count - done)
            _tell(f"{title}: {done:,} of {count:,} samples · {duration(left)} left")
    skip_to(count)


def _size(count: float) -> str:
    """Bytes as one says them."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _cannot_keep(cache: Path, why: str, key: str) -> DataError:
    return DataError(
        f"{key}: features cannot be kept in {cache}: {why}\n  Say where: {key}=/path/to/a/folder"
    )
