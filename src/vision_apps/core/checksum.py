"""A checksum that a file carries where its format lets it, so that one wrong bit is noticed before anything
of the file is used.

It tells accidents, not ill will: whoever can write the file can write the sum. Readers that do not know it
pass over it: it is the comment of a ZIP archive (checkpoints, ``.pt2``), an entry in the metadata of ONNX and
of safetensors.
"""

import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

KEY = "vision_apps.crc32"
BLANK = "00000000"  # until the file is whole
_COMMENT = f"{KEY}={BLANK}".encode()
_AT_END = re.compile(KEY.replace(".", r"\.").encode() + rb"(?:=|\x12\x08)([0-9a-f]{8})\Z")
_IN_HEADER = re.compile(rb'"' + KEY.replace(".", r"\.").encode() + rb'"\s*:\s*"([0-9a-f]{8})"')
_PIECE = 1 << 20  # bytes that are read at once
_LONGEST_HEADER = 100_000_000  # bytes; safetensors refuses longer ones
_OTHER = "it does not have its checksum"
_ARCHIVE = b"PK\x03\x04"  # by which torch knows one


def seal(file: BinaryIO) -> None:
    """Write the sum of a file, open to read and write, into the place that was left `BLANK` for it."""
    place = _place(file)
    assert place is not None
    total = _total(file, place)
    file.seek(place)
    file.write(f"{total:08x}".encode())
    file.flush()


def seal_archive(file: BinaryIO) -> None:
    """The same for a ZIP archive without a comment."""
    file.seek(-2, os.SEEK_END)  # the length of the comment
    file.write(len(_COMMENT).to_bytes(2, "little") + _COMMENT)
    seal(file)


def problem(path: Path) -> str | None:
    """What is wrong with a file's bytes, None where nothing is known to be: it does not have the sum that it
    says, or that an archive without one says of each of its members, or an archive that is not stored plainly
    and would unpack to more than it is. `OSError` where it cannot be read."""
    with open(path, "rb") as file:
        place = _place(file)
        if place is not None and f"{_total(file, place):08x}" != _read(file, place, len(BLANK)).decode():
            return _OTHER
        if _read(file, 0, len(_ARCHIVE)) == _ARCHIVE:
            return _of_archive(file, summed=place is not None)
    return None


def _of_archive(file: BinaryIO, summed: bool) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            plain = all(one.compress_type == zipfile.ZIP_STORED for one in members)
            if not plain or sum(one.file_size for one in members) > _size(file):
                return "it is packed, which torch never does, and could unpack to any size"
            if not summed and (archive.comment or archive.testzip() is not None):
                return _OTHER
    except Exception:  # noqa: BLE001 - noise makes the reader fail in more ways than it documents
        return "it is no whole archive"
    return None


def _place(file: BinaryIO) -> int | None:
    """Where the sum stands in the file, None where it has none."""
    size = _size(file)
    start = max(0, size - 2 * len(_COMMENT))
    if found := _AT_END.search(_read(file, start, size)):
        return start + found.start(1)
    length = int.from_bytes(_read(file, 0, 8), "little")
    if length <= min(size, _LONGEST_HEADER) and (found := _IN_HEADER.search(_read(file, 8, length))):
        return 8 + found.start(1)
    return None


def _total(file: BinaryIO, place: int) -> int:
    """The sum of all bytes, those at the place of the sum taken for `BLANK`."""
    total, left = 0, place
    file.seek(0)
    while left:
        piece = file.read(min(left, _PIECE))
        total, left = zlib.crc32(piece, total), left - len(piece)
    total = zlib.crc32(BLANK.encode(), total)
    file.seek(place + len(BLANK))
    while piece := file.read(_PIECE):
        total = zlib.crc32(piece, total)
    return total


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
