"""Public sets of small images with a class each, which are held in memory whole."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from vision_apps.core.data import Part, Split, TensorSamples, split_indices
from vision_apps.core.errors import ConfigError, some
from vision_apps.data.files import FolderData


class SmallImages(FolderData):
    """A public set whose images all fit in memory: the official test images, and ``val_images`` held out of
    the official training images by ``split_seed``."""

    fields = ("images", "labels")
    fact_names = ("num_classes", "class_names", "class_counts", "image_size", "mean", "std")

    def __init__(self, root: str, *, download: bool = False, val_images: int = 5000, **loader: Any) -> None:
        super().__init__(root, **loader)
        self.drawn = ("val",)
        self.download = download
        self.val_images = val_images

    @abstractmethod
    def missing(self) -> list[str]:
        """Names of the official files that are not there."""

    @abstractmethod
    def fetch(self) -> None:
        """Download the official files."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """Of the classes."""

    @abstractmethod
    def read(self, part: Literal["train", "test"]) -> dict[str, Tensor]:
        """``images`` uint8 [N, 3, H, W] and ``labels`` int64 [N] of the official training or test images."""

    def prepare_data(self) -> None:
        if self.download and self.missing():
            self.fetch()
        if missing := self.missing():
            raise self.problem(f"there is no {some(missing, 2)}")

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {
            "num_classes": len(self.names),
            "class_names": list(self.names),
            "class_counts": torch.bincount(self.classes_of("train"), minlength=len(self.names)).tolist(),
        }

    def classes_of(self, split: Split) -> Tensor:
        if split == "test":
            return self._tested["labels"][: self.limits[split]]
        return self._training["labels"][self._rows[split][: self.limits[split]]]

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples | Part:
        values = self._tested if split == "test" else self._training
        samples = TensorSamples(**{name: values[name] for name in fields})
        # train and val share one copy of 150 MB
        return samples if split == "test" else Part(samples, self._rows[split].tolist())

    @cached_property
    def _training(self) -> dict[str, Tensor]:
        return self.read("train")

    @cached_property
    def _tested(self) -> dict[str, Tensor]:
        return self.read("test")

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """Numbers of the official training images in ``train`` and ``val``: disjoint, seeded."""
        count = len(self._training["labels"])
        if not 0 < self.val_images < count:
            raise ConfigError(
                f"data.val_images: {self.val_images} of {count} training images cannot be held out; "
                f"expected 1 to {count - 1}"
            )
        train, val = split_indices(count, self.val_images, self.split_seed)
        return {"train": train, "val": val}

    def sample_names(self, split: Split) -> list[str]:
        """Which official image each sample is, counted from 0."""
        part = "test" if split == "test" else "train"
        rows = range(len(self.samples(split))) if split == "test" else self._rows[split].tolist()
        return [f"{part}/{row:05d}" for row in rows][: self.limits[split]]
