"""Where the parts of a YOLO data set lie, as Ultralytics, Roboflow, Label Studio, CVAT and darknet do it."""

import os
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.core.side_files import parse_yaml
from vision_apps.core.spelling import alike
from vision_apps.data.named_splits import SPLIT_NAMES, split_folders
from vision_apps.data.on_disk import OnDisk, is_hidden
from vision_apps.data.pairing import places_below
from vision_apps.data.rows import files_below
from vision_apps.data.text import numbered_lines, opened

DEFAULT = "data.yaml"
_NAMES = ("classes.txt", "obj.names", "labels.txt", "names.txt")  # a class a line
_NAMED = 3  # files in an error


class Description(NamedTuple):
    """What a file says of a data set, or what can be seen without one."""

    file: Path
    content: dict[str, Any]


def description(root: Path, name: str, encoding: str | None) -> Description | None:
    """The file with this name; where there is none and it was not asked for in particular, the only other
    YAML file with ``names``, darknet's ``obj.data``, or a list of classes beside the pictures. `DataError`
    where one cannot be read or several could be meant."""
    disk = OnDisk()
    if found := disk.find(root / name):
        return Description(Path(found), _of_yaml(Path(found), encoding))
    if name != DEFAULT:
        return None
    others = [
        path for path in files_below(root, (".yaml", ".yml")).values() if "names" in _of_yaml(path, encoding)
    ]
    if len(others) > 1:
        raise DataError(
            f"{root}: {some([path.name for path in others], _NAMED)} could describe it; say which: "
            f"data.yaml={others[0].name}"
        )
    if others:
        return Description(others[0], _of_yaml(others[0], encoding))
    for path in files_below(root, (".data",)).values():
        return Description(path, _of_darknet(path, root, encoding))
    for own in _NAMES:
        if (found := disk.find(root / own)) and (parts := _seen(root)):
            return Description(Path(found), {**parts, "names": _names_in(Path(found), encoding)})
    return None


def _of_yaml(path: Path, encoding: str | None) -> dict[str, Any]:
    with opened(path, encoding) as file:
        text = file.read()
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected 'train', 'val' and 'names'")
    if isinstance(content.get("names"), list | dict):  # as they are written: `no` is Norway, 010 no 8
        content["names"] = parse_yaml(text, yaml.BaseLoader)["names"]
    return content


def _of_darknet(path: Path, root: Path, encoding: str | None) -> dict[str, Any]:
    """Lines ``train = data/train.txt``; paths are of the folder in which darknet is called."""
    pairs = [line.partition("=") for _, line in numbered_lines(path, encoding)]
    content: dict[str, Any] = {key.strip().lower(): value.strip() for key, _, value in pairs}
    names = content.get("names", "obj.names")
    found = next(filter(None, map(OnDisk().find, places_below(root, names, 1))), None)
    if found is None:
        raise DataError(f"{path}: names {names}, a list of classes, which is not there")
    return content | {"names": _names_in(Path(found), encoding)}


def _names_in(path: Path, encoding: str | None) -> list[str]:
    return [line for _, line in numbered_lines(path, encoding)]


def _seen(root: Path) -> dict[str, Any]:
    """The folders of the splits, of ``images`` or of ``root``; else what is there for training."""
    images = OnDisk().find(root / "images")
    for folder in (Path(images or root), root):
        if "train" in (found := split_folders(folder)):
            return {split: os.path.relpath(place, root) for split, place in found.items()}
    return {"train": os.path.relpath(images or root, root)}


def class_names(content: Mapping[str, object], file: Path) -> list[str]:
    """The class names that a description with this content has. `DataError` where ``names`` is no list and no
    mapping from 0, 1, ..., has a name twice or not ``nc`` of them."""
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


def split_entries(content: Mapping[str, Any]) -> dict[Split, list[str]]:
    """What stands for each split: folders, or files of paths."""
    found: dict[Split, list[str]] = {}
    lower = {str(key).lower(): value for key, value in content.items()}
    for split, keys in SPLIT_NAMES.items():
        if entry := next((lower[key] for key in keys if lower.get(key)), None):
            found[split] = [str(one) for one in (entry if isinstance(entry, list) else [entry])]
    return found


def label_files(picture: str, labels: str = "labels") -> list[Path]:
    """Where the boxes of a picture may be written: in ``labels`` in place of an ``images`` of its path, the
    last one first; or beside it."""
    beside = Path(picture).with_suffix(".txt")
    parts = beside.parts
    swapped = [
        Path(*parts[:place], labels, *parts[place + 1 :])
        for place in range(len(parts) - 2, -1, -1)
        if parts[place].lower() == "images"
    ]
    return [*swapped, beside]


def strays(used: Collection[str], pictures: Iterable[str]) -> list[str]:
    """Text files that lie beside those that are used, and are of no picture."""
    stems = {alike(os.path.splitext(os.path.basename(path))[0]) for path in pictures}
    known = {alike(os.path.splitext(name)[0]) for name in _NAMES} | {*chain(*SPLIT_NAMES.values())}
    found = []
    for folder in sorted({os.path.dirname(path) for path in used}):
        for entry in sorted(os.listdir(folder)):
            stem, ending = os.path.splitext(entry)
            if ending.lower() == ".txt" and not is_hidden(entry) and alike(stem) not in stems | known:
                found.append(os.path.join(folder, entry))
    return found
