"""Boxes in CSV files: ``filename,x0,y0,x1,y1,class`` in pixels, y down, one object a line."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation, label_of
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, fake_pictures
from vision_apps.data.named_splits import SPLIT_NAMES
from vision_apps.data.rows import files_below
from vision_apps.data.text import opened

_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_FILE, _CLASS = ("filename", "file", "image", "path", "image_path"), ("class", "label", "name")


class Row(NamedTuple):
    """A line: an object, or a picture without objects where the class is empty."""

    filename: str
    box: tuple[float, ...]
    name: str
    source: str


class BoxCsv(BoxData):
    """Boxes in CSV files of ``root`` or ``root/annotations``, and pictures in ``root/images``.

    ``train.csv``, ``val.csv`` (or ``valid``, ``validation``) and ``test.csv`` are the splits; where there is
    no ``train.csv``, all files are read and splits held out of them. A heading is read where there is one.
    ``filename,,,,,`` is a picture without objects. Pictures are looked for in ``images``, and there also in
    folders called as the CSV file or the class.

    Args:
        csv: one file, below ``root``; by default all that are there.
        images: folder of the pictures, below ``root``.
        classes: names in the order of their numbers; by default those in the files, sorted.
    """

    title = "boxes in CSV files"
    layout = (
        "root/annotations/*.csv (or root/*.csv) with lines 'filename,x0,y0,x1,y1,class' and root/images/, "
        "where train.csv, val.csv and test.csv are splits"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the file: data.csv=my.csv"

    def __init__(
        self,
        root: str,
        *,
        csv: str | None = None,
        images: str = "images",
        classes: Sequence[str] | None = None,
        **boxes: Any,
    ) -> None:
        super().__init__(root, **boxes)
        self.csv = csv
        self.images = self.root / images
        self.classes = list(classes) if classes is not None else None

    def files(self) -> dict[Split, list[Path]]:
        """The CSV files of each split that has some."""
        if self.csv is not None:
            if not (self.root / self.csv).is_file():
                raise self.problem(f"data.csv: there is no file {(self.root / self.csv).absolute()}")
            return {"train": [self.root / self.csv]}
        for folder in (self.root / "annotations", self.root):
            files = files_below(folder, (".csv",))
            found = {
                split: [files[name] for name in names if name in files]
                for split, names in SPLIT_NAMES.items()
            }
            if found["train"]:
                return {split: own for split, own in found.items() if own}
            if files:
                return {"train": list(files.values())}
        raise self.problem("there is no CSV file")

    def read(self) -> Annotated:
        rows = {
            split: [
                (row, self._picture(row, file)) for file in files for row in read_csv(file, self.encoding)
            ]
            for split, files in self.files().items()
        }
        everything = [row for own in rows.values() for row, _ in own]
        names = self.classes or sorted({row.name for row in everything if row.name})
        splits: dict[Split, list[Annotation]] = {}
        for split, own in rows.items():
            of_picture: dict[str, list[tuple[Row, Path]]] = {}
            for row, path in own:
                of_picture.setdefault(os.path.realpath(path), []).append((row, path))  # however it is spelled
            splits[split] = [
                _joined(str(found[0][1]), [row for row, _ in found], names) for found in of_picture.values()
            ]
        return Annotated(names, splits)

    def _picture(self, row: Row, file: Path) -> Path:
        places = [self.images, self.images / file.stem, self.images / row.name, self.root]
        paths = [place / row.filename for place in places]
        found = (path for path in map(self.disk.find, paths) if path and os.path.isfile(path))
        return Path(next(found, paths[0]))

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """A file for each class of the first object, with pictures in folders of that name."""
        (root / "annotations").mkdir(parents=True)
        lines: dict[str, list[str]] = {}
        for number, picture in enumerate(fake_pictures(24, size, seed=0)):
            folder = CLASS_NAMES[picture.labels[0] if picture.labels else 0]
            name = f"image_{number:04d}.jpg"
            (root / "images" / folder).mkdir(parents=True, exist_ok=True)
            picture.image.save(root / "images" / folder / name)
            rows = [
                f"{name},{x1:.2f},{y1:.2f},{x2:.2f},{y2:.2f},{CLASS_NAMES[label]}\n"
                for (x1, y1, x2, y2), label in zip(picture.boxes, picture.labels, strict=True)
            ]
            lines.setdefault(folder, []).extend(rows or [f"{name},,,,,\n"])
        for folder, own in lines.items():
            (root / "annotations" / f"{folder}.csv").write_text("".join(own), encoding="utf-8")
        return {"root": str(root), "image_size": size}


def _joined(path: str, rows: Sequence[Row], names: Sequence[str]) -> Annotation:
    objects = [row for row in rows if row.name]
    return annotation(
        path,
        (0, 0),
        [row.box for row in objects],
        [label_of(row.name, names, row.source) for row in objects],
        image_id=rows[0].filename,
        source=rows[0].source,
    )


def read_csv(file: Path, encoding: str | None = None) -> Iterator[Row]:
    """The lines of a file, with its heading understood where it has one. `DataError`, which names the line,
    where one is none."""
    try:
        with opened(file, encoding) as lines:
            rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if any(row)]
    except (OSError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV: {error}") from error
    columns = list(range(6))  # of filename, the corners, and class
    if rows and (headed := _columns([text.strip().lower() for text in rows[0][1]])):
        columns = headed
        rows = rows[1:]
    for number, row in rows:
        source = f"{file}, line {number}"
        if len(row) <= max(columns):
            raise DataError(f"{source}: expected 'filename,x0,y0,x1,y1,class', found {','.join(row)!r}")
        filename, *corners, name = (row[column].strip() for column in columns)
        if not filename:
            raise DataError(f"{source}: there is no filename")
        if not name and not any(corners):
            yield Row(filename, (), "", source)
            continue
        try:
            box = tuple(float(corner) for corner in corners)
        except ValueError:
            raise DataError(f"{source}: expected numbers as corners, found {','.join(corners)!r}") from None
        if not name:
            raise DataError(f"{source}: the box has no class")
        yield Row(filename, box, alike(name), source)


def _columns(heading: Sequence[str]) -> list[int] | None:
    """Where filename, the corners and the class stand; None if it is no heading."""
    file = next((name for name in _FILE if name in heading), None)
    corners = next((names for names in _CORNERS if set(names) <= set(heading)), None)
    name = next((name for name in _CLASS if name in heading), None)
    if file is None or corners is None or name is None:
        return None
    return [heading.index(column) for column in (file, *corners, name)]
