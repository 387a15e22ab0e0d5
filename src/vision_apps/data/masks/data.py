"""What all data sets of pictures with a mask share: pairs of files, read one by one or kept in memory."""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vision_apps.core.conventions import Size
from vision_apps.core.data import Split, TensorSamples
from vision_apps.core.errors import CorruptSample, some
from vision_apps.data import turning
from vision_apps.data.files import ResizedData
from vision_apps.data.images import Levels, header, read_image
from vision_apps.data.masks.coding import (
    MaskCoding,
    encode_palette_png,
    other_size,
    read_mask,
    resize_mask,
    voc_colors,
)
from vision_apps.data.masks.doctor import findings, strays
from vision_apps.data.on_disk import OnDisk
from vision_apps.data.resizing import ResizeMode, resize_picture
from vision_apps.data.turning import LabelsOn

NAMED = 5  # files in an error that concerns many


@dataclass(frozen=True)
class Pairs:
    """The pictures and masks of a split: arrays, because lists of strings get copied into every worker."""

    images: np.ndarray  # encoded paths [N]
    masks: np.ndarray  # [N]

    @classmethod
    def of(cls, files: Iterable[tuple[str | Path, str | Path]]) -> "Pairs":
        images, masks = zip(*files, strict=True)
        return cls(
            np.array([os.fsencode(path) for path in images]), np.array([os.fsencode(p) for p in masks])
        )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def pictures(self) -> list[str]:
        return [os.fsdecode(path) for path in self.images]

    @property
    def classes(self) -> None:
        """A picture has several."""

    def joined(self, more: "Pairs") -> "Pairs":
        """These pairs and, after them, those."""
        return Pairs(np.concatenate([self.images, more.images]), np.concatenate([self.masks, more.masks]))

    def take(self, rows: Tensor) -> "Pairs":
        """The pairs with these numbers, int64 [n], in their order."""
        return Pairs(self.images[rows.numpy()], self.masks[rows.numpy()])

    def paths(self) -> Iterator[tuple[str, str]]:
        """Picture and mask of each pair."""
        for image, mask in zip(self.images, self.masks, strict=True):
            yield os.fsdecode(image), os.fsdecode(mask)


@dataclass(frozen=True)
class MaskSamples:
    """Reads and resizes one picture and its mask at a time; run in loader workers, or by threads."""

    pairs: Pairs
    fields: tuple[str, ...]
    coding: MaskCoding
    size: Size
    mode: ResizeMode
    max_pixels: int
    levels: Levels | None = None
    labels_on: LabelsOn | None = None

    ragged: ClassVar = ("truths", "files")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``images`` uint8 [3, H, W] and ``masks`` uint8 [H, W]; of the file before it was resized ``sizes``
        int64 [2], ``truths`` uint8 [h, w] and ``files`` uint8 [3, h, w]; as asked for. `CorruptSample` where
        a file cannot be decoded, a pixel of the mask is no class, or the mask is of another size than its
        picture."""
        sample: dict[str, Tensor] = {}
        picture = os.fsdecode(self.pairs.images[index])
        image = read_image(picture, self.max_pixels, self.levels)
        if "images" in self.fields:
            sample["images"] = resize_picture(image, self.size, self.mode)[0]
        if "sizes" in self.fields:
            sample["sizes"] = torch.tensor(image.shape[-2:])
        if "files" in self.fields:
            sample["files"] = image
        if "masks" in self.fields:
            path = os.fsdecode(self.pairs.masks[index])
            turned = header(picture, self.max_pixels).orientation if self.labels_on == "raw" else 1
            mask = read_mask(path, self.coding, self.max_pixels, turned)
            if mask.shape != image.shape[-2:]:
                raise CorruptSample(path, other_size(mask.shape, image.shape[-2:], picture))
            sample["masks"] = resize_mask(mask, self.size, self.mode)
            if "truths" in self.fields:
                sample["truths"] = mask
        return sample


class MaskData(ResizedData):
    """Pictures with the class of every pixel.

    A subclass lists the pairs of each split, names the classes and says what the numbers in its files mean.
    Within a split the order is drawn by ``split_seed``. So are splits that are missing, ``fractions`` of the
    training pictures.

    Args:
        root: folder of the data.
        image_size: of the results in pixels: a side, height and width, or ``auto``.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest (grey, ignored), ``stretch`` does not.
        in_memory: decode once and keep all samples of a split: 4 bytes for every pixel.
        labels_on: what the masks of pictures that EXIF says to turn were made on: the pixels as they are
            stored (``raw``) or as they are seen (``upright``, which is also meant where it is not said, and
            told then).
    """

    fields = ("images", "masks", "sizes", "truths", "files")
    to_measure = ("truths", "files")
    fact_names = ("num_classes", "class_names", "image_size", "resize_mode", "mean", "std", "palette")
    classes: ClassVar[Mapping[str, Sequence[int]]]  # name to colour, where the files do not say
    fractions: Mapping[Split, float] = MappingProxyType({})  # of the training pictures, for missing splits
    complete: ClassVar[bool] = False  # every picture and mask that lies there belongs to a pair

    def __init__(self, root: str, *, labels_on: LabelsOn | None = None, **resized: Any) -> None:
        super().__init__(root, **resized)
        self.labels_on = labels_on

    @abstractmethod
    def list_pairs(self) -> dict[Split, Pairs]:
        """The pairs of every split that there is, in any order."""

    @property
    def class_names(self) -> list[str]:
        return list(self.classes)

    @property
    def palette(self) -> list[list[int]]:
        """Red, green and blue of each class, 0..255."""
        return [list(color) for color in self.classes.values()]

    @property
    @abstractmethod
    def coding(self) -> MaskCoding:
        """What the numbers or colours of the masks mean."""

    def prepare_data(self) -> None:
        super().prepare_data()
        self.pairs  # noqa: B018 - what is missing is told now, not when training starts
        self.coding  # noqa: B018

    @cached_property
    def pairs(self) -> dict[Split, Pairs]:
        """The pairs of every split in the order of its samples."""
        return self.split_up(self.list_pairs(), self.fractions)

    def existing(self, files: Sequence[tuple[Path, Path]], where: str) -> Pairs:
        """The files as pairs, if all are there. `DataError`, which names the first that are not, pictures and
        masks apart."""
        if not files:
            raise self.problem(f"{where} holds no pictures")
        disk = OnDisk()
        found = [(disk.find(image), disk.find(mask)) for image, mask in files]
        for place, kind in enumerate(("pictures", "masks")):
            if missing := [pair[place] for pair, own in zip(files, found, strict=True) if own[place] is None]:
                raise self.problem(
                    f"{where}: {len(missing)} ({some(missing, NAMED)}) of {len(files)} {kind} are not there"
                )
        return Pairs.of((str(image), str(mask)) for image, mask in found)

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {
            "num_classes": len(self.class_names),
            "class_names": list(self.class_names),
            "palette": [list(color) for color in self.palette],
            "resize_mode": self.resize_mode,
        }

    def obstacles(self) -> Iterator[str]:
        yield from super().obstacles()
        if "masks" in self.batch_type._fields:  # type: ignore[attr-defined] # else pictures alone
            yield from turning.told(self.spread(), self.labels_on, self.max_pixels)

    def load(self, split: Split, fields: tuple[str, ...]) -> MaskSamples | TensorSamples:
        pairs = self.pairs[split]
        pairs = pairs.take(torch.arange(len(pairs))[: self.limits[split]])
        samples = MaskSamples(
            *(pairs, fields, self.coding, self.image_size, self.resize_mode, self.max_pixels),
            levels=self.levels,
            labels_on=self.labels_on,
        )
        return TensorSamples(**self.decoded(samples, split).fields) if self.in_memory else samples

    def doctor(self) -> Iterator[str]:
        listed: dict[str, list[tuple[str, str]]] = {
            split: list(pairs.paths()) for split, pairs in self.pairs.items()
        }
        yield from findings(listed, self.coding, self.class_names, self.max_pixels, self.labels_on)
        yield from turning.told(
            [image for pairs in listed.values() for image, _ in pairs], self.labels_on, self.max_pixels
        )
        yield from self.about_pictures()

    def unused(self) -> Iterator[str]:
        if self.complete:
            yield from strays([pair for pairs in self.pairs.values() for pair in pairs.paths()])


def fake_pair(
    image: Path, mask: Path, seed: int, size: int, values: Sequence[int], *, palette: bool = False
) -> None:
    """Write a seeded picture of a random shape around ``size`` pixels and its mask: blocks with these
    numbers, each in a colour of its own under noise.

    Args:
        palette: store the mask as a palette picture instead of grey levels.
    """
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(size // 2, 2 * size, 2))
    coarse = rng.choice(np.array(values, np.uint8), (4, 4))
    coarse.flat[: len(values[:16])] = values[:16]  # every number is there
    classes = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST))
    colors = np.array(voc_colors(256))
    pixels = colors[classes] + rng.normal(0, 20, (height, width, 3))
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(image)
    if palette:
        mask.write_bytes(encode_palette_png(torch.from_numpy(classes), colors.tolist()))
    else:
        Image.fromarray(classes).save(mask)
