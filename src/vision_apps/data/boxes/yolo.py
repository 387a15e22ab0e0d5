"""Boxes in YOLO's text folders: ``images/`` and ``labels/`` in parallel, described by a ``data.yaml``.

A line is ``class cx cy w h`` in shares of the picture's sides, or ``class x1 y1 x2 y2 x3 y3 ...``, a polygon
of which the bounds are taken. Classes count from 0.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, FakePicture, fake_pictures
from vision_apps.data.named_splits import SPLIT_NAMES
from vision_apps.data.on_disk import pictures_below
from vision_apps.data.text import numbered_lines, opened

_FARTHEST = 2.0  # shares: beyond, the numbers must be pixels

Line = tuple[int, float, float, float, float]  # class and corners, in shares


class YoloFolder(BoxData):
    """Boxes in YOLO's text files. A picture without one, or with an empty one, has no objects; data none of
    whose pictures has one are refused.

    A split that ``data.yaml`` does not name is held out of the training pictures.

    Args:
        yaml: the description, below ``root``, with ``train``, ``val``, ``test`` (folders, lists of folders,
            or files of paths) and ``names``.
    """

    title = "YOLO data set"
    layout = (
        "root/data.yaml with 'train', 'val' and 'names', root/images/{train,val,test}/*.jpg and "
        "root/labels/{train,val,test}/*.txt"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the description: data.yaml=my.yaml"

    def __init__(self, root: str, *, yaml: str = "data.yaml", **boxes: Any) -> None:
        super().__init__(root, **boxes)
        self.description = self.root / yaml

    def read(self) -> Annotated:
        content = self._description()
        names = class_names(content, self.description)
        pictures: dict[Split, list[str]] = {}
        for split, keys in SPLIT_NAMES.items():
            if entry := next((content[key] for key in keys if content.get(key)), None):
                entries = entry if isinstance(entry, list) else [entry]
                pictures[split] = [path for one in entries for path in self._listed(str(one), content, split)]
        if "train" not in pictures:
            raise DataError(f"{self.description}: it has no 'train'")
        labels = self._labels([path for own in pictures.values() for path in own])
        sizes = self.sizes_of(path for own in pictures.values() for path in own)
        return Annotated(
            names,
            {
                split: [_read_picture(path, labels[path], sizes.get(path, (0, 0)), names) for path in own]
                for split, own in pictures.items()
            },
        )

    def _description(self) -> dict[str, object]:
        if not self.description.is_file():
            raise self.problem(f"there is no file {self.description.absolute()}")
        try:
            with opened(self.description, self.encoding) as file:
                text = file.read()
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise DataError(f"{self.description}: cannot be read as YAML: {error}") from error
        if not isinstance(content, dict):
            raise DataError(f"{self.description}: expected 'train', 'val' and 'names'")
        if isinstance(content.get("names"), list | dict):  # as they are written: `no` is Norway, 010 no 8
            content["names"] = yaml.load(text, Loader=yaml.BaseLoader)["names"]
        return content

    def _labels(self, pictures: Sequence[str]) -> dict[str, Path | None]:
        """The text file of each picture that has one. `DataError` where none has, or two share one."""
        found: dict[str, Path | None] = {}
        owners: dict[str, str] = {}
        for path in dict.fromkeys(pictures):
            own, *beside = label_files(path)
            if beside and self.disk.find(own.parent) is None:
                own = beside[0]
            file = self.disk.find(own)
            found[path] = None if file is None else Path(file)
            if file is not None and owners.setdefault(file, path) != path:
                raise DataError(
                    f"{file}: {owners[file]} and {os.path.basename(path)} have the same name, and these "
                    "boxes can only be of one of them; rename or remove the other"
                )
        if not owners:
            tried = " nor ".join(map(str, label_files(pictures[0])))
            raise self.problem(
                f"none of {len(pictures)} pictures has a text file with its boxes; for {pictures[0]} there "
                f"is no {tried}"
            )
        return found

    def _listed(self, entry: str, content: dict[str, object], split: Split) -> list[str]:
        """The pictures that an entry of the description stands for, sorted."""
        # 'path' is often of the machine that wrote the file, and exports begin with '../' that is not meant
        inside = entry
        while inside.startswith("../"):
            inside = inside.removeprefix("../")
        places = [self.root / str(content.get("path") or "") / entry, self.root / entry, self.root / inside]
        found_at = next(filter(None, map(self.disk.find, places)), None)
        if found_at is None:
            tried = ", ".join(dict.fromkeys(str(place) for place in places))
            raise self.problem(
                f"{self.description.name} says {split}: {entry!r}, and none of {tried} is there"
            )
        place = Path(found_at)
        if place.is_dir():
            found = sorted(pictures_below(place), key=os.path.split)
        else:
            listed = [str(place.parent / line) for _, line in numbered_lines(place, self.encoding)]
            found = [self.disk.find(path) or path for path in listed]
        if not found:
            raise self.problem(f"{place} holds no pictures")
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """Three splits; of the pictures without objects some have an empty text file and some none."""
        for seed, (split, count) in enumerate({"train": 12, "val": 6, "test": 6}.items()):
            folder = root / "images" / split
            folder.mkdir(parents=True)
            (root / "labels" / split).mkdir(parents=True)
            for number, picture in enumerate(fake_pictures(count, size, seed)):
                picture.image.save(folder / f"{number:04d}.png")
                if picture.labels or number % 4 == 3:
                    (root / "labels" / split / f"{number:04d}.txt").write_text(_lines(picture))
        names = "".join(f"  {label}: {name}\n" for label, name in enumerate(CLASS_NAMES))
        (root / "data.yaml").write_text(
            f"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n{names}"
        )
        return {"root": str(root), "image_size": size}


def class_names(content: dict[str, object], file: Path) -> list[str]:
    """The class names that a ``data.yaml`` with this content has. `DataError` where ``names`` is no list and
    no mapping from 0, 1, ..., has a name twice or not ``nc`` of them."""
    names = content.get("names")
    if isinstance(names, dict) and sorted(names) == sorted(map(str, range(len(names)))):
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: expected 'names' as a list, or as a mapping from 0, 1, ..., not {names!r}")
    if "nc" in content and content["nc"] != len(names):
        raise DataError(f"{file}: it says nc: {content['nc']} and names {len(names)} classes")
    names = [alike(str(name)) for name in names]
    if len(set(names)) < len(names):
        raise DataError(f"{file}: two classes have the same name: {names}")
    return names


def label_files(picture: str) -> list[Path]:
    """Where the boxes of a picture are written: in ``labels`` in place of the last ``images`` of its path;
    or, where there is no such folder, beside it."""
    beside = Path(picture).with_suffix(".txt")
    parts = list(beside.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            parts[place] = "labels"
            return [Path(*parts), beside]
    return [beside]


def _read_picture(path: str, file: Path | None, size: tuple[int, int], names: Sequence[str]) -> Annotation:
    height, width = size
    lines = read_labels(file, names) if file is not None else []
    return annotation(
        path,
        size,
        [[x1 * width, y1 * height, x2 * width, y2 * height] for _, x1, y1, x2, y2 in lines],
        [label for label, *_ in lines],
        image_id=Path(path).stem,
        source=file or path,
    )


def read_labels(file: Path, names: Sequence[str]) -> list[Line]:
    """Class and corners, in shares of the picture's sides, of each object of a text file. `DataError`, which
    names the line, where one is none or its class is not in the list."""
    found: list[Line] = []
    for number, line in numbered_lines(file):
        try:
            label, *values = [float(text) for text in line.split()]
        except ValueError:
            raise DataError(f"{file}, line {number}: expected numbers, found {line!r}") from None
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise DataError(
                f"{file}, line {number}: expected 'class cx cy w h', or 'class' and the x y of at least "
                f"three corners, found {1 + len(values)} numbers"
            )
        if label not in range(len(names)):
            offset = "; classes count from 0, these seem to count from 1" if label == len(names) else ""
            raise DataError(
                f"{file}, line {number}: class {label:g} is not among 0..{len(names) - 1} "
                f"({', '.join(names)}){offset}"
            )
        if max(map(abs, values)) > _FARTHEST:
            raise DataError(
                f"{file}, line {number}: expected shares of the picture's sides from 0 to 1, found "
                f"{max(values, key=abs):g}: are these pixels?"
            )
        found.append((int(label), *_bounds(values)))
    return found


def _bounds(values: Sequence[float]) -> tuple[float, float, float, float]:
    if len(values) == 4:
        cx, cy, w, h = values
        return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    xs, ys = values[::2], values[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _lines(picture: FakePicture) -> str:
    """Every second object as a polygon."""
    width, height = picture.image.size
    lines = []
    for number, ((x1, y1, x2, y2), label) in enumerate(zip(picture.boxes, picture.labels, strict=True)):
        if number % 2:
            corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
            shares = [share for x, y in corners for share in (x / width, y / height)]
        else:
            shares = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        lines.append(" ".join([str(label), *(f"{share:.6f}" for share in shares)]) + "\n")
    return "".join(lines)
