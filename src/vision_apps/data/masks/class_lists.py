"""Text files that say which classes masks have: one of one's own, or what a tool exports beside them."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.errors import DataError
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.text import numbered_lines, opened

_NUMBERED = re.compile(r"(\d+)[\s,:]+(?=\D)")


class Classes(NamedTuple):
    """Names in order of their class, and their colours (r, g, b in 0..255) where the file has them."""

    names: list[str]
    colors: list[list[int]] | None


def read_classes(path: Path, encoding: str | None = None) -> Classes:
    """A class on each line: ``name``, ``3 name`` or ``name 128 64 0``, separated by spaces or commas.
    `DataError`, which names the line, where a number in front is not the line's class, only some classes have
    a colour, or a colour is out of range."""
    names: list[str] = []
    colors: list[list[int]] = []
    for number, line in numbered_lines(path, encoding):
        words = re.split(r"[\s,]+", line)
        name, color = line, list[int]()
        if len(words) > 3 and all(word.isdecimal() for word in words[-3:]):
            name, color = " ".join(words[:-3]), [int(word) for word in words[-3:]]
        if (numbered := _NUMBERED.match(name)) is not None:
            if int(numbered[1]) != len(names):
                raise DataError(
                    f"{path}, line {number}: expected class {len(names)} here, found {line!r}; "
                    "classes are numbered from 0 without gaps"
                )
            name = name[numbered.end() :]
        if color and max(color) > 255:
            raise DataError(f"{path}, line {number}: expected a colour of 0 to 255, found {line!r}")
        names.append(name)
        colors.append(color)
    if any(colors) and not all(colors):
        raise DataError(f"{path}: the class {names[colors.index([])]!r} has no colour and others have")
    return Classes(names, colors if any(colors) else None)


def read_label_map(path: Path, encoding: str | None = None) -> Classes:
    """CVAT's ``labelmap.txt``: a class on each line, ``name:r,g,b:parts:actions``. `DataError`, which names
    the line, where one is no such."""
    names: list[str] = []
    colors: list[list[int]] = []
    for number, line in numbered_lines(path, encoding):
        if line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        levels = rest.partition(":")[0].split(",")
        if not all(level.strip().isdecimal() and int(level) <= 255 for level in levels) or len(levels) != 3:
            raise DataError(f"{path}, line {number}: expected 'name:r,g,b:parts:actions', found {line!r}")
        names.append(name.strip())
        colors.append([int(level) for level in levels])
    return Classes(names, colors)


def read_pixel_values(path: Path, encoding: str | None = None) -> Classes:
    """Roboflow's ``_classes.csv``: a number and a name on each line below the heading. `DataError`, which
    names the line, where the numbers do not go from 0 without gaps."""
    names: list[str] = []
    with opened(path, encoding) as file:
        for number, row in enumerate(csv.reader(file, skipinitialspace=True), 1):
            words = [word.strip() for word in row]
            if number == 1 and words and not words[0].isdecimal():
                continue
            if not any(words):
                continue
            if len(words) != 2 or words[0] != str(len(names)) or not words[1]:
                raise DataError(
                    f"{path}, line {number}: expected '{len(names)}, name', found {','.join(row)!r}; the "
                    "numbers of the masks go from 0 without gaps"
                )
            names.append(words[1])
    return Classes(names, None)


CLASS_FILES = {
    "classes.txt": read_classes,
    "labelmap.txt": read_label_map,
    "_classes.csv": read_pixel_values,
}


def classes_beside(folders: Sequence[Path], encoding: str | None = None) -> Classes | None:
    """The classes that a file in one of the folders says; None where none does. `DataError` where such files
    of two folders say different things: Roboflow gives each split its own."""
    disk = OnDisk()
    for name, read in CLASS_FILES.items():
        there = [Path(path) for folder in folders if (path := disk.find(folder / name)) is not None]
        if not there:
            continue
        first, *others = (read(file, encoding) for file in there)
        for file, found in zip(there[1:], others, strict=True):
            if found != first:
                raise DataError(
                    f"{file} and {there[0]} say different classes: {', '.join(found.names)} and "
                    f"{', '.join(first.names)}; make them one, or name the classes: data.class_names=[...]"
                )
        return first
    return None
