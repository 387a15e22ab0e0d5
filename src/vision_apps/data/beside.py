"""What lies beside the pictures of a data set and is not used."""

import os
from collections.abc import Collection, Iterable, Iterator

from vision_apps.core.errors import some
from vision_apps.data.images import EXTENSIONS
from vision_apps.data.on_disk import entries, other_files

_NAMED = 3  # pictures in a line
_OF_LABELS = (".json", ".jsonl", ".csv", ".txt", ".xml", ".yaml", ".yml", ".data", ".names")


def unused(known: Iterable[str], told: Collection[str]) -> Iterator[str]:
    """A line for pictures that are in no list, and one for files that are no pictures, in the folders of
    those that are known.

    Args:
        known: pictures that the data set names.
        told: files that have been counted before.
    """
    names = set(map(os.path.normpath, (*known, *told)))
    folders = sorted({os.path.dirname(path) for path in names})
    there = [entry for folder in folders if os.path.isdir(folder) for entry in entries(folder)]
    left = [entry.path for entry in there if entry.is_file() and os.path.normpath(entry.path) not in names]
    if pictures := sorted(path for path in left if path.lower().endswith(EXTENSIONS)):
        listed = some(pictures, _NAMED)
        yield f"pictures: {len(pictures)} lie beside those that are used and are in no list: {listed}"
    if others := [path for path in left if not path.lower().endswith((*EXTENSIONS, *_OF_LABELS))]:
        yield f"files: left out {other_files(others)}"
