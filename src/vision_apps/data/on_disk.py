"""What lies in folders: by names that another system, or another program, may have spelled otherwise."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.images import EXTENSIONS

Identity = tuple[int, int]  # device and number of a folder
_LEFT_THERE = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
    *("@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__"),
)
_ENDINGS = 5  # in a text
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class OnDisk:
    """Finds files and folders by names that were written down elsewhere. Each folder is listed once."""

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self._alike: dict[str, dict[str, list[str]]] = {}

    def find(self, path: str | Path) -> str | None:
        """The path itself where it is there; otherwise that of the only entry, in each of its folders, whose
        name differs in nothing but how accents are spelled, or in capitals: Windows and macOS, where it was
        written down, take them for the same. A backslash separates folders where it is in no name. None where
        there is no such entry, or several."""
        text = os.fspath(path)
        return self._find(text) or (self._find(text.replace("\\", "/")) if "\\" in text else None)

    def _find(self, path: str) -> str | None:
        folder, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir):  # empty: the root, or a path that ends in a separator
            return path if os.path.isdir(path) else None
        where: str | None = folder
        if not self._listed(folder) and folder:
            where = self._find(folder)
        if where is None:
            return None
        if name in self._listed(where):
            return os.path.join(where, name)
        for key in (alike, _loose):
            found = [own for own in self._like(where).get(_loose(name), ()) if key(own) == key(name)]
            if found:
                return os.path.join(where, found[0]) if len(found) == 1 else None
        return None

    def _listed(self, folder: str) -> frozenset[str]:
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder or os.curdir))
            except OSError:
                self._names[folder] = frozenset()
        return self._names[folder]

    def _like(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._alike:
            self._alike[folder] = {}
            for name in self._listed(folder):
                self._alike[folder].setdefault(_loose(name), []).append(name)
        return self._alike[folder]


def _loose(name: str) -> str:
    return alike(alike(name).casefold())


def pictures_below(
    folder: str | Path, extensions: Sequence[str] = EXTENSIONS, others: list[str] | None = None
) -> Iterator[str]:
    """Paths of all files with these extensions, in no particular order; nothing where there is no such
    folder. Hidden files and folders are left out; links to folders are followed, but not to one that they are
    in. `DataError` where a folder cannot be read, or a link leads nowhere.

    Args:
        others: is given the paths of all files with other extensions.
    """
    if os.path.isdir(folder):
        yield from _below(os.fspath(folder), tuple(extensions), frozenset(), [] if others is None else others)


def other_files(paths: Sequence[str]) -> str:
    """How many files are not read, with their endings and an example, for a text."""
    endings = Counter(os.path.splitext(path)[1].lower() or "no ending" for path in paths)
    count = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    listed = some([f"{ending} {number}" for ending, number in endings.most_common()], _ENDINGS)
    return f"{count} that are no pictures ({listed}), such as {min(paths)}"


def _below(
    folder: str, extensions: tuple[str, ...], above: frozenset[Identity], others: list[str]
) -> Iterator[str]:
    found = os.stat(folder)
    own = (found.st_dev, found.st_ino)
    if own in above:
        return
    for entry in entries(folder):
        if entry.is_dir():
            yield from _below(entry.path, extensions, above | {own}, others)
        elif entry.name.lower().endswith(extensions):
            yield entry.path
        else:
            others.append(entry.path)


def subfolders(folder: str | Path) -> list[str]:
    """Names of the folders in it, sorted; hidden ones are left out. `DataError` as for `pictures_below`."""
    return sorted(entry.name for entry in entries(folder) if entry.is_dir())


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden. `DataError` where it cannot be read, or holds a link that leads
    nowhere and has a folder's name: what it stands for would be missing without a word."""
    try:
        with os.scandir(folder) as listed:
            found = [entry for entry in listed if not is_hidden(entry.name)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    for entry in found:
        if entry.is_symlink() and not os.path.splitext(entry.name)[1] and not os.path.exists(entry.path):
            raise DataError(
                f"{entry.path}: is a link to {os.readlink(entry.path)}, where nothing is; bring what it "
                "stands for, or remove it"
            )
    return found


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or left there by a file manager, a storage device or a notebook."""
    return name.startswith((".", "~$")) or name.lower() in _LEFT_THERE


def read_only(folder: Path) -> Path | None:
    """The folder itself, or where it is not there the nearest one above it, if it is marked read-only for
    everybody: to the administrator, whom containers often run as, the system itself would not refuse it."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return None if place.stat().st_mode & _WRITE else place
