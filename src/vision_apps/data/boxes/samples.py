"""From annotations to samples: pictures brought to one size, boxes with them, padded to one number."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Size
from vision_apps.core.errors import CorruptSample
from vision_apps.data.boxes.annotation import Annotation
from vision_apps.data.boxes.proposal_cache import PictureProposals
from vision_apps.data.images import Levels, read_image
from vision_apps.data.resizing import ResizeMode, resize_boxes, resize_picture
from vision_apps.networks.boxes import area


class BoxTable(NamedTuple):
    """The pictures of a split as few arrays: a list of many objects gets copied into every worker."""

    files: np.ndarray  # encoded paths [N]
    sizes: Tensor  # int64 [N, 2]: height and width in the file
    boxes: Tensor  # float32 [T, 4]: of all pictures, in pixels of the resized ones
    labels: Tensor  # int64 [T]
    ignored: Tensor  # bool [T]
    areas: Tensor  # float32 [T]: in pixels of the file
    starts: Tensor  # int64 [N + 1]: where a picture's boxes begin


def list_annotations(items: Sequence[Annotation], size: Size, mode: ResizeMode) -> BoxTable:
    """The pictures with their boxes where they come to lie once the pictures are resized."""
    sizes = torch.tensor([[item.height, item.width] for item in items], dtype=torch.int64)
    counts = torch.tensor([len(item.labels) for item in items], dtype=torch.int64)
    boxes = torch.from_numpy(np.concatenate([item.boxes for item in items]))
    each = sizes.repeat_interleave(counts, 0)
    areas = torch.from_numpy(np.concatenate([item.areas for item in items]))
    return BoxTable(
        np.array([os.fsencode(item.path) for item in items]),
        sizes,
        resize_boxes(boxes.unsqueeze(1), each, size, mode).squeeze(1),
        torch.from_numpy(np.concatenate([item.labels for item in items])),
        torch.from_numpy(np.concatenate([item.ignored for item in items])),
        areas.where(areas.isfinite(), area(boxes)),
        torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
    )


@dataclass
class BoxSamples:
    """Reads and resizes one picture at a time; run in loader workers, or by threads."""

    table: BoxTable
    fields: tuple[str, ...]
    size: Size
    mode: ResizeMode
    rows: int  # of boxes per picture, in all splits alike; those past a picture's objects are empty
    max_pixels: int
    regions: PictureProposals | None = None  # of the same pictures, once resized
    levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.table.files)

    def picture(self, index: int) -> Tensor:
        """The picture with this number, resized: uint8 [3, H, W]. `CorruptSample` where the file cannot be
        decoded, or its size is not the annotated one."""
        path = os.fsdecode(self.table.files[index])
        image = read_image(path, self.max_pixels, self.levels)
        height, width = self.table.sizes[index].tolist()
        if image.shape[-2:] != (height, width):
            raise CorruptSample(
                path,
                f"it has {image.shape[-1]} x {image.shape[-2]} pixels and is annotated as {width} x "
                f"{height}: the boxes are of another picture, or of this one before it was scaled or turned",
            )
        return resize_picture(image, self.size, self.mode)[0]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        own = slice(*self.table.starts[index : index + 2].tolist())
        makers: dict[str, Callable[[], Tensor]] = {
            "images": partial(self.picture, index),
            "boxes": lambda: _padded(self.table.boxes[own], self.rows, 0),
            "box_labels": lambda: _padded(self.table.labels[own], self.rows, -1),
            "ignored": lambda: _padded(self.table.ignored[own], self.rows, False),
            "areas": lambda: _padded(self.table.areas[own], self.rows, 0),
            "sizes": lambda: self.table.sizes[index].clone(),
        }
        sample = {name: makers[name]() for name in self.fields if name in makers}
        if "proposals" in self.fields:
            sample["proposals"] = torch.zeros(0, 4)
            if self.regions is not None:
                image = sample["images"] if "images" in sample else self.picture(index)
                sample["proposals"] = self.regions.of(index, image)
        return sample


def _padded(values: Tensor, rows: int, fill: float) -> Tensor:
    whole = values.new_full((rows, *values.shape[1:]), fill)
    whole[: len(values)] = values
    return whole
