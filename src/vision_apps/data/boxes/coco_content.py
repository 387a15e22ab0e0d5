"""What a JSON file of COCO's kind holds.

Categories in the order of their ids become 0..K-1; a box of a crowd is ignored. Segmentations are not read;
their ``area`` is: objects are small or large by it.
"""

import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.boxes.annotation import Annotation, annotation
from vision_apps.data.text import read_bytes

log = logging.getLogger(__name__)

Id = int | str  # of a picture, an object or a category
_TRUTH = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


class Thing(NamedTuple):
    """An object of a picture."""

    box: list[float]
    label: int
    crowd: bool
    area: float


def read_json(file: Path) -> tuple[list[str], list[Annotation]]:
    """As `read_content` says of a file."""
    content = parsed(file)
    return read_content(file, content, used_categories(content))


def parsed(file: Path) -> Mapping[str, object]:
    """What a file holds. `DataError` where it is no JSON, or no object with lists of annotations."""
    try:
        content = json.loads(read_bytes(file))
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
    of_image: dict[Id, list[Thing]] = {number: [] for number in images}
    for entry in objects.values():
        image_id = _reference(entry, "image_id", images, "images", file)
        category = _reference(entry, "category_id", order, "categories", file)
        box = _corners(_value(entry, "bbox", "annotation", file), entry["id"], file)
        of_image[image_id].append(Thing(box, order[category], _crowd(entry, file), _area(entry, file)))
    pictures = []
    for number, things in _joined(images, of_image, file).items():
        image = images[number]
        pictures.append(
            annotation(
                _value(image, "file_name", "image", file),
                (_side(image, "height", file), _side(image, "width", file)),
                [thing.box for thing in things],
                [thing.label for thing in things],
                [thing.crowd for thing in things],
                [thing.area for thing in things],
                image_id=number,
                source=f"{file}, image {number} ({image['file_name']})",
            )
        )
    return names, pictures


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


def _joined(
    images: Mapping[Id, Mapping[str, object]], of_image: Mapping[Id, list[Thing]], file: Path
) -> dict[Id, list[Thing]]:
    """The objects of each picture. One that is listed under several ids is one picture, which has the objects
    of all: each entry alone would say of the other's that they are none, and a split could part them."""
    ids: dict[str, list[Id]] = {}
    for number, image in images.items():
        ids.setdefault(alike(str(_value(image, "file_name", "image", file))), []).append(number)
    found: dict[Id, list[Thing]] = {}
    for name, numbers in ids.items():
        if len({(images[number].get("height"), images[number].get("width")) for number in numbers}) > 1:
            raise DataError(
                f"{file}: {name} is in 'images' more than once, as {some(numbers, 3)}, with different "
                "heights and widths; remove those that are wrong"
            )
        found[numbers[0]] = things = list(of_image[numbers[0]])
        for number in numbers[1:]:
            known = [(thing.box, thing.label) for thing in things]
            things += [thing for thing in of_image[number] if (thing.box, thing.label) not in known]
    if twice := [f"{name} as {some(numbers, 3)}" for name, numbers in ids.items() if len(numbers) > 1]:
        same = sum(map(len, of_image.values())) - sum(map(len, found.values()))
        log.warning(
            "data: %s: %d pictures are in 'images' more than once and are one picture each, with the objects "
            "of all (%d that were the same left out; what two people marked a little differently is there "
            "twice): %s",
            *(file, len(twice), same, some(twice, 3)),
        )
    return found


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
