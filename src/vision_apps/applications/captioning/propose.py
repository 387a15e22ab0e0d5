"""Boxes for pictures that no detector knows: selective search, which asks for no class, written as a file of
regions::

    python -m vision_apps.applications.captioning.propose data/ucm/images boxes.npz --most 20

Then ``data.regions=boxes.npz``. It needs ``pip install 'vision-apps[proposals]'``.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from vision_apps.core.errors import CorruptSample, DataError, UserError
from vision_apps.core.neutral import visible
from vision_apps.core.progress import duration
from vision_apps.data.boxes.proposals import selective_search
from vision_apps.data.captions.regions import BOXES
from vision_apps.data.images import read_image
from vision_apps.data.on_disk import pictures_below

LEAST_SHARE = 0.01  # of the picture's area: what is smaller is a detail
ALIKE = 0.5  # IoU from which two proposals are one
_SECONDS = 10  # between lines about the progress


def proposals(image: Tensor, most: int) -> Tensor:
    """The first proposals of selective search that are no details and overlap no earlier one by half.

    Args:
        image: uint8 [3, H, W].

    Returns:
        float32 [n, 4], x1, y1, x2, y2 in pixels, at most ``most`` of them.
    """
    found = selective_search(image)
    sides = found[:, 2:] - found[:, :2]
    large = found[sides.prod(1) >= LEAST_SHARE * image.shape[-1] * image.shape[-2]]
    rank = -torch.arange(len(large), dtype=torch.float32)
    return large[nms(large, rank, ALIKE)[:most]]


def write(folder: Path, out: Path, most: int = 20) -> int:
    """Write the boxes of all pictures below a folder, by their names below it; returns how many pictures that
    are. A picture that cannot be read is told and left out. `DataError` where there are
    none."""
    paths = sorted(pictures_below(folder))
    arrays: dict[str, np.ndarray] = {}
    started = shown = time.monotonic()
    for number, path in enumerate(paths, 1):
        name = os.path.relpath(path, folder).replace(os.sep, "/")
        try:
            arrays[f"{name}_{BOXES}"] = proposals(read_image(path), most).numpy()
        except CorruptSample as problem:
            print(f"left out: {visible(problem)}", file=sys.stderr, flush=True)
        now = time.monotonic()
        if now - shown > _SECONDS:
            shown, left = now, (now - started) / number * (len(paths) - number)
            print(f"{number} of {len(paths)} pictures · {duration(left)} left", file=sys.stderr, flush=True)
    if not arrays:
        raise DataError(f"{folder}: no picture can be read there")
    temporary = out.with_name(f".{os.getpid()}-{out.name}")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, out)
    return len(arrays)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("propose", description="Write a file of regions from selective search.")
    parser.add_argument("folder", type=Path, help="of pictures, searched below")
    parser.add_argument("out", type=Path, help="such as boxes.npz")
    parser.add_argument("--most", type=int, default=20, help="boxes of a picture")
    given = parser.parse_args(words)
    if given.out.suffix != ".npz" or given.most < 1:
        parser.error("expected a file that ends in .npz, and --most of at least 1")
    try:
        count = write(given.folder, given.out, given.most)
    except UserError as error:
        print(f"error: {visible(error)}", file=sys.stderr)
        return error.status
    print(f"{given.out}: boxes of {count} pictures; use them with data.regions={given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
