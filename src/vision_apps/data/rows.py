"""Files of the user's own that say something of a picture in every line: CSV files with a heading, or JSON
lines."""

import csv
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.images import EXTENSIONS
from vision_apps.data.named_splits import split_called
from vision_apps.data.on_disk import is_hidden
from vision_apps.data.text import opened

PICTURE = ("image", "filename", "file", "file_name", "image_name", "path", "image_path", "image_id")
SPLIT = ("split", "subset", "set")
DELIMITERS = (",", ";", "\t")  # of the columns of a CSV file, as its heading has them
_JSON_LINES = ".jsonl"
_NAMED = 5  # columns in a line of the log

log = logging.getLogger(__name__)


class Line(NamedTuple):
    source: str  # the file, and which line of it
    values: dict[str, Any]  # by their names in lower case


def files_below(root: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """The files directly below a folder that end in one of these, by their names in lower case without it; of
    two with one name that whose suffix stands first. Hidden ones are left out."""
    there = [path for path in sorted(root.iterdir()) if not is_hidden(path.name)] if root.is_dir() else []
    found = [path for path in there if path.suffix.lower() in suffixes]
    found.sort(key=lambda path: suffixes.index(path.suffix.lower()), reverse=True)
    return {path.stem.lower(): path for path in found}


def lines_of(
    path: Path, expected: str, to_the_end: Sequence[str] = (), encoding: str | None = None
) -> Iterator[Line]:
    """Each line that is not blank; commas, semicolons or tabs stand between the columns of a CSV file, as in
    its heading. `DataError`, which says what was ``expected``, where the file cannot be read or a line is
    none.

    Args:
        to_the_end: names of columns to which, where a CSV file has them as its last one, all that follows in
            a line belongs, with the signs that stand between columns elsewhere.
        encoding: as for `text.opened`.
    """
    try:
        with opened(path, encoding) as file:
            of_json = path.suffix.lower() == _JSON_LINES
            for number, values in _json_lines(file) if of_json else _csv_lines(file, to_the_end):
                source = f"{path}, line {number}"
                if isinstance(values, ValueError | RecursionError):
                    raise DataError(f"{source}: cannot be read as JSON: {values}; expected {expected}")
                if not isinstance(values, dict) or None in values:
                    raise DataError(f"{source}: expected {expected}")
                yield Line(source, {str(name).strip().lower(): value for name, value in values.items()})
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}; expected {expected}") from error


def _csv_lines(file: TextIO, to_the_end: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Each line's number and values; those past the heading are those of None."""
    heading = file.readline()
    file.seek(0)
    between = max(DELIMITERS, key=heading.count)
    table = csv.DictReader(file, delimiter=between, strict=True)
    last = (table.fieldnames or ("",))[-1]
    try:
        for row in table:
            values: dict[Any, Any] = dict(row)
            if last.strip().lower() in to_the_end and None in values:
                values[last] = between.join([values[last], *values.pop(None)])
            yield table.line_num, values
    except csv.Error as error:
        raise csv.Error(f"line {table.line_num}: {error}; is a quote opened and not closed?") from error


def _json_lines(file: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Each line's number, and what it holds or why that cannot be read."""
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                values = error
            yield number, values


def value_of(line: Line, names: Sequence[str]) -> Any:
    """What the first of these names that a line has says; None where it has none."""
    return next((line.values[name] for name in names if name in line.values), None)


def picture_of(line: Line, expected: str) -> str:
    """The name of its picture. `DataError` where it has none."""
    name = next((name for name in PICTURE if line.values.get(name) is not None), None)
    if name is None:
        there = some(line.values, _NAMED)
        raise DataError(
            f"{line.source}: names no picture ({', '.join(PICTURE)}) among {there}; expected {expected}"
        )
    value = line.values[name]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{line.source}: its {name} is {value!r:.80}; expected the name of a file")
    return value.strip()


def split_of(line: Line) -> Split | None:
    """The split that a line says. `DataError` where the word is none."""
    word = value_of(line, SPLIT)
    if word is None or not str(word).strip():
        return None
    if split := split_called(str(word)):
        return split
    raise DataError(f"{line.source}: its split is {word!r:.80}; expected train, val or test")


def places_of(name: str, folders: Sequence[Path]) -> list[str]:
    """Where a picture of this name may be; of a name without the ending of a picture, with each of them."""
    endings = ("",) if name.lower().endswith(EXTENSIONS) else ("", *EXTENSIONS)
    return [f"{folder / name}{ending}" for ending in endings for folder in folders]


def told_as_unread(path: Path, names: Collection[str]) -> None:
    """Log which columns of a file nothing is read of."""
    if names:
        columns = f"the column{'s' if len(names) > 1 else ''} {some(names, _NAMED)}"
        log.warning("data: of %s, nothing is read of %s", path.name, columns)
