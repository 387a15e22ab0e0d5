"""From captions to samples: the picture brought to one size, its captions as numbers and as text."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Size
from vision_apps.data.captions.regions import PictureRegions
from vision_apps.data.captions.words import as_bytes, encoded
from vision_apps.data.images import Levels, read_image
from vision_apps.data.resizing import ResizeMode, resize_picture


class CaptionTable(NamedTuple):
    """The pictures of a split as few arrays: a list of many objects gets copied into every worker."""

    files: np.ndarray  # encoded paths [N]
    texts: (
        Tensor  # uint8 [T]: all words of all captions as UTF-8, each with a space or a line's end behind it
    )
    starts: Tensor  # int64 [N + 1]: where a picture's captions begin
    numbers: dict[str, int]  # of the words


def table(
    paths: Sequence[str], captions: Sequence[Sequence[Sequence[str]]], numbers: dict[str, int]
) -> CaptionTable:
    """Of each picture its path and the words of its captions."""
    texts = ["\n".join(" ".join(words) for words in own).encode() for own in captions]
    starts = torch.tensor([0, *map(len, texts)]).cumsum(0)
    joined = torch.frombuffer(bytearray(b"".join(texts)), dtype=torch.uint8)
    return CaptionTable(np.array([os.fsencode(path) for path in paths]), joined, starts, numbers)


@dataclass
class CaptionSamples:
    """Reads and resizes one picture at a time; run in loader workers, or by threads."""

    table: CaptionTable
    fields: tuple[str, ...]
    size: Size
    mode: ResizeMode
    rows: int  # of captions per picture, in all splits alike; those past a picture's own are empty
    most: int  # words of a caption
    max_pixels: int
    regions: PictureRegions | None = None  # of the same pictures
    levels: Levels | None = None
    ragged = ("references",)

    def __len__(self) -> int:
        return len(self.table.files)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        own = slice(*self.table.starts[index : index + 2].tolist())
        lines = self.table.texts[own].numpy().tobytes().decode().split("\n")
        words = [line.split(" ") for line in lines]
        sample = {}
        if "images" in self.fields:
            image = read_image(os.fsdecode(self.table.files[index]), self.max_pixels, self.levels)
            sample["images"] = resize_picture(image, self.size, self.mode)[0]
        if "captions" in self.fields:
            sample["captions"] = encoded(words, self.table.numbers, self.rows, self.most)
        if "references" in self.fields:
            sample["references"] = as_bytes(words)
        if self.regions is not None:
            sample |= self.regions.of(index, self.fields)
        return sample
