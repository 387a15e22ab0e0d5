"""The user's own captions: a CSV file or JSON lines, ``image`` and ``caption``."""

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.captions.data import CaptionData, Captioned
from vision_apps.data.captions.fakes import fake_pictures
from vision_apps.data.named_splits import SPLIT_NAMES, split_files
from vision_apps.data.on_disk import is_hidden
from vision_apps.data.rows import (
    PICTURE,
    SPLIT,
    Line,
    files_below,
    lines_of,
    picture_of,
    places_of,
    split_of,
    told_as_unread,
)

log = logging.getLogger(__name__)

_CAPTION = ("caption", "captions", "text", "sentence", "description", "comment")
_SUFFIXES = (".csv", ".jsonl", ".txt")
_LISTS = ("captions", "metadata", "annotations")  # what one file of all splits is called, without a suffix
_EXAMPLE = (
    "a heading such as 'image,caption' and lines such as 'a.jpg,a cat', a caption with a comma in quotes or "
    'in the last column; or JSON lines such as {"image": "a.jpg", "caption": "a cat"}'
)


class CaptionTableFiles(CaptionData):
    """Captions in CSV files (.csv or .txt: ``image,caption``, a caption a line) or JSON lines
    (``{"image": ..., "caption": ...}``, or ``"captions"`` with several), and pictures in ``root/images``
    or ``root``.

    ``train``, ``val`` (or ``valid``, ``validation``) and ``test`` are files of their own, or one file has all
    and may say a ``split``; those that nothing gives are held out.

    Args:
        file: one file, below ``root``; by default those that are there.
        images: folder of the pictures, below ``root``.
    """

    title = "captions"
    layout = (
        "root/captions.csv (or train.csv, val.csv, test.csv) with a heading and lines 'image,caption', or "
        'captions.jsonl with lines \'{"image": "a.jpg", "caption": "..."}\'; and root/images/'
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the file: data.file=my.csv"

    def __init__(
        self, root: str, *, file: str | None = None, images: str = "images", **captions: Any
    ) -> None:
        super().__init__(root, **captions)
        self.file = file
        self.images = self.root / images

    def files(self) -> dict[Split | None, Path]:
        """The file of each split; one file for no split in particular."""
        if self.file is not None:
            if not (self.root / self.file).is_file():
                raise self.problem(f"data.file: there is no file {(self.root / self.file).absolute()}")
            return {None: self.root / self.file}
        there = files_below(self.root, _SUFFIXES)
        if splits := split_files(there):
            return self._all_but_told(splits)
        if whole := next((there[name] for name in _LISTS if name in there), None):
            return self._all_but_told({None: whole})
        if len(there) == 1:
            return {None: next(iter(there.values()))}
        named = ", ".join(path.name for path in there.values())
        raise self.problem(f"which file is it of {named}?" if there else "there is no CSV file or JSON lines")

    def _all_but_told(self, chosen: dict[Split | None, Path]) -> dict[Split | None, Path]:
        """What is chosen; other files that are called as captions are have been told to stay unread."""
        called = {*_LISTS, *(name for names in SPLIT_NAMES.values() for name in names)}
        there = (path for path in sorted(self.root.iterdir()) if not is_hidden(path.name))
        alike = (path for path in there if path.stem.lower() in called)
        read = ", ".join(path.name for path in chosen.values())
        for path in alike:
            if path.suffix.lower() in _SUFFIXES and path not in chosen.values():
                log.warning(
                    "data: %s is not read, %s is; data.file=%s reads it instead", path.name, read, path.name
                )
        return chosen

    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        found: dict[Split, list[Captioned]] = {}
        for of_file, path in self.files().items():
            if of_file:
                found[of_file] = []  # a file without lines gives its split, too
            left: dict[str, None] = {}  # names of which nothing is read, in their order
            for line in lines_of(path, _EXAMPLE, to_the_end=_CAPTION, encoding=self.encoding):
                split = split_of(line)
                if of_file and split and split != of_file:
                    raise DataError(f"{line.source}: its split is {split}, in the file of {of_file}")
                own = of_file or split or "train"
                places = places_of(picture_of(line, _EXAMPLE), (self.images, self.root, self.images / own))
                name, captions = _captions(line)
                left |= dict.fromkeys(line.values.keys() - {name, *PICTURE, *SPLIT})
                found.setdefault(own, []).append(Captioned(tuple(places), captions, line.source))
            told_as_unread(path, sorted(left))
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        captions = fake_pictures(root / "images", [f"{number:03d}.png" for number in range(24)], size, 0)
        with open(root / "captions.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["image", "caption"])
            lines.writerows((name, text) for name, own in captions.items() for text in own)
        return {"root": str(root), "image_size": size}


def _captions(line: Line) -> tuple[str, tuple[str, ...]]:
    """What the captions of a line are called there, and their texts. `DataError` where it has none."""
    name = next((name for name in _CAPTION if name in line.values), None)
    if name is None:
        raise DataError(f"{line.source}: says no caption ({', '.join(_CAPTION)}); expected {_EXAMPLE}")
    given = line.values[name]
    texts = given if isinstance(given, list) else [given or ""]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{line.source}: its caption is {given!r:.80}; expected text, or a list of texts")
    return name, tuple(texts)
