"""Where the parts of a VOC data set lie, and which XML file is of which picture."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.named_splits import SPLIT_NAMES, split_folders
from vision_apps.data.on_disk import OnDisk, pictures_below
from vision_apps.data.pairing import Named
from vision_apps.data.rows import files_below

log = logging.getLogger(__name__)

_PICTURES = ("JPEGImages", "images")
_LISTS = ("ImageSets/Main", "ImageSets")
_BOTH = "trainval"  # the official name of train and val together
_XML = (".xml",)
_NAMED = 3  # files in a warning


class Pair(NamedTuple):
    picture: str  # path
    file: Path | None  # its XML; none: no object is known of it


class Place(NamedTuple):
    """Folders with pictures and XML files, which may be one."""

    pictures: Path
    files: Path


def places(root: Path, annotations: str, images: str | None) -> dict[Split, Place]:
    """Of ``root`` itself, as its training pictures, or of its split folders; nothing where no XML file is in
    any of them."""
    own = {
        split: place
        for split, folder in split_folders(root).items()
        if (place := _place(folder, annotations, images))
    }
    if "train" in own:
        return own
    whole = _place(root, annotations, images)
    return {"train": whole} if whole else {}


def _place(folder: Path, annotations: str, images: str | None) -> Place | None:
    disk = OnDisk()

    def there(name: str) -> Path | None:
        found = disk.find(folder / name)
        return Path(found) if found and os.path.isdir(found) else None

    pictures = next(filter(None, map(there, [images] if images else _PICTURES)), None)
    for files in (there(annotations), pictures, folder):  # labelImg writes beside the pictures
        if files and any(os.path.splitext(name)[1].lower() in _XML for name in os.listdir(files)):
            return Place(pictures or files, files)
        if files and files == there(annotations) and any(pictures_below(files, _XML)):
            return Place(pictures or files, files)
    return None


def lists(root: Path) -> dict[Split, Path]:
    """The list of names of each split that has one."""
    for folder in _LISTS:
        there = files_below(root / folder, (".txt",))
        found = {
            split: there[name]
            for split, names in SPLIT_NAMES.items()
            for name in (*names, *([_BOTH] if split == "train" else []))[::-1]
            if name in there
        }
        if found:
            return found
    return {}


class Pairs:
    """The pictures of a place with their XML files.

    An XML file is of the picture that is called as it is, with or without the picture's extension; where
    there is none, or several, of the one that its ``<filename>`` names.

    Args:
        filename: what an XML file says that its picture is called.
    """

    def __init__(self, place: Place, filename: Callable[[Path], str]) -> None:
        self.place = place
        others: list[str] = []
        self._pictures = sorted(pictures_below(place.pictures, others=others))
        self.others = [path for path in others if not path.lower().endswith(_XML)]
        names = [os.path.relpath(path, place.pictures) for path in self._pictures]
        self._named = Named(names)
        self._filename = filename
        self._files = {
            os.path.relpath(path, place.files): Path(path)
            for path in sorted(pictures_below(place.files, _XML))
        }
        self._written = Named(self._files)

    @cached_property
    def every(self) -> list[Pair]:
        """A pair for each XML file, and for each picture that none is of."""
        found = [Pair(self._picture_of(name, file), file) for name, file in self._files.items()]
        used = {pair.picture for pair in found}
        alone = [path for path in self._pictures if path not in used]
        self._require_unlike(alone, used.intersection(self._pictures))
        return [*found, *(Pair(path, None) for path in alone)]

    @cached_property
    def _by_picture(self) -> dict[str, Pair]:
        return {pair.picture: pair for pair in self.every}

    def of(self, line: str) -> Pair | None:
        """The pair that a line of a list names: by its XML file or its picture, with or without an extension;
        None where there is no such file."""
        # after a name that may have spaces, lists of one class have a column more
        for name in dict.fromkeys((line, line.rpartition(" ")[0].rstrip(), line.split()[0])):
            if len(files := self._written.find(name)) == 1:
                (file,) = files
                return Pair(self._picture_of(file, self._files[file]), self._files[file])
            if len(pictures := self._named.find(name)) == 1:
                (picture,) = pictures
                return self._of_picture(picture)
        return None

    def tell_unlisted(self, listed: Iterable[Pair]) -> None:
        """Count the XML files of pictures that no list names."""
        used = {pair.file for pair in listed}
        if left := [str(path) for path in self._files.values() if path not in used]:
            log.warning(
                "data: %d XML files are of no listed picture, not read: %s", len(left), some(left, _NAMED)
            )

    def _of_picture(self, name: str) -> Pair:
        path = os.path.join(self.place.pictures, name)
        for own in (os.path.splitext(name)[0], name):
            if len(files := self._written.find(own)) == 1:
                return Pair(path, self._files[files[0]])
        # an XML of another name may say that it is its own
        return self._by_picture.get(path, Pair(path, None))

    def _picture_of(self, name: str, file: Path) -> str:
        stem = os.path.splitext(name)[0]
        found = self._named.find(stem)
        if len(found) != 1:
            said = self._filename(file)
            told = self._named.find(said) or self._named.find(os.path.splitext(said)[0]) if said else []
            told = [own for own in told if own in found] if found else told
            if len(told) != 1 and found:
                raise self._same_name(found)
            found = told if len(told) == 1 else [os.path.basename(said.replace("\\", "/")) or f"{stem}.jpg"]
        return os.path.join(self.place.pictures, found[0])

    def _same_name(self, names: Sequence[str]) -> DataError:
        first, second = sorted(names)[:2]
        return DataError(
            f"{self.place.pictures}: {first} and {second} have the same name, and boxes that are called so "
            "can only be of one of them; rename or remove the other"
        )

    def _require_unlike(self, alone: Sequence[str], used: set[str]) -> None:
        """`DataError` where a picture of which nothing is said is called as one of which something is."""
        stems = {os.path.splitext(path)[0]: path for path in used}
        for path in alone:
            if other := stems.get(os.path.splitext(path)[0]):
                raise self._same_name([os.path.relpath(one, self.place.pictures) for one in (path, other)])


def tell(pairs: Sequence[tuple[Pair, str]]) -> None:
    """Say which pictures have no XML file, and which XML files name another picture than the one that they
    are taken for.

    Args:
        pairs: each with the ``<filename>`` of its XML; empty where it has none.
    """
    alone = [pair.picture for pair, _ in pairs if pair.file is None]
    if alone and len(alone) < len(pairs):
        log.warning(
            "data: %d of %d pictures have no XML file and are taken for pictures without objects: %s",
            *(len(alone), len(pairs), some(alone, _NAMED)),
        )
    named = [(pair, os.path.basename(said.replace("\\", "/"))) for pair, said in pairs]
    known = {os.path.basename(pair.picture) for pair, _ in pairs}
    other = [
        f"{pair.file} says {said} and is taken for {os.path.basename(pair.picture)}"
        for pair, said in named
        if said in known and said != os.path.basename(pair.picture)
    ]
    if other:
        log.warning(
            "data: %d XML files name another picture that is there too; their own name is believed: %s",
            *(len(other), some(other, _NAMED)),
        )
