"""The user's own captions: a CSV file or JSON lines, ``image`` and ``caption``."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.captions.data import CaptionData, Captioned
from vision_apps.data.captions.fakes import fake_pictures
from vision_apps.data.files import SPLIT_NAMES, numbered_lines, split_files

_FILE = ("image", "filename", "file", "file_name", "path", "image_path", "image_id")
_CAPTION = ("caption", "captions", "text", "sentence", "description", "comment")
_SPLIT = ("split", "subset", "set")
_KEYS = (_FILE, _CAPTION, _SPLIT)
_SUFFIXES = (".csv", ".jsonl", ".txt")
_LISTS = ("captions", "metadata", "annotations")  # what one file of all splits is called, without a suffix


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
        there = self._there()
        if splits := split_files(there):
            return splits
        if whole := next((there[name] for name in _LISTS if name in there), None):
            return {None: whole}
        if len(there) == 1:
            return {None: next(iter(there.values()))}
        named = ", ".join(path.name for path in there.values())
        raise self.problem(f"which file is it of {named}?" if there else "there is no CSV file or JSON lines")

    def _there(self) -> dict[str, Path]:
        """Files by their names without a suffix; of two the first of `_SUFFIXES`."""
        found = [path for path in sorted(self.root.iterdir()) if path.suffix.lower() in _SUFFIXES]
        found.sort(key=lambda path: _SUFFIXES.index(path.suffix.lower()), reverse=True)
        return {path.stem.lower(): path for path in found}

    def read(self) -> Mapping[Split, Sequence[Captioned]]:
        found: dict[Split, list[Captioned]] = {}
        for of_file, path in self.files().items():
            for name, captions, split, source in read_table(path):
                if of_file and split and split != of_file:
                    raise DataError(f"{source}: its split is {split}, in the file of {of_file}")
                own = of_file or split or "train"
                places = tuple(str(place / name) for place in (self.images, self.root, self.images / own))
                found.setdefault(own, []).append(Captioned(places, captions, source))
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        captions = fake_pictures(root / "images", [f"{number:03d}.png" for number in range(24)], size, 0)
        with open(root / "captions.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["image", "caption"])
            lines.writerows((name, text) for name, own in captions.items() for text in own)
        return {"root": str(root), "image_size": size}


def read_table(file: Path) -> Iterator[tuple[str, tuple[str, ...], Split | None, str]]:
    """Of each line the picture, its captions, its split if it says one, and where it stands. `DataError`,
    which names the line, where one is none."""
    entries = _json_lines(file) if file.suffix.lower() == ".jsonl" else _csv_lines(file)
    for number, entry in entries:
        source = f"{file}, line {number}"
        known = {str(key).strip().lower(): value for key, value in entry.items() if key is not None}
        name, caption, split = (next((known[key] for key in keys if key in known), None) for keys in _KEYS)
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{source}: there is no picture; expected one of {', '.join(_FILE)}")
        given = caption if isinstance(caption, list) else [caption or ""]
        captions = tuple(text for text in given if isinstance(text, str))
        if len(captions) < len(given):
            raise DataError(f"{source}: its caption is {caption!r}; expected text, or a list of texts")
        yield name.strip(), captions, _split(split, source), source


def _split(value: object, source: str) -> Split | None:
    if value is None or not str(value).strip():
        return None
    word = str(value).strip().lower()
    for split, names in SPLIT_NAMES.items():
        if word in names:
            return split
    raise DataError(f"{source}: its split is {value!r}; expected train, val or test")


def _csv_lines(file: Path) -> Iterator[tuple[int, Mapping[str | None, object]]]:
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            heading = list(reader.fieldnames or ())
            names = [name.strip().lower() for name in heading]
            if not {*names} & {*_FILE} or not {*names} & {*_CAPTION}:
                raise DataError(
                    f"{file}: its heading is {', '.join(heading) or 'empty'}; expected a "
                    f"column of pictures ({', '.join(_FILE)}) and one of captions ({', '.join(_CAPTION)})"
                )
            for row in reader:
                more = row.pop(None, None)  # what stands past the heading
                if more and names[-1] not in _CAPTION:
                    raise DataError(
                        f"{file}, line {reader.line_num}: has more columns than the heading; a caption with "
                        "a comma stands in quotes, or in the last column"
                    )
                if more:
                    row[heading[-1]] = ",".join([row[heading[-1]], *more])
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV: {error}") from error


def _json_lines(file: Path) -> Iterator[tuple[int, Mapping[str | None, object]]]:
    for number, line in numbered_lines(file):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}, line {number}: cannot be read as JSON: {error}") from error
        if not isinstance(entry, dict):
            raise DataError(f"{file}, line {number}: expected an object with 'image' and 'caption'")
        yield number, entry
