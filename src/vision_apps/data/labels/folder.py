"""Image folders: the user's own pictures, with classes as folders or without classes."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vision_apps.core.conventions import Auto
from vision_apps.core.data import Split
from vision_apps.core.errors import ConfigError, some
from vision_apps.core.spelling import alike
from vision_apps.data import auto
from vision_apps.data.files import FileData, held_out_fractions, split_folders
from vision_apps.data.images import EXTENSIONS, read_image
from vision_apps.data.on_disk import pictures_below, subfolders
from vision_apps.data.resizing import resize_and_center_crop

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a split: one array, because a list of a million strings gets copied into every worker."""

    files: np.ndarray  # encoded paths [N]
    labels: Tensor | None  # int64 [N]; None where there are no classes

    def __len__(self) -> int:
        return len(self.files)

    @property
    def pictures(self) -> list[str]:
        return [os.fsdecode(path) for path in self.files]

    @property
    def classes(self) -> list[int] | None:
        return None if self.labels is None else self.labels.tolist()

    def joined(self, more: "LabelledFiles") -> "LabelledFiles":
        """These files and, after them, those."""
        both = self.labels is not None and more.labels is not None
        return LabelledFiles(
            np.concatenate([self.files, more.files]),
            torch.cat([self.labels, more.labels]) if both else None,  # type: ignore[list-item]
        )

    def take(self, rows: Tensor) -> "LabelledFiles":
        """The files with these numbers, int64 [n], in their order."""
        return LabelledFiles(self.files[rows.numpy()], None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class LabelledSamples:
    """Reads, scales and cuts one picture at a time; run in loader workers."""

    listing: LabelledFiles
    fields: tuple[str, ...]
    size: int  # px, side of the square
    resize: int | None  # px, of the short side before the square is cut out; None: ``size``
    max_pixels: int

    def __len__(self) -> int:
        return len(self.listing)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``images`` uint8 [3, size, size] and ``labels`` int64 []; of the file itself ``sizes`` int64 [2]
        and ``files`` uint8 [3, h, w]; as asked for. `CorruptSample` where the file cannot be decoded."""
        sample: dict[str, Tensor] = {}
        if "images" in self.fields:
            image = read_image(os.fsdecode(self.listing.files[index]), self.max_pixels)
            sample["images"] = resize_and_center_crop(image, self.size, self.resize)
            if "sizes" in self.fields:
                sample["sizes"] = torch.tensor(image.shape[-2:])
            if "files" in self.fields:
                sample["files"] = image
        if "labels" in self.fields and self.listing.labels is not None:
            sample["labels"] = self.listing.labels[index]
        return sample


class ImageFolder(FileData):
    """Pictures in ``root/<class>/`` or in ``root/train/<class>/``, ``root/val/<class>/``,
    ``root/test/<class>/``, whatever their capitals.

    Where there are no class folders, the pictures themselves lie in ``root`` or in the split folders; labels
    are then not offered. A split without a folder of its own is drawn from the training pictures by their
    names and ``split_seed``, as `data.splits.draw` says. So is the order within a split: the first n pictures
    are of all classes.

    Args:
        image_size: side in pixels of the square that is cut out of the middle; ``auto``: as
            `data.auto.square_side` says, between ``size_limits``.
        size_limits: the least and the largest ``image_size`` that ``auto`` chooses, pixels.
        resize: length in pixels that the short side is scaled to first; ``image_size`` if null.
        train_size: side of the training squares where augmentation (a random resized crop) cuts them to
            ``image_size``; ``image_size`` if null.
        val_fraction, test_fraction: of all training pictures, held out where the split has no folder.
        extensions: of the files to read, in lower case.
    """

    # narrowed by prepare_data where there are no classes
    fields = ("images", "labels", "sizes", "files")
    to_measure = ("files",)
    fact_names = ("num_classes", "class_names", "class_counts", "image_size", "resize", "mean", "std")
    title = "pictures"
    layout = "root/<class>/*.jpg, root/{train,val,test}/<class>/*.jpg, or the same without class folders"
    image_size: int
    remedy = "Say where the pictures are: data.root=/path/to/images"

    def __init__(
        self,
        root: str,
        *,
        image_size: int | Auto = 64,
        size_limits: tuple[int, int] = (128, 192),
        resize: int | None = None,
        train_size: int | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        extensions: Sequence[str] = EXTENSIONS,
        **files: Any,
    ) -> None:
        super().__init__(root, **files)
        self.fractions = held_out_fractions(val_fraction, test_fraction)
        self.size_limits = size_limits
        if image_size == "auto":
            self.autos.add("image_size")
            image_size = size_limits[0]  # until the pictures are known
        self.image_size = image_size
        self.resize = resize
        self.train_size = train_size
        self._require_larger()
        self.extensions = tuple(extension.lower() for extension in extensions)

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

    def prepare_data(self) -> None:
        super().prepare_data()
        self.listings  # noqa: B018 - an empty or malformed folder is refused now, not when training starts

    def settle(self) -> dict[str, Any]:
        if "image_size" in self.autos:
            self.image_size = auto.square_side(self.some_sizes(), *self.size_limits)
        self._require_larger()
        return super().settle()

    def _require_larger(self) -> None:
        if self.resize is not None and self.resize < self.image_size:
            raise ConfigError(
                f"data.resize: expected at least data.image_size = {self.image_size}, not {self.resize}"
            )

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
        empty = [name for name in names if not any(pictures_below(folder / name, self.extensions))]
        if len(empty) == len(names):
            return None
        if empty:
            raise self.problem(f"the class folders {', '.join(empty)} hold no pictures; remove or fill them")
        return names

    @cached_property
    def listings(self) -> dict[Split, LabelledFiles]:
        found = {split: self._list(folder) for split, folder in self.split_folders().items()}
        for split, listing in found.items():
            if not len(listing):
                raise self.problem(f"{self.split_folders()[split].absolute()} holds no pictures")
        return self.split_up(found, self.fractions)

    def _list(self, folder: Path) -> LabelledFiles:
        if self.class_folders is None:
            return LabelledFiles(np.array([os.fsencode(path) for path in self._pictures(folder)]), None)
        own = {alike(name): name for name in subfolders(folder)}
        classes = list(map(alike, self.class_folders))
        if unknown := own.keys() - set(classes):
            names = ", ".join(sorted(unknown))
            raise self.problem(f"{folder.absolute()} has classes that training has not: {names}")
        files = [self._pictures(folder / own.get(name, name)) for name in classes]
        labels = torch.arange(len(files)).repeat_interleave(torch.tensor([len(paths) for paths in files]))
        return LabelledFiles(np.array([os.fsencode(path) for paths in files for path in paths]), labels)

    def _pictures(self, folder: Path) -> list[str]:
        return sorted(pictures_below(folder, self.extensions))

    def display_name(self, folder: str) -> str:
        """What a class is called, given its folder's name."""
        return folder

    @property
    def facts(self) -> dict[str, object]:
        facts = super().facts | {"resize": self.resize or self.image_size}
        if self.class_folders is not None:
            names = [alike(self.display_name(folder)) for folder in self.class_folders]
            labels = self.listings["train"].labels
            assert labels is not None  # there are class folders
            counts = torch.bincount(labels[: self.limits["train"]], minlength=len(names)).tolist()
            facts |= {"num_classes": len(names), "class_names": names, "class_counts": counts}
        return facts

    def load(self, split: Split, fields: tuple[str, ...]) -> LabelledSamples:
        listing = self.listings[split]
        if "labels" in fields and listing.labels is None:
            raise self.problem("there are no class folders, so there are no labels")
        size, resize = self.image_size, self.resize
        if split == "train" and self.train_size is not None:
            size, resize = self.train_size, self.train_size
        return LabelledSamples(listing, fields, size, resize, self.max_pixels)

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
