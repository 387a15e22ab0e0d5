"""Open Images V6's visual relationships (Kuznetsova et al. 2020): ``*-annotations-vrd.csv`` and
``*class-descriptions*.csv``.

A line is a relation of two boxes, whose corners are shares of the picture's sides; equal ones are the same
object. Lines with ``is`` give an object an attribute: they relate nothing and are passed over.
"""

import csv
import logging
from pathlib import Path
from typing import Any, NamedTuple

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import DataError
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotation, annotation
from vision_apps.data.relations.annotation import Annotated, OnBadRelation, related
from vision_apps.data.relations.data import RelationData
from vision_apps.data.relations.fakes import CLASS_NAMES, PREDICATE_NAMES, fake_graphs

log = logging.getLogger(__name__)

_FILES: dict[Split, str] = {
    "train": "oidv6-train-annotations-vrd.csv",
    "val": "validation-annotations-vrd.csv",
    "test": "test-annotations-vrd.csv",
}
_FOLDERS: dict[Split, str] = {"train": "train", "val": "validation", "test": "test"}
_NAMES = ("oidv6-class-descriptions.csv", "class-descriptions-boxable.csv", "class-descriptions.csv")
_BOX = ("XMin", "YMin", "XMax", "YMax")
_COLUMNS = (
    *("ImageID", "LabelName1", "LabelName2", "RelationshipLabel"),
    *(f"{corner}{number}" for number in (1, 2) for corner in _BOX),
)
_ATTRIBUTE = "is"


class Row(NamedTuple):
    """A line: two objects, each the id of a class and a box in shares, and what relates them."""

    picture: str
    subject: tuple[str, tuple[float, ...]]
    object: tuple[str, tuple[float, ...]]
    predicate: str


class OpenImages(RelationData):
    """The three splits of Open Images, and of their pictures those that have relations. Classes and
    predicates are those that occur, by their names."""

    title = "Open Images V6 relationships"
    layout = (
        "root/oidv6-train-annotations-vrd.csv, root/validation-annotations-vrd.csv, "
        "root/test-annotations-vrd.csv, root/oidv6-class-descriptions.csv, and the pictures in "
        "root/{train,validation,test} or root/images/{train,validation,test}"
    )
    remedy = (
        "Its pictures belong to their Flickr authors, so it is not fetched for you: the files are listed at "
        "https://storage.googleapis.com/openimages/web/download_v6.html; then data.root=/path/to/it"
    )

    def __init__(self, root: str, *, on_bad_relation: OnBadRelation = "drop", **boxes: Any) -> None:
        super().__init__(root, on_bad_relation=on_bad_relation, **boxes)

    def read_graphs(self) -> Annotated:
        rows: dict[Split, list[Row]] = {}
        for split in SPLITS:
            file = self.root / _FILES[split]
            if file.is_file():
                rows[split] = read_rows(file)
            elif split == "train":
                raise self.problem(f"there is no file {file.absolute()}")
        listed = next((self.root / name for name in _NAMES if (self.root / name).is_file()), None)
        if listed is None:
            raise self.problem(f"there is no file {(self.root / _NAMES[0]).absolute()}")
        names = read_names(listed)
        every = [row for own in rows.values() for row in own]
        ids = {label for row in every for label, _ in (row.subject, row.object)}
        if unknown := sorted(ids - names.keys()):
            raise DataError(f"{listed}: there is no class {unknown[0]}, which relations are of")
        classes = sorted({names[own] for own in ids})
        predicates = sorted({row.predicate for row in every})
        labels = {own: classes.index(names[own]) for own in ids}
        splits = {split: self._pictures(split, own, labels, predicates) for split, own in rows.items()}
        return Annotated(classes, predicates, splits)

    def _pictures(
        self, split: Split, rows: list[Row], labels: dict[str, int], predicates: list[str]
    ) -> list[Annotation]:
        of_picture: dict[str, list[Row]] = {}
        for row in rows:
            of_picture.setdefault(row.picture, []).append(row)
        folder = _FOLDERS[split]
        places = [self.root / folder, self.root / "images" / folder, self.root / "images"]
        paths = {
            name: next(
                (path for path in (str(place / f"{name}.jpg") for place in places) if self.disk.find(path)),
                str(places[0] / f"{name}.jpg"),
            )
            for name in of_picture
        }
        sizes = self.sizes_of(paths.values())
        numbers = {name: number for number, name in enumerate(predicates)}
        found = []
        for name, own in of_picture.items():
            height, width = sizes.get(paths[name], (0, 0))
            objects: dict[tuple[str, tuple[float, ...]], int] = {}
            told = [
                [
                    *(objects.setdefault(one, len(objects)) for one in (row.subject, row.object)),
                    numbers[row.predicate],
                ]
                for row in own
            ]
            item = annotation(
                paths[name],
                (height, width),
                [[x1 * width, y1 * height, x2 * width, y2 * height] for _, (x1, y1, x2, y2) in objects],
                [labels[label] for label, _ in objects],
                image_id=name,
                source=f"{self.root / _FILES[split]}, {name}",
            )
            found.append(related(item, told))
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """The four files and three folders, with a line of an attribute."""
        ids = {name: f"/m/0{number}x" for number, name in enumerate(CLASS_NAMES)}
        for seed, split in enumerate(SPLITS):
            (root / _FOLDERS[split]).mkdir(parents=True)
            lines = [",".join(_COLUMNS)]
            for number, (picture, relations) in enumerate(fake_graphs(18, size, seed)):
                name, (width, height) = f"{seed}{number:015x}", picture.image.size
                picture.image.save(root / _FOLDERS[split] / f"{name}.jpg")
                corners = [
                    ",".join(f"{v:.6f}" for v in (x1 / width, y1 / height, x2 / width, y2 / height))
                    for x1, y1, x2, y2 in picture.boxes
                ]
                classes = [ids[CLASS_NAMES[label]] for label in picture.labels]
                told = [(one, other, classes[other], PREDICATE_NAMES[said]) for one, other, said in relations]
                told += [(0, 0, "/m/wooden", _ATTRIBUTE)] if corners else []
                lines += [
                    f"{name},{classes[one]},{label},{said},{corners[one]},{corners[other]}"
                    for one, other, label, said in told
                ]
            (root / _FILES[split]).write_text("\n".join([*lines, ""]), encoding="utf-8")
        listed = "".join(f"{own},{name}\n" for name, own in ids.items())
        (root / _NAMES[0]).write_text(f"LabelName,DisplayName\n{listed}", encoding="utf-8")
        return {"root": str(root), "image_size": size}


def read_rows(file: Path) -> list[Row]:
    """The relations of a file. `DataError`, which names the line, where one is none."""
    found, attributes = [], 0
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines)
            if missing := [name for name in _COLUMNS if name not in (table.fieldnames or ())]:
                raise DataError(f"{file}: its heading has no {missing[0]}; expected {', '.join(_COLUMNS)}")
            for line in table:
                if line["RelationshipLabel"] == _ATTRIBUTE:
                    attributes += 1
                    continue
                found.append(_row(line, f"{file}, line {table.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV: {error}") from error
    if attributes:
        log.info("%s: passed over %d lines that give an object an attribute", file, attributes)
    return found


def _row(line: dict[str, str], source: str) -> Row:
    if None in line.values() or None in line:
        raise DataError(f"{source}: expected {len(_COLUMNS)} values: {', '.join(_COLUMNS)}")
    objects = []
    for number in ("1", "2"):
        try:
            box = tuple(float(line[f"{corner}{number}"]) for corner in _BOX)
        except ValueError:
            raise DataError(f"{source}: expected numbers as corners of object {number}") from None
        if not all(0 <= value <= 1 for value in box):
            raise DataError(f"{source}: a corner of object {number} is not between 0 and 1")
        objects.append((line[f"LabelName{number}"], box))
    return Row(line["ImageID"], objects[0], objects[1], alike(line["RelationshipLabel"]))


def read_names(file: Path) -> dict[str, str]:
    """Of the id of each class its name. `DataError` where a line is none."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            rows = [row for row in csv.reader(lines) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV: {error}") from error
    if wrong := next((row for row in rows if len(row) != 2), None):
        raise DataError(f"{file}: expected lines 'LabelName,DisplayName', found {','.join(wrong)!r:.80}")
    return {own: alike(name) for own, name in rows}
