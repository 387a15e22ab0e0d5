"""Boxes in YOLO's text folders: ``images/`` and ``labels/`` in parallel, described by a ``data.yaml``.

A line is ``class cx cy w h`` in shares of the picture's sides, or what `yolo_lines` says. Classes count from
0.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, FakePicture, fake_pictures
from vision_apps.data.boxes.yolo_layout import (
    DEFAULT,
    class_names,
    description,
    label_files,
    split_entries,
    strays,
)
from vision_apps.data.boxes.yolo_lines import Line, Lines, Reading, read_lines
from vision_apps.data.on_disk import pictures_below, subfolders
from vision_apps.data.pairing import places_below
from vision_apps.data.text import numbered_lines

log = logging.getLogger(__name__)

_BESIDE = (".txt", ".cache")  # that belong beside pictures
_NAMED = 3  # files in a warning


class YoloFolder(BoxData):
    """Boxes in YOLO's text files. A picture without one, or with an empty one, has no objects; pictures
    without one are told, and data none of whose pictures has one are refused.

    A split that the description does not name is held out of the training pictures.

    Args:
        yaml: the description, below ``root``, with ``train``, ``val``, ``test`` (folders, lists of folders,
            or files of paths) and ``names``; ``kpt_shape`` where boxes have key points. Without it, another
            file that describes the data is looked for, or a list of classes beside ``images``.
        labels: the folder of text files that stands in place of ``images``.
        lines: what lines are that have more than four numbers after the class: ``boxes`` have none,
            ``segments`` are polygons, of which the bounds are taken, ``pose`` has key points after the box,
            ``scored`` a score. By default as ``kpt_shape`` says, else polygons where nothing else makes
            sense.
    """

    title = "YOLO data set"
    layout = (
        "root/data.yaml with 'train', 'val' and 'names', root/images/{train,val,test}/*.jpg and "
        "root/labels/{train,val,test}/*.txt"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the description: data.yaml=my.yaml"

    def __init__(
        self,
        root: str,
        *,
        yaml: str = DEFAULT,
        labels: str = "labels",
        lines: Lines | None = None,
        **boxes: Any,
    ) -> None:
        super().__init__(root, **boxes)
        self.yaml = yaml
        self.labels = labels
        self.lines = lines

    def read(self) -> Annotated:
        found = description(self.root, self.yaml, self.encoding)
        if found is None:
            raise self.problem(f"there is no file {(self.root / self.yaml).absolute()}")
        file, content = found
        names = class_names(content, file)
        pictures: dict[Split, list[str]] = {
            split: [path for entry in entries for path in self._listed(entry, content, split, file)]
            for split, entries in split_entries(content).items()
        }
        if "train" not in pictures:
            raise DataError(f"{file}: it has no 'train'")
        every = list(dict.fromkeys(path for own in pictures.values() for path in own))
        labels = self._labels(every)
        lines = {
            path: read_lines(Path(own), names, self.encoding)
            for path, own in labels.items()
            if own is not None
        }
        reading = Reading(self.lines, content.get("kpt_shape"), file)
        reading.require_clear(line for own in lines.values() for line in own)
        sizes = self.sizes_of(every)
        return Annotated(
            names,
            {
                split: [
                    _picture(path, labels[path], sizes.get(path, (0, 0)), lines.get(path, ()), reading)
                    for path in own
                ]
                for split, own in pictures.items()
            },
        )

    def _labels(self, pictures: Sequence[str]) -> dict[str, str | None]:
        """The text file of each picture that has one. `DataError` where none has, or two share one."""
        found: dict[str, str | None] = {}
        owners: dict[str, str] = {}
        for path in pictures:
            file = next(filter(None, map(self.disk.find, label_files(path, self.labels))), None)
            found[path] = file
            if file is not None and owners.setdefault(file, path) != path:
                raise DataError(
                    f"{file}: {owners[file]} and {os.path.basename(path)} have the same name, and these "
                    "boxes can only be of one of them; rename or remove the other"
                )
        if not owners:
            raise self.problem(self._no_labels(pictures))
        if without := [path for path, file in found.items() if file is None]:
            log.warning(
                "data: %d of %d pictures have no text file and are taken for pictures without objects: %s",
                *(len(without), len(found), some(without, _NAMED)),
            )
        if lost := strays(owners, found):
            log.warning("data: %d text files are of no picture, not read: %s", len(lost), some(lost, _NAMED))
        return found

    def _no_labels(self, pictures: Sequence[str]) -> str:
        tried = " nor ".join(map(str, label_files(pictures[0], self.labels)))
        others = [
            name
            for name in subfolders(self.root)
            if any(map(self.disk.find, label_files(pictures[0], name)[:-1]))
        ]
        hint = f"; {others[0]}/ has one: data.labels={others[0]}" if others else ""
        return (
            f"none of {len(pictures)} pictures has a text file with its boxes; for {pictures[0]} there is no "
            f"{tried}{hint}"
        )

    def _listed(self, entry: str, content: dict[str, Any], split: Split, file: Path) -> list[str]:
        """The pictures that an entry of the description stands for, sorted."""
        # 'path' is often of the machine that wrote the file, and exports begin with '../' that is not meant
        inside = entry
        while inside.startswith("../"):
            inside = inside.removeprefix("../")
        places = [self.root / str(content.get("path") or "") / entry, self.root / entry]
        places += places_below(self.root, inside, self._least(file))
        found_at = next(filter(None, map(self.disk.find, places)), None)
        if found_at is None:
            tried = ", ".join(dict.fromkeys(str(place) for place in places))
            raise self.problem(f"{file.name} says {split}: {entry!r}, and none of {tried} is there")
        place = Path(found_at)
        if place.is_dir():
            others: list[str] = []
            found = sorted(pictures_below(place, others=others), key=os.path.split)
            self.tell_others([path for path in others if not path.lower().endswith(_BESIDE)])
        else:
            least = self._least(file)
            found = [self._found(line, place, least) for _, line in numbered_lines(place, self.encoding)]
        if not found:
            raise self.problem(f"{place} holds no pictures")
        return found

    def _least(self, file: Path) -> int:
        """Parts of a path by which it is known: darknet's are of the folder in which it is called."""
        return 2 if file.suffix.lower() in (".yaml", ".yml") else 1

    def _found(self, line: str, place: Path, least: int) -> str:
        """The picture of a line of a list."""
        places = [place.parent / line, *places_below(self.root, line, least)]
        return next(filter(None, map(self.disk.find, places)), str(places[0]))

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
                    (root / "labels" / split / f"{number:04d}.txt").write_text(
                        _lines(picture), encoding="utf-8"
                    )
        names = "".join(f"  {label}: {name}\n" for label, name in enumerate(CLASS_NAMES))
        (root / "data.yaml").write_text(
            f"path: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n{names}",
            encoding="utf-8",
        )
        return {"root": str(root), "image_size": size}


def _picture(
    path: str, file: str | None, size: tuple[int, int], lines: Sequence[Line], reading: Reading
) -> Annotation:
    height, width = size
    objects = reading.objects(lines)
    return annotation(
        path,
        size,
        [[x1 * width, y1 * height, x2 * width, y2 * height] for _, x1, y1, x2, y2 in objects],
        [label for label, *_ in objects],
        image_id=Path(path).stem,
        source=file or path,
    )


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
