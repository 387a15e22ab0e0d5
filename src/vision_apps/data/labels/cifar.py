"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from their own python batches, without executing them.

A batch is a pickle, and a pickle is a program. The reader here lets it build plain values and arrays only,
the arrays by a stand-in that records their parts: nothing that a batch names is ever imported or called.
"""

import math
import pickle
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from vision_apps.core.errors import DataError
from vision_apps.data import public
from vision_apps.data.labels.memory import SmallImages

_SIZE = 32  # px
_ROW = 3 * _SIZE * _SIZE  # bytes: all red, all green, all blue values, each row by row


class _Cifar(SmallImages):
    image_size = _SIZE
    known: ClassVar[type[datasets.CIFAR10]]  # torchvision's: what the official files are called
    labels_key: ClassVar[str]

    @property
    def directory(self) -> Path:
        whole = (self.root / self.known.meta["filename"]).is_file()
        return self.root if whole else self.root / self.known.base_folder

    @property
    def expected(self) -> str:
        return f"{self.directory.absolute()} with the files {', '.join(self.missing())}"

    def missing(self) -> list[str]:
        listed = [name for name, _ in (*self.known.train_list, *self.known.test_list)]
        return [n for n in (self.known.meta["filename"], *listed) if not (self.directory / n).is_file()]

    def fetch(self) -> None:
        archive = public.download([self.known.url], self.root, self.known.filename, self.known.tgz_md5)
        public.unpack(archive, self.root)

    @cached_property
    def names(self) -> list[str]:
        path, key = self.directory / self.known.meta["filename"], self.known.meta["key"]
        names = _text_keys(read_batch(path)).get(key)
        if not isinstance(names, list) or not names:
            raise DataError(f"{path}: no list of class names under {key!r}")
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names]

    def read(self, part: Literal["train", "test"]) -> dict[str, Tensor]:
        classes = len(self.names)
        pixels, labels = [], []
        for name, _ in self.known.train_list if part == "train" else self.known.test_list:
            path = self.directory / name
            batch = _text_keys(read_batch(path))
            data, targets = batch.get("data"), batch.get(self.labels_key)
            if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _ROW:
                raise DataError(f"{path}: expected an array 'data' of uint8 [images, {_ROW}]")
            if not isinstance(targets, list) or len(targets) != len(data):
                raise DataError(f"{path}: expected a list {self.labels_key!r} of {len(data)} labels")
            if not all(isinstance(target, int) and 0 <= target < classes for target in targets):
                raise DataError(f"{path}: expected whole labels from 0 to {classes - 1}")
            pixels.append(data)
            labels.extend(targets)
        return {
            "images": torch.from_numpy(np.concatenate(pixels)).view(-1, 3, _SIZE, _SIZE),
            "labels": torch.tensor(labels, dtype=torch.int64),
        }

    @classmethod
    def fake(cls, root: Path, *, per_class: int = 8) -> dict[str, object]:
        """Batches in the official layout, ``per_class`` images of each class in train and in test."""
        classes = [f"kind {number}" for number in range(10 if cls is CIFAR10 else 100)]
        folder = root / cls.known.base_folder
        folder.mkdir(parents=True)
        _write(folder / cls.known.meta["filename"], {cls.known.meta["key"]: classes})
        labels = [number % len(classes) for number in range(per_class * len(classes))]
        parts = len(cls.known.train_list)
        share = math.ceil(len(labels) / parts)
        for seed, (name, _) in enumerate((*cls.known.train_list, *cls.known.test_list)):
            own = labels[seed * share : (seed + 1) * share] if seed < parts else labels
            data = np.random.default_rng(seed).integers(0, 256, (len(own), _ROW), dtype=np.uint8)
            _write(folder / name, {"data": data, cls.labels_key: own})
        return {"root": str(root), "val_images": len(classes)}


class CIFAR10(_Cifar):
    """32x32 photographs of 10 classes, held in memory.

    Args:
        root: the folder that holds the unpacked archive, or the unpacked folder itself.
        download: fetch and unpack the official archive when it is not there.
        val_images: held out of the training images, chosen by ``split_seed``.
    """

    title = "CIFAR-10"
    remedy = public.remedy("170 MB")
    known = datasets.CIFAR10
    labels_key = "labels"
    mean = (0.4914, 0.4822, 0.4465)  # of the 50,000 training images
    std = (0.2470, 0.2435, 0.2616)


class CIFAR100(_Cifar):
    """32x32 photographs of 100 fine classes, in the format and with the arguments of `CIFAR10`."""

    title = "CIFAR-100"
    remedy = public.remedy("169 MB")
    known = datasets.CIFAR100
    labels_key = "fine_labels"
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)


class _Type:
    """Stands for ``numpy.dtype`` in a pickle."""

    def __init__(self, code: object = None, *_: object) -> None:
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:  # byte order and alignment: nothing for single bytes
        pass


class _Array:
    """Stands for ``numpy.ndarray`` in a pickle: keeps the parts, which ``_array`` checks and joins."""

    def __init__(self, *_: object) -> None:
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state


def _latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes under pickle protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in the encoding {encoding!r}")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    _STAND_INS: ClassVar[dict[tuple[str, str], type | Callable[[str, str], bytes]]] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("_codecs", "encode"): _latin1,
    }

    def find_class(self, module: str, name: str) -> type | Callable[[str, str], bytes]:
        if (module, name) not in self._STAND_INS:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which no CIFAR batch needs; not executed"
            )
        return self._STAND_INS[module, name]

    def persistent_load(self, pid: object) -> NoReturn:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_batch(path: Path) -> dict[object, object]:
    """One python batch, official (Python 2) or written anew: a dict of plain values and uint8 arrays.
    `DataError` where the file is truncated, no such dict, or asks for anything but plain values and
    arrays."""
    try:
        with open(path, "rb") as file:
            content = _Reader(file, encoding="bytes").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dict")
        return {key: _array(value) if isinstance(value, _Array) else value for key, value in content.items()}
    except Exception as error:  # hostile or broken opcodes raise nearly anything
        raise DataError(
            f"{path}: cannot be read as a CIFAR batch: {error or type(error).__name__}\n"
            "  If the file is incomplete, delete its folder and fetch it again: data.download=true"
        ) from error


def _array(parts: _Array) -> np.ndarray:
    _version, shape, dtype, column_major, content = parts.state
    if not isinstance(dtype, _Type) or dtype.code != "u1" or not isinstance(content, bytes):
        raise pickle.UnpicklingError("an array of something other than uint8")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if column_major else "C")


def _text_keys(batch: dict[object, object]) -> dict[object, object]:
    return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in batch.items()}


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))
