"""Where the JSON files of a COCO data set and its pictures lie: as COCO, CVAT, Label Studio, Roboflow do."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import DataError
from vision_apps.data.named_splits import SPLIT_NAMES, split_called, split_folders
from vision_apps.data.on_disk import OnDisk, subfolders
from vision_apps.data.pairing import places_below
from vision_apps.data.rows import files_below

log = logging.getLogger(__name__)

_JSON = (".json",)
_OF_SPLIT = re.compile(r"(?:instances_)?([a-z]+)(\d{4})?")  # of a name in lower case: instances_train2017
_WHOLE = ("instances_default", "annotations", "instances", "result", "_annotations.coco", "coco")
_LOOKED_AT = 20  # pictures, to find their folder


def json_files(root: Path) -> dict[Split, Path]:
    """The file of each split: called so, in ``root`` or ``annotations``, or alone in the split's folder; and
    where none is of training pictures, one of everything. `DataError` where several could be of one split."""
    found: dict[Split, Path] = {}
    whole: Path | None = None
    for folder in filter(None, map(OnDisk().find, (root / "annotations", root))):
        there = files_below(Path(folder), _JSON) if os.path.isdir(folder) else {}
        of_split: dict[Split, list[Path]] = {}
        for name, path in there.items():
            match = _OF_SPLIT.fullmatch(name)
            if match and (split := split_called(match[1])):
                of_split.setdefault(split, []).append(path)
        for split, paths in of_split.items():
            if split not in found:
                found[split] = _only(split, paths)
        named = next((there[name] for name in _WHOLE if name in there), None)
        left = [path for path in there.values() if path not in found.values()]
        whole = whole or named or (left[0] if len(left) == 1 and not of_split else None)
    for folder in filter(None, map(OnDisk().find, (root, root / "images"))):
        for split, own in split_folders(Path(folder)).items():
            there = files_below(own, _JSON)
            file = there.get("_annotations.coco") or (next(iter(there.values())) if len(there) == 1 else None)
            if file:
                found.setdefault(split, file)
    if "train" not in found and whole:
        found["train"] = whole
    return {split: found[split] for split in SPLITS if split in found}


def _only(split: Split, paths: Sequence[Path]) -> Path:
    """Of several files for a split the one whose name says so first: ``instances_train`` before ``train``."""
    instances = [path for path in paths if path.stem.lower().startswith("instances_")]
    best = instances or list(paths)
    if len(best) > 1:
        names = " and ".join(path.name for path in sorted(best))
        raise DataError(
            f"{best[0].parent}: {names} could be of {split}; say which: data.{split}_json="
            f"{best[0].parent.name}/{best[0].name}"
        )
    return best[0]


def elsewhere(root: Path) -> str:
    """A JSON file that lies one folder off, for an error; empty where there is none."""
    for name in subfolders(root):
        for path in files_below(root / name, _JSON).values():
            return f"; {name}/ has some: data.train_json={name}/{path.name}"
    return ""


def pictures_folder(root: Path, split: Split, file: Path, names: Sequence[str]) -> Path:
    """The first folder that has some of the pictures that the file of a split lists; where none has them
    under their whole names, the first that has them under the longest last part."""
    own = [*SPLIT_NAMES[split], file.stem.lower().removeprefix("instances_")]
    words = [split, *(word for word in own if word != split)]
    places = [*(root / "images" / word for word in words), root / "images", *(root / word for word in words)]
    places += [file.parent, root]
    disk = OnDisk()
    looked_at = names[:: -(-len(names) // _LOOKED_AT) or 1]
    for place in places:
        if any(disk.find(place / name) for name in looked_at):
            return place
    parts = [name.replace("\\", "/").split("/") for name in looked_at]
    for length in range(max(map(len, parts), default=0), 0, -1):
        for place in places:
            if any(disk.find(place.joinpath(*own[-length:])) for own in parts if len(own) >= length):
                return place
    return root / "images"


def located(folder: Path, names: Sequence[str], disk: OnDisk) -> dict[str, str]:
    """Of each picture that a file lists its path below the folder; by the last parts where all of them were
    written on another machine."""
    found = {name: disk.find(folder / name) for name in names}
    if not any(found.values()):
        found = {
            name: next(filter(None, map(disk.find, places_below(folder, name, 1))), None) for name in names
        }
        if first := next(((name, path) for name, path in found.items() if path), None):
            log.warning("data: pictures are found by the last parts of their names: %s as %s", *first)
    return {name: path or str(folder / name) for name, path in found.items()}
