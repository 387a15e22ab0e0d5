"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017) from their own IDX files."""

import gzip
import zlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import datasets

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data import public
from vision_apps.data.labels.memory import SmallImages

_SIZE = 28  # px
_MOST_IMAGES = 1_000_000  # MNIST's relatives have at most 814,255; bounds what a forged header can claim
_UBYTE = 0x08  # IDX's code for unsigned bytes
_PARTS = {"train": "train", "test": "t10k"}  # what the files are called
_KINDS = ("images-idx3", "labels-idx1")
_PLACES = ("", "raw", "MNIST/raw", "FashionMNIST/raw")  # the last two: where torchvision puts them


class MNIST(SmallImages):
    """Grey 28x28 images of ten classes, held in memory, given as three equal channels.

    Args:
        root: the folder that holds the four IDX files, packed (.gz) or not.
        download: fetch the official files when they are not there.
        image_size: side in pixels of what batches hold: 28, or more for a border of black pixels (LeNet-5
            takes 32).
        val_images: held out of the training images, chosen by ``split_seed``.
    """

    title = "MNIST"
    remedy = public.remedy("12 MB")
    known: ClassVar[type[datasets.MNIST]] = datasets.MNIST  # torchvision's
    names = "0123456789"
    image_size: int
    moments: ClassVar[tuple[float, float]] = (0.1307, 0.3081)  # mean and std of the 60,000 images of 28x28

    def __init__(self, root: str, *, image_size: int = 32, **data: Any) -> None:
        super().__init__(root, **data)
        if image_size < _SIZE:
            raise ConfigError(
                f"data.image_size: {image_size} is less than the images have; expected {_SIZE} or more"
            )
        self.image_size = image_size
        mean, std = self.moments
        inside = (_SIZE / image_size) ** 2  # the share of pixels that is not border
        self.mean = (mean * inside,) * 3
        self.std = (((std**2 + mean**2) * inside - (mean * inside) ** 2) ** 0.5,) * 3

    @property
    def expected(self) -> str:
        return f"{', '.join(self.missing())} (or with .gz) there or in one of {', '.join(_PLACES[1:])}"

    def missing(self) -> list[str]:
        names = [f"{part}-{kind}-ubyte" for part in _PARTS.values() for kind in _KINDS]
        return [name for name in names if self._find(name) is None]

    def _find(self, name: str) -> Path | None:
        candidates = (self.root / place / f"{name}{end}" for place in _PLACES for end in ("", ".gz"))
        return next((path for path in candidates if path.is_file()), None)

    def fetch(self) -> None:
        for name, md5 in self.known.resources:
            public.download([mirror + name for mirror in self.known.mirrors], self.root, name, md5)

    def read(self, part: Literal["train", "test"]) -> dict[str, Tensor]:
        images, path = (self._find(f"{_PARTS[part]}-{kind}-ubyte") for kind in _KINDS)
        if images is None or path is None:
            raise DataError(f"data.root: no files of {self.title} for {part} in {self.root.absolute()}")
        pixels, labels = read_idx(images, 3), read_idx(path, 1)
        if pixels.shape[1:] != (_SIZE, _SIZE):
            raise DataError(f"{images}: expected images of {_SIZE} x {_SIZE}")
        if len(labels) != len(pixels) or labels.max(initial=0) >= len(self.names):
            raise DataError(f"{path}: expected {len(pixels)} labels from 0 to {len(self.names) - 1}")
        before = (self.image_size - _SIZE) // 2
        after = self.image_size - _SIZE - before
        grey = F.pad(torch.from_numpy(pixels), (before, after, before, after))
        return {
            "images": grey[:, None].expand(-1, 3, -1, -1),  # the three channels share their memory
            "labels": torch.from_numpy(labels).long(),
        }

    @classmethod
    def fake(cls, root: Path, *, per_class: int = 8) -> dict[str, object]:
        """The four files, packed, with ``per_class`` images of each class in train and in test."""
        root.mkdir(parents=True, exist_ok=True)
        for seed, part in enumerate(("train", "t10k")):
            rng = np.random.default_rng(seed)
            labels = np.tile(np.arange(len(cls.names), dtype=np.uint8), per_class)
            write_idx(root / f"{part}-labels-idx1-ubyte.gz", labels)
            pixels = rng.integers(0, 256, (len(labels), _SIZE, _SIZE), dtype=np.uint8)
            write_idx(root / f"{part}-images-idx3-ubyte.gz", pixels)
        return {"root": str(root), "val_images": len(cls.names)}


class FashionMNIST(MNIST):
    """Grey 28x28 images of ten kinds of clothes, in the format and with the arguments of `MNIST`."""

    title = "Fashion-MNIST"
    remedy = public.remedy("31 MB")
    known = datasets.FashionMNIST
    names = datasets.FashionMNIST.classes
    moments = (0.2860, 0.3530)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """One IDX file of unsigned bytes, packed if its name ends in ``.gz``: a writable array of so many
    dimensions.

    Layout: two zero bytes, the type code, the number of dimensions, each size as a big-endian int32, the
    values. `DataError` where it has another format, or fewer or more bytes than the header says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:4] != bytes((0, 0, _UBYTE, dimensions)):
                raise DataError(f"{path}: no IDX file of unsigned bytes in {dimensions} dimensions")
            shape = [int(size) for size in np.frombuffer(header, ">u4", offset=4)]
            if shape[0] > _MOST_IMAGES or any(size > _SIZE for size in shape[1:]):
                raise DataError(f"{path}: its header claims {shape}, more than any such set has")
            count = int(np.prod(shape))
            content = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; delete it and set data.download=true") from error
    if len(content) != count:
        raise DataError(
            f"{path}: {len(content)} values or more where the header says {count}; "
            "delete it and fetch it again: data.download=true"
        )
    return np.frombuffer(bytearray(content), np.uint8).reshape(shape)


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes((0, 0, _UBYTE, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))
