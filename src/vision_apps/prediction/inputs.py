"""What a command line asks for: files, webcams, rows of a JSONL file."""

import glob
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from torch import Tensor

from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import DataError
from vision_apps.core.neutral import visible
from vision_apps.core.report import YOURS
from vision_apps.data import images
from vision_apps.data.on_disk import is_hidden, other_files, pictures_below
from vision_apps.data.rows import PICTURE
from vision_apps.data.text import numbered_lines, opened
from vision_apps.prediction import video
from vision_apps.prediction.takes import Takes

WEBCAM = re.compile(r"webcam(?::(\d+))?")
_ID = re.compile(r"id|.*_id|.*[a-z]Id")  # as question_id and imageId; of other names a slip would go unseen
Kind = Literal["picture", "video", "webcam", "words", "rows"]


class Input(NamedTuple):
    """One thing to answer for, or why that is not possible.

    Args:
        name: a path, or the word that named a webcam, or a number where no picture is asked about.
        words: what is said beside the picture.
        rows: the JSONL file that it is a row of.
        ids: by which somebody else knows the row; they stand in its answer as they came.
        image: uint8 [3, H, W], of a picture that is in no file.
    """

    name: str
    kind: Kind
    words: Mapping[str, str] = MappingProxyType({})
    rows: str = ""
    error: str = ""
    ids: Mapping[str, str | int | float] = MappingProxyType({})
    image: Tensor | None = None

    @property
    def is_film(self) -> bool:
        return self.kind in ("video", "webcam")


def find(words: list[str], takes: Takes, given: Mapping[str, str] = MappingProxyType({})) -> list[Input]:
    """The inputs that files, folders (searched below), glob patterns, ``@list.txt`` (one of these a line),
    ``webcam``, ``webcam:1`` and JSONL files name: sorted within a word, and each once, but every row of a
    JSONL file. Where no picture is asked about, no word at all is one input.

    Args:
        takes: by the run.
        given: what is said beside every picture; in a row its own words go before.

    Raises:
        DataError: a word that matches nothing, or something that the run does not take.
        ConfigError: there are videos and OpenCV is not installed.
    """
    if not words and not takes.needed:
        return [Input("0001", "words", given)]
    found = dict.fromkeys(source for word in _listed(words) for source in _matches(word, takes))
    inputs: list[Input] = []
    for path, kind in found:
        if kind == "rows":
            inputs += _rows(Path(path), takes, given)
        elif takes.pictures:
            inputs.append(Input(path, kind, given))
        else:
            raise DataError(f"{path}: this run takes {takes.told()}")
    if any(source.is_film for source in inputs):
        video.require()
    return inputs


def _listed(words: list[str]) -> Iterator[str]:
    for word in words:
        if not word.startswith("@") or Path(word).exists():
            yield word
            continue
        try:
            yield from (line for _, line in numbered_lines(Path(word[1:]), "utf-8"))
        except DataError as error:
            raise DataError(f"{word}: expected a text file with one input a line: {error}") from error


def _matches(word: str, takes: Takes) -> list[tuple[str, Kind]]:
    path = Path(word)
    if path.is_dir():
        known = (*images.EXTENSIONS, *video.EXTENSIONS)
        others: list[str] = []
        paths = sorted(map(Path, pictures_below(path, known, others)))
        if paths and others:
            print(f"left out  {visible(other_files(others), kept='')}")
    elif path.is_file():
        paths = [path]
    elif WEBCAM.fullmatch(word):
        return [(word, "webcam")]
    else:
        paths = sorted({Path(p) for p in _globbed(word) if Path(p).is_file()})
        paths = [path for path in paths if not is_hidden(path.name)]
    if not paths:
        if word.partition("=")[0] in takes.words:
            raise DataError(f"{word} matches no file; did you mean --with {shlex.quote(word)}?")
        if not takes.pictures:
            raise DataError(f"{word}: this run takes {takes.told()}")
        if word == YOURS:
            raise DataError(
                f"{word} stands for a picture or a folder of yours; expected its path in this place"
            )
        what = "has no pictures or videos" if path.is_dir() else "matches no file"
        raise DataError(
            f"{word} {what}: expected a picture ({', '.join(sorted(images.EXTENSIONS))}), a video "
            f"({', '.join(sorted(video.EXTENSIONS))}), a folder, a pattern such as 'photos/*.jpg', a JSONL "
            "file of rows, or webcam"
        )
    if other := [p for p in paths if p.suffix.lower() == ".json"]:
        raise DataError(
            f"{other[0]}: neither a picture nor rows; expected a file that ends in .jsonl, with lines such "
            f"as {takes.row}"
        )
    return [(str(p), "rows" if p.suffix.lower() == ".jsonl" else _kind(p)) for p in paths]


def _globbed(pattern: str) -> Iterator[str]:
    """What a pattern matches, each folder below a ``**`` once: links that lead up again have no end."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    place = parts.index("**")
    seen: set[str] = set()
    for start in glob.iglob(os.path.join(*parts[:place])) if place else (os.curdir,):
        for folder, below, _ in os.walk(start, followlinks=True):
            fresh = os.path.realpath(folder) not in seen
            seen.add(os.path.realpath(folder))
            below[:] = sorted(name for name in below if fresh and not is_hidden(name))
            if fresh:
                inside = os.path.join(glob.escape(os.path.normpath(folder)), *parts[place + 1 :] or ("*",))
                yield from _globbed(inside)


def _kind(path: Path) -> Kind:
    return "video" if path.suffix.lower() in video.EXTENSIONS else "picture"


def _rows(path: Path, takes: Takes, given: Mapping[str, str]) -> list[Input]:
    """One input for each line that is not blank."""
    with opened(path, "utf-8", errors="surrogateescape") as file:  # what is no text is told with its line
        lines = file.read().split("\n")
    rows = [_row(path, n, line.strip(), takes, given) for n, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataError(f"{path} has no rows: expected lines such as {takes.row}")
    return rows


def _row(path: Path, number: int, line: str, takes: Takes, given: Mapping[str, str]) -> Input:
    known = ["file"] * takes.pictures + list(takes.words)
    problem, picture = "", ""
    ids: dict[str, str | int | float] = {}
    try:
        row = json.loads(line.encode(errors="surrogateescape"))
        json.dumps(row, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, RecursionError) as error:
        problem = f"no JSON ({error})"
    else:
        if not isinstance(row, dict):
            problem = f"{json.dumps(row)[:80]} is no object"
        else:
            picture = _picture(row, takes)
            ids = {name: row[name] for name in row if _ID.fullmatch(name) and name not in (picture, *known)}
            unknown = [name for name in row if name not in (picture, *known, *ids)]
            if unknown:
                problem = f"{unknown[0]!r} is not taken{nearest(unknown[0], known)}"
            elif _lacks_picture(row.get(picture), takes):
                problem = f"{picture!r} is no path"
            elif strange := [name for name, value in ids.items() if not isinstance(value, str | int | float)]:
                problem = f"{strange[0]!r} is neither text nor a number"
    if problem:
        error_text = f"line {number}: {problem}; expected a row such as {takes.row}"
        return Input(str(path), "rows", rows=str(path), error=error_text)
    said = {name: as_text(row[name]) for name in row if name in takes.words and row[name] is not None}
    words = {**given, **said}
    if not picture or row.get(picture) is None:
        return Input(f"{number:04}", "words", words, str(path), ids=ids)
    name = row[picture]
    for place in (path.parent / name, path.parent / "images" / name, Path(name)):
        if os.path.isfile(place):
            return Input(str(place), _kind(place), words, str(path), ids=ids)
    missing = f"line {number} of {path}: no such file, neither in {path.parent}, its images/ nor here"
    return Input(name, "picture", words, str(path), f"{missing}; expected a picture or a video", ids)


def _lacks_picture(value: object, takes: Takes) -> bool:
    return takes.pictures and not isinstance(value, str) and (takes.needed or value is not None)


def _picture(row: Mapping[str, object], takes: Takes) -> str:
    """What the picture of a row is called there: ``file``, or as in rows that are learned from; nothing where
    none is taken."""
    names = [name for name in ("file", *PICTURE) if name not in takes.words]
    found = next((name for name in names if row.get(name) is not None), "file")
    return found if takes.pictures else ""


def as_text(value: object) -> str:
    """A word as a user types it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
