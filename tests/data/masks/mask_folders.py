"""Folders of pictures and masks as tests write and read them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.core.errors import DataError
from vision_apps.data.masks.folder import MaskFolder

SPLITS = ("train", "val", "test")


def write(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def prepared(root: Path, **options: Any) -> MaskFolder:
    settings = {"image_size": (2, 3), "class_names": ["background", "object"]} | options
    data = MaskFolder(str(root), **settings)
    data.prepare_data()
    return data


def every(data: MaskFolder) -> list[dict[str, torch.Tensor]]:
    found = []
    for split in SPLITS:
        samples: Any = data.load(split, ("images", "masks"))
        found += [samples[index] for index in range(len(samples))]
    return found


def counts(data: MaskFolder) -> list[int]:
    return [len(data.load(split, ("images",))) for split in SPLITS]


def refusal(root: Path, kind: type[Exception] = DataError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        every(prepared(root, **options))
    return str(caught.value)
