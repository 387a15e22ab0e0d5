"""Boxes in COCO's JSON (Lin et al. 2014): any such files, the public COCO, and how predictions are written.

Categories in the order of their ids become 0..K-1; a box of a crowd is ignored. Segmentations are not read;
their ``area`` is: objects are small or large by it.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation
from vision_apps.data.boxes.coco_layout import elsewhere, json_files, located, pictures_folder
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.fakes import CLASS_NAMES, fake_pictures

log = logging.getLogger(__name__)

Id = int | str  # of a picture, an object or a category
_TRUTH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class CocoJson(BoxData):
    """Pictures with boxes in COCO's JSON: a file per split, or one of which the other splits are held out.

    Args:
        train_json, val_json, test_json: below ``root``; looked for under the usual names where null.
        images: folder of the pictures, below ``root``; by default the first of ``images/<split>``,
            ``images``, ``<split>`` and the JSON's own folder that has them.
    """

    title = "COCO annotations"
    layout = (
        "root/annotations/{train,val,test}.json (or train.json, train/_annotations.coco.json, or one "
        "annotations.json of which val and test are held out) with 'images', 'annotations' and 'categories'"
    )
    remedy = "Say where it is: data.root=/path/to/it    Or name the files: data.train_json=my.json"

    def __init__(
        self,
        root: str,
        *,
        train_json: str | None = None,
        val_json: str | None = None,
        test_json: str | None = None,
        images: str | None = None,
        **boxes: Any,
    ) -> None:
        super().__init__(root, **boxes)
        self.given: dict[Split, str | None] = {"train": train_json, "val": val_json, "test": test_json}
        self.images = images

    def files(self) -> dict[Split, Path]:
        """The JSON file of each split that has one."""
        given: dict[Split, Path] = {}
        for split, name in self.given.items():
            if name is not None:
                given[split] = self.root / name
                if not given[split].is_file():
                    raise self.problem(f"data.{split}_json: there is no file {given[split].absolute()}")
        found = json_files(self.root) | given
        if "train" not in found:
            raise self.problem(f"there is no JSON file to train on{elsewhere(self.root)}")
        return {split: found[split] for split in SPLITS if split in found}

    def folder(self, split: Split, file: Path, names: Sequence[str]) -> Path:
        """Where the pictures of a split are, given its JSON file and their names there."""
        if self.images is not None:
            return self.root / self.images
        return pictures_folder(self.root, split, file, names)

    def read(self) -> Annotated:
        contents = {split: (file, parsed(file)) for split, file in self.files().items()}
        used = {number for _, content in contents.values() for number in used_categories(content)}
        names: list[str] | None = None
        splits: dict[Split, list[Annotation]] = {}
        for split, (file, content) in contents.items():
            own, pictures = read_content(file, content, used)
            if names is not None and own != names:
                raise DataError(
                    f"{file}: its categories are {', '.join(own)}; those to train on are {', '.join(names)}: "
                    "all files of a data set need the same categories with the same ids"
                )
            names = own
            listed = [item.path for item in pictures]
            paths = located(self.folder(split, file, listed), listed, self.disk)
            splits[split] = [item._replace(path=paths[item.path]) for item in pictures]
        return Annotated(names or [], splits)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        """A JSON file and a folder of pictures for each split."""
        for seed, split in enumerate(SPLITS):
            _write_fake(root / "images" / split, root / "annotations" / f"{split}.json", 12, size, seed)
        return {"root": str(root), "image_size": size}


class Coco(CocoJson):
    """The public COCO of 2017. The official validation pictures are the test split, because results are
    reported on them; those to choose a checkpoint with are ``val_fraction`` of the training pictures."""

    title = "COCO 2017"
    layout = "root/train2017/*.jpg, root/val2017/*.jpg and root/annotations/instances_{train,val}2017.json"
    remedy = (
        "Its pictures belong to their Flickr authors, so it is not fetched for you: 19 GB train2017.zip, "
        "1 GB val2017.zip and 0.25 GB annotations_trainval2017.zip from "
        "https://cocodataset.org/#download; unzip them into one folder, then data.root=/path/to/it"
    )

    def __init__(self, root: str, *, val_fraction: float = 0.02, **boxes: Any) -> None:
        super().__init__(root, val_fraction=val_fraction, **boxes)

    def files(self) -> dict[Split, Path]:
        annotations = self.root / "annotations"
        found: dict[Split, Path] = {
            "train": annotations / "instances_train2017.json",
            "test": annotations / "instances_val2017.json",
        }
        for file in found.values():
            if not file.is_file():
                raise self.problem(f"there is no file {file.absolute()}")
        return found

    def folder(self, split: Split, file: Path, names: Sequence[str]) -> Path:
        return self.root / ("train2017" if split == "train" else "val2017")

    @classmethod
    def fake(cls, root: Path, *, size: int = 32) -> dict[str, object]:
        for seed, name in enumerate(("train2017", "val2017")):
            _write_fake(root / name, root / "annotations" / f"instances_{name}.json", 16, size, seed)
        return {"root": str(root), "image_size": size, "val_fraction": 0.25}


def read_json(file: Path) -> tuple[list[str], list[Annotation]]:
    """As `read_content` says of a file."""
    content = parsed(file)
    return read_content(file, content, used_categories(content))


def parsed(file: Path) -> Mapping[str, object]:
    """What a file holds. `DataError` where it is no JSON, or no object with lists of annotations."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: expected an object with 'images', 'annotations' and 'categories'")
    if not isinstance(content.get("annotations"), list) and "images" not in content:
        raise DataError(f"{file}: it has no list 'images': is it a file of results, not of annotations?")
    return content


def used_categories(content: Mapping[str, object]) -> set[Id]:
    """The ids of those that annotations have."""
    entries = content.get("annotations")
    found = [
        entry.get("category_id")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    return {number for number in map(_id, found) if number is not None}


def read_content(
    file: Path, content: Mapping[str, object], used: Collection[Id]
) -> tuple[list[str], list[Annotation]]:
    """Class names, and the pictures with their boxes in the order of the file; paths as they stand there.
    `DataError` where a key is missing or is none, an id is there twice, or one is referred to that is not
    there.

    Args:
        file: for errors.
        used: categories that annotations have, of this or another file of the data set.
    """
    images, categories, objects = (
        _by_id(content, name, file) for name in ("images", "categories", "annotations")
    )
    categories = _without_roots(categories, used, file)
    order = {number: label for label, number in enumerate(sorted(categories))}
    names = [alike(str(_value(categories[number], "name", "category", file))) for number in order]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        ids = [number for number, name in zip(order, names, strict=True) if name == twice]
        raise DataError(
            f"{file}: two categories are called {twice!r} ({some(ids, 3)}), and objects are of both; give "
            "their objects one category_id, or the categories different names"
        )
    of_image: dict[Id, tuple[list[list[float]], list[int], list[bool], list[float]]] = defaultdict(
        lambda: ([], [], [], [])
    )
    for entry in objects.values():
        image_id = _reference(entry, "image_id", images, "images", file)
        category = _reference(entry, "category_id", order, "categories", file)
        boxes, labels, crowds, areas = of_image[image_id]
        boxes.append(_corners(_value(entry, "bbox", "annotation", file), entry["id"], file))
        labels.append(order[category])
        crowds.append(_crowd(entry, file))
        areas.append(_area(entry, file))
    _require_each_once(images, file)
    return names, [
        annotation(
            _value(image, "file_name", "image", file),
            (_side(image, "height", file), _side(image, "width", file)),
            *of_image[number],
            image_id=number,
            source=f"{file}, image {number} ({image['file_name']})",
        )
        for number, image in images.items()
    ]


def _without_roots(
    categories: dict[Id, dict[str, object]], used: Collection[Id], file: Path
) -> dict[Id, dict[str, object]]:
    """Those that are classes: not one without annotations that stands above all others, as Roboflow writes
    it, or that is called as another one."""
    left: dict[Id, str] = {}
    for number, entry in categories.items():
        others = {own: other for own, other in categories.items() if own != number}
        if number in used or not others:
            continue
        name = entry.get("name")
        if all(other.get("supercategory") == name for other in others.values()):
            left[number] = f"{name!r} (id {number!r}), which has no annotation and stands above all others"
        elif any(own in used and other.get("name") == name for own, other in others.items()):
            left[number] = f"{name!r} (id {number!r}), which has no annotation while another one is called so"
    if left:
        told = some(list(left.values()), 3, "; ")
        log.warning("data: %s: no class is made of %s", file, told)
    return {number: entry for number, entry in categories.items() if number not in left}


def _id(value: object) -> Id | None:
    """An id as tools write it: a whole number may be a float. None where it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _by_id(content: Mapping[str, object], name: str, file: Path) -> dict[Id, dict[str, object]]:
    entries = content.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"{file}: expected a list of objects under {name!r}")
    found: dict[Id, dict[str, object]] = {}
    for place, entry in enumerate(entries):
        number = _id(entry.get("id"))
        if number is None and "id" in entry:
            raise DataError(
                f"{file}: entry {place} of {name!r}: expected a whole number or a text as 'id', not "
                f"{entry['id']!r}"
            )
        if number is None:
            raise DataError(f"{file}: entry {place} of {name!r} has no 'id'")
        if number in found:
            raise DataError(f"{file}: two entries of {name!r} have the id {number!r}")
        found[number] = entry
    if name == "categories" and len({type(number) for number in found}) > 1:
        raise DataError(f"{file}: the ids of 'categories' are numbers and texts; expected one of both")
    return found


def _require_each_once(images: Mapping[Id, Mapping[str, object]], file: Path) -> None:
    """`DataError` where two entries are the same picture: each would say of the other's objects that they are
    none."""
    of_name: dict[str, list[Id]] = {}
    for number, image in images.items():
        of_name.setdefault(alike(str(_value(image, "file_name", "image", file))), []).append(number)
    if twice := {name: numbers for name, numbers in of_name.items() if len(numbers) > 1}:
        name, numbers = next(iter(twice.items()))
        more = f" (so are {len(twice) - 1} more)" if len(twice) > 1 else ""
        raise DataError(
            f"{file}: {name} is in 'images' more than once, as {some(numbers, 3)}{more}; put all objects of "
            "a picture under one of its ids and remove the others"
        )


def _value(entry: Mapping[str, object], key: str, kind: str, file: Path) -> object:
    if key in entry and entry[key] is None:
        raise DataError(f"{file}: {kind} {entry['id']}: its {key!r} is null")
    if key not in entry:
        raise DataError(f"{file}: {kind} {entry['id']} has no {key!r}")
    return entry[key]


def _reference(entry: Mapping[str, object], key: str, known: Collection[Id], name: str, file: Path) -> Id:
    value = _value(entry, key, "annotation", file)
    number = _id(value)
    if number is not None and number not in known:  # a number that one list has as text
        number = (
            str(number) if isinstance(number, int) else _id(float(number)) if number.isdecimal() else None
        )
    if number is None or number not in known:
        raise DataError(
            f"{file}: annotation {entry['id']} has {key} {value!r}, which is not in {name!r} "
            f"({some(known, 10)})"
        )
    return number


def _crowd(entry: Mapping[str, object], file: Path) -> bool:
    value = entry.get("iscrowd") or 0
    text = str(value).strip().lower()
    if text not in _TRUTH:
        raise DataError(f"{file}: annotation {entry['id']}: expected 'iscrowd' as 0 or 1, not {value!r}")
    return _TRUTH[text]


def _side(image: Mapping[str, object], key: str, file: Path) -> int:
    """In pixels; 0 where the file does not say."""
    value = image.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise DataError(
            f"{file}: image {image['id']}: expected a whole number of pixels as {key!r}, not {value!r}"
        )
    return value or 0


def _corners(box: object, number: object, file: Path) -> list[float]:
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        raise DataError(f"{file}: annotation {number}: expected 'bbox' as [x, y, width, height], not {box!r}")
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _area(entry: Mapping[str, object], file: Path) -> float:
    """In pixels; NaN where the file does not say."""
    value = entry.get("area")
    if value is None:
        return float("nan")
    if not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise DataError(
            f"{file}: annotation {entry['id']}: expected 'area' in pixels, 0 or more, not {value!r}"
        )
    return float(value)


def to_json(rows: Iterable[Mapping[str, Any]], class_names: Sequence[str], id_step: int = 1) -> bytes:
    """Predictions as a COCO annotation file, which our reader and COCO's tools read; each annotation has its
    ``score`` besides.

    Args:
        rows: one per picture, with ``file``, ``width``, ``height`` and ``objects``: each with ``class`` (a
            name), ``box`` (x1, y1, x2, y2 in pixels) and, where there are, ``score`` and ``ignored``.
        id_step: between ids, and the first of them.
    """
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, row in zip(count(id_step, id_step), rows, strict=False):
        size = {"width": row["width"], "height": row["height"]}
        images.append({"id": number, "file_name": row["file"], **size})
        for found in row["objects"]:
            x1, y1, x2, y2 = found["box"]
            box = [round(value, 6) for value in (x1, y1, x2 - x1, y2 - y1)]
            annotations.append(
                {
                    "id": id_step * (len(annotations) + 1),
                    "image_id": number,
                    "category_id": id_step * (class_names.index(found["class"]) + 1),
                    "bbox": box,
                    "area": round(box[2] * box[3], 6),
                    "iscrowd": int(found.get("ignored", False)),
                    **({"score": found["score"]} if "score" in found else {}),
                }
            )
    categories = [{"id": id_step * number, "name": name} for number, name in enumerate(class_names, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def _write_fake(folder: Path, file: Path, pictures: int, size: int, seed: int) -> None:
    """Ids neither begin at 1 nor are without gaps, as in the real data."""
    folder.mkdir(parents=True)
    file.parent.mkdir(exist_ok=True)
    rows = []
    for number, picture in enumerate(fake_pictures(pictures, size, seed)):
        name, (width, height) = f"{seed}{number:05d}.jpg", picture.image.size
        picture.image.save(folder / name)
        objects = picture.objects(CLASS_NAMES)
        rows.append({"file": name, "width": width, "height": height, "objects": objects})
    file.write_bytes(to_json(rows, CLASS_NAMES, id_step=3))
