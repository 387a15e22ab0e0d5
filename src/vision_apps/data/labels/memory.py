"""Public sets of small images with a class each, which are held in memory whole."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from vision_apps.core.data import Split, VisionData, split_indices
from vision_apps.core.errors import ConfigError, DataError


class Rows:
    """Some rows of tensors that are kept whole, so that train and val share one copy of 150 MB.

    Args:
        values: name to tensor [N, ...].
        rows: int64 [n], the sample numbers of this split.
        fields: the names to offer.
    """

    in_memory = True

    def __init__(self, values: Mapping[str, Tensor], rows: Tensor, fields: Sequence[str]) -> None:
        self.values = {name: values[name] for name in fields}
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        rows = self.rows[torch.tensor(indices)]
        return {name: values.index_select(0, rows) for name, values in self.values.items()}


class SmallImages(VisionData):
    """A public set whose images all fit in memory: the official test images, and ``val_images`` held out of
    the official training images.

    Args:
        root: folder of the official files.
        download: fetch them when they are not there.
        val_images: how many are held out, chosen by ``seed``.
    """

    fields = ("images", "labels")
    fact_names = ("num_classes", "class_names", "class_counts", "image_size", "mean", "std")
    title: ClassVar[str]
    weight: ClassVar[str]  # of the download

    def __init__(self, root: str, *, download: bool = False, val_images: int = 5000, **loader: Any) -> None:
        super().__init__(**loader)
        self.root = Path(root)
        self.download = download
        self.val_images = val_images

    @abstractmethod
    def missing(self) -> list[str]:
        """Names of the official files that are not there."""

    @abstractmethod
    def fetch(self) -> None:
        """Download the official files."""

    @abstractmethod
    def expected(self, missing: Sequence[str]) -> str:
        """Where the files that are missing would be found."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Names of the classes."""

    @abstractmethod
    def read(self, part: Literal["train", "test"]) -> dict[str, Tensor]:
        """``images`` uint8 [N, 3, H, W] and ``labels`` int64 [N] of the official training or test images."""

    def prepare_data(self) -> None:
        if self.download and self.missing():
            self.fetch()
        if missing := self.missing():
            raise DataError(
                f"data.root: no {self.title} in {self.root.absolute()}\n"
                f"  Expected {self.expected(missing)}.\n  Download it ({self.weight}): data.download=true"
                "    Or say where it is: data.root=/path/to/it"
            )

    @property
    def facts(self) -> dict[str, object]:
        labels = self._training["labels"][self._rows["train"][: self.limits["train"]]]
        return {
            "num_classes": len(self.names),
            "class_names": list(self.names),
            "class_counts": torch.bincount(labels, minlength=len(self.names)).tolist(),
        }

    def load(self, split: Split, fields: tuple[str, ...]) -> Rows:
        if split == "test":
            test = self.read("test")
            return Rows(test, torch.arange(len(test["labels"])), fields)
        return Rows(self._training, self._rows[split], fields)

    @cached_property
    def _training(self) -> dict[str, Tensor]:
        return self.read("train")

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """Numbers of the official training images in ``train`` and ``val``: disjoint, seeded."""
        count = len(self._training["labels"])
        if not 0 < self.val_images < count:
            raise ConfigError(
                f"data.val_images: {self.val_images} of {count} training images cannot be held out; "
                f"expected 1 to {count - 1}"
            )
        train, val = split_indices(count, self.val_images, self.seed)
        return {"train": train, "val": val}
