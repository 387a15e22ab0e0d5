"""Pictures in files that are brought to squares, with what is true of the whole picture."""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Auto
from vision_apps.core.data import Split
from vision_apps.core.errors import ConfigError
from vision_apps.data import auto
from vision_apps.data.files import FileData, held_out_fractions
from vision_apps.data.images import Levels, read_image
from vision_apps.data.resizing import resize_and_center_crop


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a split: one array, because a list of a million strings gets copied into every worker."""

    files: np.ndarray  # encoded paths [N]
    labels: Tensor | None  # int64 [N], or uint8 [N, K] of several classes; None where there are no classes

    def __len__(self) -> int:
        return len(self.files)

    @property
    def pictures(self) -> list[str]:
        return [os.fsdecode(path) for path in self.files]

    @property
    def classes(self) -> list[int] | None:
        return None if self.labels is None or self.labels.ndim == 2 else self.labels.tolist()

    @property
    def class_sets(self) -> list[list[int]] | None:
        """Of each its classes, where it may have several."""
        if self.labels is None or self.labels.ndim == 1:
            return None
        return [np.flatnonzero(row).tolist() for row in self.labels.numpy()]

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
    truth: str = "labels"  # the field that the labels are
    levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.listing)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``images`` uint8 [3, size, size] and the labels, int64 [] or uint8 [K]; of the file itself
        ``sizes`` int64 [2] and ``files`` uint8 [3, h, w]; as asked for. `CorruptSample` where the file cannot
        be decoded."""
        sample: dict[str, Tensor] = {}
        if "images" in self.fields:
            image = read_image(os.fsdecode(self.listing.files[index]), self.max_pixels, self.levels)
            sample["images"] = resize_and_center_crop(image, self.size, self.resize)
            if "sizes" in self.fields:
                sample["sizes"] = torch.tensor(image.shape[-2:])
            if "files" in self.fields:
                sample["files"] = image
        if self.truth in self.fields and self.listing.labels is not None:
            sample[self.truth] = self.listing.labels[index]
        return sample


class SquarePictures(FileData):
    """Pictures of which a square is cut out of the middle. A subclass lists them in ``listings``.

    Args:
        image_size: side of the square in pixels; ``auto``: as `data.auto.square_side` says, between
            ``size_limits``.
        size_limits: the least and the largest ``image_size`` that ``auto`` chooses, pixels.
        resize: length in pixels that the short side is scaled to first; ``image_size`` if null.
        train_size: side of the training squares where augmentation (a random resized crop) cuts them to
            ``image_size``; ``image_size`` if null.
        val_fraction, test_fraction: of all training pictures, held out where the data have no such split.
    """

    to_measure = ("files",)
    truth = "labels"
    image_size: int

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

    @cached_property
    def listings(self) -> dict[Split, LabelledFiles]:
        """The files of each split."""
        raise NotImplementedError

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
    def facts(self) -> dict[str, object]:
        return super().facts | {"resize": self.resize or self.image_size}

    def load(self, split: Split, fields: tuple[str, ...]) -> LabelledSamples:
        size, resize = self.image_size, self.resize
        if split == "train" and self.train_size is not None:
            size, resize = self.train_size, self.train_size
        return LabelledSamples(
            self.listings[split], fields, size, resize, self.max_pixels, self.truth, self.levels
        )
