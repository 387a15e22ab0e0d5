"""CSV files that say which classes each picture has: labels side by side, or a column for each class."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.config.suggest import nearest
from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.named_splits import split_called
from vision_apps.data.rows import DELIMITERS, told_as_unread
from vision_apps.data.text import opened

FILE_COLUMNS = (
    *("filename", "file", "file_name", "image", "image_name", "image_id", "image index", "path"),
    *("image_path", "filepath", "img", "id"),
)
LABEL_COLUMNS = ("labels", "label", "tags", "classes", "class", "finding labels", "target")
SPLIT_COLUMNS = ("split", "set", "subset")
SEPARATORS = (";", "|", ",")
_TRUTH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_NAMED = 5  # columns in an error


class Columns(NamedTuple):
    """What the columns of a file are, by their numbers."""

    file: int
    split: int | None
    labels: int | None  # of the one with all labels
    classes: dict[str, int]  # where there is none: a column a class
    unread: list[str]  # the names of all others


class Row(NamedTuple):
    """A picture and its classes."""

    filename: str
    split: Split | None
    labels: frozenset[str]
    source: str  # for errors


class Labels(NamedTuple):
    """What several files say together."""

    class_names: list[str]
    rows: dict[Path, list[Row]]  # of each file


class Table(NamedTuple):
    """A file as it stands there."""

    path: Path
    heading: list[str]
    lines: list[tuple[str, list[str]]]  # where a line stands, for errors, and its cells


class Asked(NamedTuple):
    """What a user says of the files; what is none is found."""

    file_column: str | None = None
    label_column: str | None = None
    separator: str | None = None
    classes: Sequence[str] | None = None  # in the order of their numbers


def read_labels(paths: Iterable[Path], asked: Asked, encoding: str | None = None) -> Labels:
    """The files as one: the same classes and the same separator in all of them. `DataError`, which names the
    line, where one cannot be understood, a file names a picture twice, or nothing has a label."""
    tables = [read_table(path, encoding) for path in paths]
    columns = {table.path: _columns(table, asked) for table in tables}
    for table in tables:
        told_as_unread(table.path, columns[table.path].unread)
    given = [alike(name) for name in asked.classes] if asked.classes is not None else None
    if given is not None and len(set(given)) < len(given):
        raise DataError(f"data.classes: {', '.join(given)}: expected each class once")
    in_one = [table for table in tables if columns[table.path].labels is not None]
    separator = asked.separator or _separator(
        (where, line[columns[table.path].labels or 0]) for table in in_one for where, line in table.lines
    )
    rows = {
        table.path: [_row(where, line, columns[table.path], separator) for where, line in table.lines]
        for table in tables
    }
    for own in rows.values():
        _require_once(own)
    found = {name for own in rows.values() for row in own for name in row.labels}
    if not found:
        raise DataError(f"{some(list(rows), 2)}: no picture has a label")
    names = given or [name for kind in columns.values() for name in kind.classes]
    if given is not None and (unknown := found - set(given)):
        row = next(row for own in rows.values() for row in own if row.labels & unknown)
        name = min(row.labels & unknown)
        raise DataError(
            f"{row.source}: {name!r} is not among data.classes{nearest(name, given)}; expected "
            f"{some(given, _NAMED)}"
        )
    return Labels(list(dict.fromkeys(names)) or sorted(found), rows)


def read_table(path: Path, encoding: str | None = None) -> Table:
    """A CSV file; commas, semicolons or tabs stand between its columns, as in its heading. `DataError` where
    it is no text, has no lines, or a line has another number of cells."""
    try:
        with opened(path, encoding) as lines:
            first = lines.readline()
            lines.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            read = [
                (number, row)
                for number, row in enumerate(csv.reader(lines, delimiter=delimiter), 1)
                if any(cell.strip() for cell in row)
            ]
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}") from error
    if len(read) < 2:
        raise DataError(f"{path}: expected a heading and a line for each picture, found {len(read)} lines")
    heading = [alike(cell.strip()) for cell in read[0][1]]
    for number, row in read[1:]:
        if len(row) != len(heading):
            raise DataError(
                f"{path}, line {number}: expected {len(heading)} cells as in the heading, found {len(row)}; "
                f"a cell that holds {delimiter!r} itself stands in quotes"
            )
    cells = [(f"{path}, line {number}", [cell.strip() for cell in row]) for number, row in read[1:]]
    return Table(path, heading, cells)


def _columns(table: Table, asked: Asked) -> Columns:
    named = [name for name in table.heading if name]  # without a name stands the index that pandas writes
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise DataError(f"{table.path}: the heading has {some(twice, _NAMED)} several times")
    lower = {name.lower(): name for name in reversed(named)}

    def column(key: str, given: str | None, usual: Sequence[str]) -> str | None:
        if given is None:
            return next((lower[name] for name in usual if name in lower), None)
        if alike(given) not in named:
            raise DataError(
                f"data.{key}: {table.path} has no column {given!r}{nearest(given, named)}; it has "
                f"{some(named, _NAMED)}"
            )
        return alike(given)

    file = column("file_column", asked.file_column, FILE_COLUMNS)
    if file is None:
        raise DataError(
            f"{table.path}: which column has the pictures' names? The heading is {some(named, _NAMED)}; "
            f"expected one of {', '.join(FILE_COLUMNS)}, or data.file_column=..."
        )
    split = column("", None, SPLIT_COLUMNS)
    labels = column("label_column", asked.label_column, LABEL_COLUMNS)
    classes = [name for name in named if name not in (file, split)] if labels is None else []
    if labels is None and asked.classes is not None:
        classes = [alike(name) for name in asked.classes]
        if missing := [name for name in classes if name not in named]:
            raise DataError(
                f"data.classes: {table.path} has no column {some(missing, _NAMED)}; it has "
                f"{some(named, _NAMED)}"
            )
    if labels is None and not classes:
        raise DataError(
            f"{table.path}: has no labels: expected a column called {', '.join(LABEL_COLUMNS)} (or as "
            "data.label_column says), or one of 0 and 1 for each class. To read another file only: "
            "data.csv=train.csv"
        )
    place, read = table.heading.index, {file, split, labels, *classes}
    return Columns(
        place(file),
        None if split is None else place(split),
        None if labels is None else place(labels),
        {name: place(name) for name in classes},
        [name for name in named if name not in read],
    )


def _separator(cells: Iterable[tuple[str, str]]) -> str:
    """The one that is there. `DataError` where several are, or spaces that may be one."""
    seen: dict[str, tuple[str, str]] = {}
    for where, cell in cells:
        for separator in (*SEPARATORS, " "):
            if separator in cell:
                seen.setdefault(separator, (where, cell))
    found = [separator for separator in SEPARATORS if separator in seen]
    if len(found) > 1:
        (where, cell), (other, more) = (seen[separator] for separator in found[:2])
        raise DataError(
            f"{where}: {cell!r}; {other}: {more!r}: what stands between two labels? Say it: "
            f"data.separator='{found[0]}'"
        )
    if not found and " " in seen:
        where, cell = seen[" "]
        raise DataError(
            f"{where}: is {cell!r} one label, or several? Say what stands between two: data.separator=' ', "
            "or data.separator=';' where this is one"
        )
    return found[0] if found else SEPARATORS[0]


def _row(where: str, line: Sequence[str], columns: Columns, separator: str) -> Row:
    filename = line[columns.file]
    if not filename:
        raise DataError(f"{where}: there is no name of a picture")
    split = None
    if columns.split is not None:
        word = line[columns.split]
        split = split_called(word)
        if split is None:
            raise DataError(
                f"{where}: {word!r} is no split; expected train, val or test in the column of splits"
            )
    if columns.labels is None:
        labels = frozenset(_of_columns(where, line, columns.classes))
    else:
        labels = frozenset(_of_cell(where, line[columns.labels], separator))
    return Row(filename, split, labels, where)


def _of_columns(where: str, line: Sequence[str], classes: Mapping[str, int]) -> Iterator[str]:
    for name, column in classes.items():
        truth = _TRUTH.get(line[column].lower())
        if truth is None:
            raise DataError(
                f"{where}: expected 0 or 1 in the column {name!r}, found {line[column]!r}; where not every "
                "column is a class, name those that are: data.classes=[...]. A column with all labels of a "
                "picture: data.label_column=..."
            )
        if truth:
            yield name


def _of_cell(where: str, cell: str, separator: str) -> Iterator[str]:
    if not cell:
        return  # a picture without labels
    for part in cell.split() if separator == " " else cell.split(separator):
        if not part.strip():
            raise DataError(
                f"{where}: there is a blank label in {cell!r}; expected labels with one {separator!r} "
                "between two, or an empty cell for a picture without any"
            )
        yield alike(part.strip())


def _require_once(rows: Sequence[Row]) -> None:
    seen: dict[str, Row] = {}
    for row in rows:
        first = seen.setdefault(alike(row.filename), row)
        if first is not row:
            raise DataError(twice(row, first))


def twice(row: Row, first: Row) -> str:
    """Of two lines for one picture."""
    line, other = first.source.rpartition(", ")[2], ""
    if alike(first.filename) != alike(row.filename):
        other = f" as {first.filename}"
    return (
        f"{row.source}: {row.filename} stands in {line} already{other}; expected one line a picture, with "
        "all its labels"
    )
