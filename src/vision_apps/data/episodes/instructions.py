"""Files of instructions: R2R (Anderson et al. 2018, arXiv:1711.07280) and RxR (Ku et al. 2020,
arXiv:2010.07954).

R2R is a JSON list of routes, each with ``path_id``, ``scan``, ``heading`` (rad), ``path`` (names of
viewpoints) and ``instructions``, a text of each of three people. RxR is JSON lines, packed or not, of one
instruction each, with ``instruction_id``, ``language`` and ``instruction``.
"""

import gzip
import json
import math
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from vision_apps.core.errors import DataError
from vision_apps.data.text import read_bytes

_MOST_BYTES = 2**31  # of a JSON file, which is read whole; R2R has 11 MB, its augmented routes 600 MB
_MOST_LINE = 2**26  # bytes of a JSON line; those of RxR with the times of all words have 100 kB
_MOST_PLACES = 1024  # on a path
_LINES = (".jsonl", ".jsonl.gz")
EXPECTED = (
    "R2R's list of routes (path_id, scan, heading, path and instructions), or RxR's lines (path_id, scan, "
    "heading, path, instruction_id and instruction)"
)


class Route(NamedTuple):
    """One instruction, and the way that it describes."""

    id: str  # instr_id: as result files have it
    scan: str
    path: tuple[str, ...]  # viewpoints; the last is the goal, where there is more than one
    heading: float  # rad from north (+y), clockwise, at the start
    instruction: str
    source: str  # for errors


def read_routes(path: Path, languages: Collection[str] | None = None) -> list[Route]:
    """All instructions of a file in either format, by the ending of its name.

    Args:
        languages: of RxR only those whose code begins like one of these (``en``: en-US and en-IN).

    Raises:
        DataError: it is no such file; the text names the file, the entry and what is wrong.
    """
    if path.name.lower().endswith(_LINES):
        found = [
            route for source, row in _lines(path) for route in _of_row(source, row) if _speaks(row, languages)
        ]
    else:
        found = [route for source, row in _list(path) for route in _of_row(source, row)]
    if not found:
        spoken = f" in {', '.join(sorted(languages))}" if languages else ""
        raise DataError(f"{path}: no instruction{spoken} is in it; expected {EXPECTED}")
    return found


def _speaks(row: dict[str, Any], languages: Collection[str] | None) -> bool:
    language = str(row.get("language", ""))
    return not languages or not language or any(language.startswith(own) for own in languages)


def _list(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise DataError(f"{path}: {size} bytes; expected at most {_MOST_BYTES}")
        rows = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected {EXPECTED}") from error
    if not isinstance(rows, list):
        raise DataError(f"{path}: no list; expected {EXPECTED}")
    yield from ((f"{path}, entry {number}", row) for number, row in enumerate(rows))


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    opened: Any = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rb") as file:
            yield from _read_lines(path, file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected {EXPECTED}") from error


def _read_lines(path: Path, file: BinaryIO) -> Iterator[tuple[str, Any]]:
    number = 0
    while line := file.readline(_MOST_LINE):
        number += 1
        source = f"{path}, line {number}"
        if len(line) == _MOST_LINE:
            raise DataError(f"{source}: more than {_MOST_LINE} bytes; expected {EXPECTED}")
        if not line.strip():
            continue
        try:
            yield source, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{source}: cannot be read as JSON: {error}; expected {EXPECTED}") from error


def _of_row(source: str, row: Any) -> Iterator[Route]:
    """The instructions of an entry."""
    if not isinstance(row, dict):
        raise DataError(f"{source}: it is {row!r:.80}; expected {EXPECTED}")
    scan, path, heading = (row.get(name) for name in ("scan", "path", "heading"))
    if not isinstance(scan, str) or not scan:
        raise DataError(f"{source}: its scan is {scan!r:.80}; expected {EXPECTED}")
    if (
        not isinstance(path, list)
        or not 1 <= len(path) <= _MOST_PLACES
        or not all(isinstance(name, str) for name in path)
    ):
        raise DataError(
            f"{source}: its path is {path!r:.80}; expected 1 to {_MOST_PLACES} names of viewpoints"
        )
    if not isinstance(heading, int | float) or isinstance(heading, bool) or not math.isfinite(heading):
        raise DataError(f"{source}: its heading is {heading!r:.80}; expected a number, rad")
    if isinstance(row.get("instruction"), str) and "instruction_id" in row:
        texts = {str(row["instruction_id"]): row["instruction"]}
    elif isinstance(row.get("instructions"), list) and "path_id" in row:
        texts = {f"{row['path_id']}_{number}": text for number, text in enumerate(row["instructions"])}
    else:
        raise DataError(f"{source}: it has {', '.join(map(str, row))[:200]}; expected {EXPECTED}")
    for own, text in texts.items():
        if not isinstance(text, str):
            raise DataError(f"{source}: an instruction is {text!r:.80}; expected a text")
        yield Route(own, scan, tuple(path), float(heading), text, source)
