"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from their own python batches, without executing them.

A batch is a pickle, and a pickle is a program. The reader here lets it build plain values and arrays only,
the arrays by a stand-in that records their parts: nothing that a batch names is ever imported or called.
"""

import math
import pickle
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NoReturn

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import DataError
from vision_apps.data import public
from vision_apps.data.labels.memory import SmallImages

_SIZE = 32  # px
_ROW = 3 * _SIZE * _SIZE  # bytes: all red, all green, all blue values, each row by row


class _Cifar(SmallImages):
    folder: ClassVar[str]  # inside the archive
    train_files: ClassVar[tuple[str, ...]]
    test_files: ClassVar[tuple[str, ...]]
    names_file: ClassVar[str]
    names_key: ClassVar[str]
    labels_key: ClassVar[str]
    mean: ClassVar[tuple[float, ...]]  # of the 50,000 training images
    std: ClassVar[tuple[float, ...]]

    @property
    def directory(self) -> Path:
        return self.root if (self.root / self.names_file).is_file() else self.root / self.folder

    def missing(self) -> list[str]:
        files = (self.names_file, *self.train_files, *self.test_files)
        return [name for name in files if not (self.directory / name).is_file()]

    def expected(self, missing: Sequence[str]) -> str:
        return f"{self.directory.absolute()} with the files {', '.join(missing)}"

    def fetch(self) -> None:
        from torchvision import datasets

        known = getattr(datasets, type(self).__name__)
        archive = public.download([known.url], self.root, known.filename, known.tgz_md5)
        public.unpack(archive, self.root)

    @cached_property
    def names(self) -> list[str]:
        path = self.directory / self.names_file
        names = _text_keys(read_batch(path)).get(self.names_key)
        if not isinstance(names, list) or not names:
            raise DataError(f"{path}: no list of class names under {self.names_key!r}")
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names]

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {"image_size": _SIZE, "mean": list(self.mean), "std": list(self.std)}

    def read(self, part: Literal["train", "test"]) -> dict[str, Tensor]:
        classes = len(self.names)
        pixels, labels = [], []
        for name in self.train_files if part == "train" else self.test_files:
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
        folder = root / cls.folder
        folder.mkdir(parents=True)
        _write(folder / cls.names_file, {cls.names_key: classes})
        labels = [number % len(classes) for number in range(per_class * len(classes))]
        share = math.ceil(len(labels) / len(cls.train_files))
        for seed, name in enumerate((*cls.train_files, *cls.test_files)):
            own = labels if name in cls.test_files else labels[seed * share : (seed + 1) * share]
            data = np.random.default_rng(seed).integers(0, 256, (len(own), _ROW), dtype=np.uint8)
            _write(folder / name, {"data": data, cls.labels_key: own})
        return {"root": str(root), "val_images": len(classes)}


class CIFAR10(_Cifar):
    """32x32 photographs of 10 classes, held in memory.

    Args:
        root: the folder that holds the unpacked archive, or the unpacked folder itself.
        download: fetch and unpack the official archive when it is not there.
        val_images: held out of the training images, chosen by ``seed``.
    """

    title = "CIFAR-10"
    folder = "cifar-10-batches-py"
    weight = "170 MB"
    train_files = tuple(f"data_batch_{number}" for number in range(1, 6))
    test_files = ("test_batch",)
    names_file = "batches.meta"
    names_key = "label_names"
    labels_key = "labels"
    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2470, 0.2435, 0.2616)


class CIFAR100(_Cifar):
    """32x32 photographs of 100 fine classes, in the format and with the arguments of `CIFAR10`."""

    title = "CIFAR-100"
    folder = "cifar-100-python"
    weight = "169 MB"
    train_files = ("train",)
    test_files = ("test",)
    names_file = "meta"
    names_key = "fine_label_names"
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

    Raises:
        DataError: the file is truncated, no such dict, or asks for anything but plain values and arrays.
    """
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
