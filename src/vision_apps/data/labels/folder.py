"""Image folders: the user's own pictures, with classes as folders or without classes."""

import logging
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike
from vision_apps.data.images import EXTENSIONS
from vision_apps.data.labels.squares import LabelledFiles, LabelledSamples, SquarePictures
from vision_apps.data.named_splits import split_folders
from vision_apps.data.on_disk import entries, pictures_below, subfolders

log = logging.getLogger(__name__)


class ImageFolder(SquarePictures):
    """Pictures in ``root/<class>/`` or in ``root/train/<class>/``, ``root/val/<class>/``,
    ``root/test/<class>/``, whatever their capitals.

    Where there are no class folders, the pictures themselves lie in ``root`` or in the split folders; labels
    are then not offered. A split without a folder of its own is drawn from the training pictures by their
    names and ``split_seed``, as `data.splits.draw` says. So is the order within a split: the first n pictures
    are of all classes.

    Args:
        extensions: of the files to read, in lower case.
    """

    # narrowed by prepare_data where there are no classes
    fields = ("images", "labels", "sizes", "files")
    fact_names = ("num_classes", "class_names", "class_counts", "image_size", "resize", "mean", "std")
    title = "pictures"
    layout = "root/<class>/*.jpg, root/{train,val,test}/<class>/*.jpg, or the same without class folders"
    remedy = "Say where the pictures are: data.root=/path/to/images"

    def __init__(self, root: str, *, extensions: Sequence[str] = EXTENSIONS, **squares: Any) -> None:
        super().__init__(root, **squares)
        self.extensions = tuple(extension.lower() for extension in extensions)
        self._strays: list[str] = []  # files that are no pictures, known once they are listed

    def split_folders(self) -> dict[Split, Path]:
        """The folder of each split that has one. Without any, ``root`` itself is for training. `DataError`
        where there are folders to measure with and none to train on."""
        return self._found

    @cached_property
    def _found(self) -> dict[Split, Path]:
        found = split_folders(self.root)
        if found and "train" not in found:
            given = " and ".join(f"{folder.name}/" for folder in found.values())
            raise self.problem(
                f"found {given} without train/ (or training/); add the pictures to train on, or rename it "
                "if it is a class"
            )
        if found and (others := {*subfolders(self.root)} - {folder.name for folder in found.values()}):
            log.warning(
                "data: beside %s, nothing is read of %s; train/, val/ and test/ are the splits",
                *(some([f"{folder.name}/" for folder in found.values()], 3), some(sorted(others), 3)),
            )
        return found or {"train": self.root}

    @property
    def offers(self) -> tuple[str, ...]:
        return tuple(name for name in self.fields if name != "labels" or self.class_folders is not None)

    @property
    def expected(self) -> str:
        return f"{self.layout}\n  with files ending in {' '.join(self.extensions)}"

    @cached_property
    def class_folders(self) -> list[str] | None:
        """The class folders in order of name; None where the pictures have no classes."""
        folder = self.split_folders()["train"]
        if not folder.is_dir():
            raise self.problem(f"there is no folder {folder.absolute()}")
        names = subfolders(folder)
        if len(names) == 1:
            self._require_classes(folder, names[0])
        empty = [name for name in names if not any(pictures_below(folder / name, self.extensions))]
        if len(empty) == len(names):
            return None
        if empty:
            raise self.problem(f"the class folders {', '.join(empty)} hold no pictures; remove or fill them")
        return names

    def _require_classes(self, folder: Path, name: str) -> None:
        """`DataError` where labels are asked for and the only folder is no class, or there is nothing to tell
        its pictures from."""
        if "labels" not in getattr(getattr(self, "batch_type", None), "_fields", ()):
            return
        inside = [own for own in subfolders(folder / name) if any(pictures_below(folder / name / own))]
        if len(inside) > 1:
            listed = some([f"{own}/" for own in inside], 3)
            remedy = f"data.root={folder / name}" if folder == self.root else "move them up by one folder"
            raise DataError(
                f"data.root: one folder too many: {folder.absolute()} has only {name}/, which itself has "
                f"{listed}: {remedy}"
            )
        raise DataError(
            f"data.root: {folder.absolute()} has a single class, {name}/, and nothing to tell it from; add a "
            "folder with pictures of what it is not"
        )

    @cached_property
    def listings(self) -> dict[Split, LabelledFiles]:
        found = {split: self._list(folder) for split, folder in self.split_folders().items()}
        self._tell_others()
        for split, listing in found.items():
            if not len(listing):
                drawn = "" if split == "train" else f"; fill it, or remove it and {split} is drawn from train"
                raise self.problem(f"{self.split_folders()[split].absolute()} holds no pictures{drawn}")
        return self.split_up(found, self.fractions)

    def _list(self, folder: Path) -> LabelledFiles:
        if self.class_folders is None:
            return LabelledFiles(np.array([os.fsencode(path) for path in self._pictures(folder)]), None)
        own = {alike(name): name for name in subfolders(folder)}
        classes = list(map(alike, self.class_folders))
        if not own and any(pictures_below(folder, self.extensions)):
            raise self.problem(
                f"{folder.absolute()} has pictures and no class folders, so that nothing can be measured on "
                f"them; move it elsewhere (predict answers them), and {folder.name} is drawn from train"
            )
        if unknown := own.keys() - set(classes):
            names = ", ".join(sorted(unknown))
            raise self.problem(f"{folder.absolute()} has classes that training has not: {names}")
        files = [self._pictures(folder / own.get(name, name)) for name in classes]
        labels = torch.arange(len(files)).repeat_interleave(torch.tensor([len(paths) for paths in files]))
        return LabelledFiles(np.array([os.fsencode(path) for paths in files for path in paths]), labels)

    def _pictures(self, folder: Path) -> list[str]:
        return sorted(pictures_below(folder, self.extensions, self._strays))

    def _tell_others(self) -> None:
        """Say what lies there and is not read: files that are no pictures, and pictures in no class."""
        self.tell_others(self._strays)
        if self.class_folders is None:
            return
        for folder in self.split_folders().values():
            loose = [
                entry.path
                for entry in entries(folder)
                if entry.is_file() and entry.name.lower().endswith(self.extensions)
            ]
            self.others += loose
            if loose:
                log.warning(
                    "data: left out %d pictures that lie in %s and in no class folder: %s",
                    *(len(loose), folder, some(sorted(loose), 3)),
                )

    def display_name(self, folder: str) -> str:
        """What a class is called, given its folder's name."""
        return folder

    @property
    def facts(self) -> dict[str, object]:
        facts = super().facts
        if self.class_folders is not None:
            names = [alike(self.display_name(folder)) for folder in self.class_folders]
            labels = self.listings["train"].labels
            assert labels is not None  # there are class folders
            counts = torch.bincount(labels[: self.limits["train"]], minlength=len(names)).tolist()
            facts |= {"num_classes": len(names), "class_names": names, "class_counts": counts}
        return facts

    def load(self, split: Split, fields: tuple[str, ...]) -> LabelledSamples:
        if "labels" in fields and self.class_folders is None:
            raise self.problem("there are no class folders, so there are no labels")
        return super().load(split, fields)

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, per_class: int = 8) -> dict[str, object]:
        """Class folders of small pictures in several formats, shapes and modes, with one nested folder."""
        fake_pictures(root / "circles", per_class, size, seed=0)
        fake_pictures(root / "squares" / "more", per_class, size, seed=1)
        return {"root": str(root), "image_size": size}


def fake_pictures(
    folder: Path, count: int, size: int, seed: int, suffixes: Sequence[str] = (".jpg", ".png")
) -> None:
    """Write ``count`` seeded pictures of random shapes around ``size`` pixels, every fifth one grey."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        mode = "L" if number % 5 == 4 else "RGB"
        picture.convert(mode).save(folder / f"{number:04d}{suffixes[number % len(suffixes)]}")
