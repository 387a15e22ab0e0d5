"""What the folders, lists, files and words of a split are called."""

import os
from collections.abc import Mapping
from pathlib import Path

from vision_apps.core.data import Split
from vision_apps.data.on_disk import OnDisk

# the first that is there is taken
SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def split_called(word: str) -> Split | None:
    """The split that a word means, whatever its capitals; None where it means none."""
    return next((split for split, names in SPLIT_NAMES.items() if word.strip().lower() in names), None)


def split_folders(root: Path) -> dict[Split, Path]:
    """The folder below ``root`` of each split that has one, whatever its capitals."""
    disk = OnDisk()
    found: dict[Split, Path] = {}
    for split, names in SPLIT_NAMES.items():
        places = (disk.find(root / name) for name in names)
        if place := next((place for place in places if place and os.path.isdir(place)), None):
            found[split] = Path(place)
    return found


def split_files(there: Mapping[str, Path]) -> dict[Split | None, Path]:
    """The file of each split, of files by their names in lower case without endings; none where none is of
    training pictures."""
    splits: dict[Split | None, Path] = {
        split: there[name] for split, names in SPLIT_NAMES.items() for name in names[::-1] if name in there
    }
    return splits if "train" in splits else {}
