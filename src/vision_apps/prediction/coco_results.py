"""Boxes that were found, as COCO's tools take them: a list of results with the ids of an annotation file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.pairing import Named
from vision_apps.data.text import read_bytes

ANNOTATIONS, RESULTS = "annotations.json", "results.json"  # what is found under ids of its own, and of a file

_NAMED = 3  # pictures in an error


class Listed(NamedTuple):
    """The ids of an annotation file."""

    file: Path
    pictures: dict[str, object]  # by file_name
    categories: dict[str, object]  # by name


def listed(file: Path) -> Listed:
    """`DataError` where it is no annotation file with pictures and categories."""
    try:
        content = json.loads(read_bytes(file))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON: {error}") from error

    def ids(key: str, name: str) -> dict[str, object]:
        entries = content.get(key) if isinstance(content, dict) else None
        known = entries if isinstance(entries, list) else []
        found = {
            alike(str(entry[name]).replace("\\", "/")): entry["id"]
            for entry in known
            if isinstance(entry, dict) and name in entry and "id" in entry
        }
        if not found:
            raise DataError(f"{file}: expected {key!r} with 'id' and {name!r}: is it COCO's annotation file?")
        return found

    return Listed(file, ids("images", "file_name"), ids("categories", "name"))


def results(written: bytes, given: Listed) -> tuple[bytes, list[str]]:
    """A list of results, as ``loadRes`` of pycocotools takes it, and the pictures that the annotation file
    does not have. `DataError` where it has a class not, or two pictures are one of its own.

    Args:
        written: an annotation file with scores, as `data.boxes.coco.to_json` gives it.
    """
    content: dict[str, Any] = json.loads(written)
    classes = {entry["id"]: entry["name"] for entry in content["categories"]}
    if unknown := [name for name in classes.values() if alike(name) not in given.categories]:
        raise DataError(
            f"{given.file}: has no category {some(unknown, _NAMED)}, which the run tells; it has "
            f"{some(given.categories, 10)}"
        )
    names = Named(given.pictures)
    of_image: dict[int, object] = {}
    owners: dict[str, str] = {}
    left: list[str] = []
    for image in content["images"]:
        name = _name_of(image["file_name"], given.pictures, names)
        if name is None:
            left.append(image["file_name"])
            continue
        if owners.setdefault(name, image["file_name"]) != image["file_name"]:
            raise DataError(
                f"{given.file}: {owners[name]} and {image['file_name']} are both its picture {name}; answer "
                "one folder at a time"
            )
        of_image[image["id"]] = given.pictures[name]
    found: Sequence[Mapping[str, object]] = [
        {
            "image_id": of_image[entry["image_id"]],
            "category_id": given.categories[alike(classes[entry["category_id"]])],
            "bbox": entry["bbox"],
            "score": entry["score"],
        }
        for entry in content["annotations"]
        if entry["image_id"] in of_image
    ]
    return (json.dumps(found) + "\n").encode(), left


def _name_of(path: str, known: Mapping[str, object], names: Named) -> str | None:
    """The picture of the file that a path ends in; else the only one that is called so."""
    parts = alike(path.replace("\\", "/")).split("/")
    for start in range(len(parts)):
        if (name := "/".join(parts[start:])) in known:
            return name
    found = names.find(parts[-1])
    return found[0] if len(found) == 1 else None
