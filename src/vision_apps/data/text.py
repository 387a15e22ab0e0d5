"""Text files of the user's own, in whatever encoding programs write: UTF-8 and UTF-16 are told by their mark
or their zeros; any other has to be said."""

import codecs
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vision_apps.core.errors import ConfigError, DataError

_MARKS = {  # the longer ones first: that of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@contextmanager
def opened(path: str | Path, encoding: str | None = None, errors: str = "strict") -> Iterator[TextIO]:
    """A file as text, its ends of lines as they are. `DataError` where it cannot be read, or is not in the
    encoding that its mark, ``encoding`` or else UTF-8 says.

    Args:
        encoding: of files without a mark; None where it can be said with ``data.encoding`` and was not.
        errors: what bytes become that are no text, as for ``open``.
    """
    known, told = encoding or "utf-8", None
    try:
        told = _told_by_itself(path)
        known = told or known
        with open(path, encoding=known, newline="", errors=errors) as file:
            yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeError as error:
        hint = "" if encoding or told else ", or say what it is, for instance data.encoding=latin-1"
        raise DataError(f"{path}: expected {known.upper()} text: {error}; save it as UTF-8{hint}") from error


def numbered_lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1. `DataError` as for `opened`."""
    with opened(path, encoding) as file:
        text = file.read()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def require_encoding(name: str | None) -> None:
    """`ConfigError` where Python knows no encoding of this name."""
    try:
        codecs.lookup(name or "utf-8")
    except LookupError:
        raise ConfigError(
            f"data.encoding: {name}; expected the name of one, such as latin-1, cp1252 or shift_jis"
        ) from None


def read_bytes(path: Path) -> bytes:
    """`OSError` where it cannot be read, or is no plain file: a pipe would be waited for."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    return path.read_bytes()


def _told_by_itself(path: str | Path) -> str | None:
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "is no plain file")
    with open(path, "rb") as file:
        start = file.read(4)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    if start[1:2] == b"\0":  # letters of Europe's languages, two bytes each
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" else None
