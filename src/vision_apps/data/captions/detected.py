"""Regions that a trained run of detection finds: of pictures in files once, kept beside them."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from vision_apps.core.errors import CorruptSample
from vision_apps.data.detector import RegionDetector
from vision_apps.data.feature_store import Computed, Field, Store, keep
from vision_apps.data.images import Levels, read_image

log = logging.getLogger(__name__)

FOLDER = ".regions"
_TOGETHER = 16  # pictures of one size that are looked at at once; of those in memory
_IN_MEMORY = 64


def regions_of(detector: RegionDetector, images: Tensor, title: str) -> Tensor:
    """The boxes of pictures in memory, uint8 [N, 3, H, W], in their pixels: float32 [N, most, 4].

    Args:
        title: of the pictures, for what is told.
    """
    log.info("%s: looked for in %d pictures", title, len(images))
    return torch.cat([detector(part) for part in images.split(_IN_MEMORY)])


def kept_regions(
    detector: RegionDetector,
    files: Sequence[str],
    names: Sequence[str],
    cache: Path,
    max_pixels: int,
    title: str,
    levels: Levels | None = None,
) -> tuple[Tensor, Tensor]:
    """The boxes of pictures in files, in pixels of these, float32 [N, most, 4], and the files' height and
    width, int64 [N, 2]: from ``cache`` where it has them, found and kept there where not. Of a broken file
    all are 0.

    Args:
        names: of the pictures, wherever they lie.
        title: of the pictures, for what is told.

    Raises:
        DataError: they cannot be kept there, or what lies there is damaged.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        known = os.stat(file)
        digest.update(f"{name}\0{known.st_size} {known.st_mtime_ns}\0".encode(errors="surrogateescape"))
    made_of = {
        "pictures": digest.hexdigest()[:16],
        "detector": detector.identity,
        "most": detector.most,
        "least_score": detector.least_score,
        **({"levels": list(levels)} if levels else {}),
    }
    fields = {
        "regions": Field((detector.most, 4), torch.float32),
        "sizes": Field((2,), torch.int64),
    }

    def compute() -> Computed:
        detector.to(device)
        for numbers, images in _read(files, max_pixels, levels):
            sizes = torch.tensor([images.shape[-2:]] * len(images))
            yield numbers, {"regions": detector(images.to(device)), "sizes": sizes}
        detector.cpu()

    store: Store = keep(cache, made_of, len(files), fields, compute, title=title, key="data.regions_cache")
    every = list(range(len(files)))
    return store.rows("regions", every), store.rows("sizes", every)


def _read(files: Sequence[str], max_pixels: int, levels: Levels | None) -> Iterator[tuple[list[int], Tensor]]:
    """Pictures that can be read, a few of one size at a time."""
    for start in range(0, len(files), _TOGETHER):
        read = []
        for number in range(start, min(start + _TOGETHER, len(files))):
            try:
                read.append((number, read_image(files[number], max_pixels, levels)))
            except CorruptSample:
                continue  # the loader says so, or leaves it out
        for _, group in groupby(read, lambda one: one[1].shape):
            numbers, images = zip(*group, strict=True)
            yield list(numbers), torch.stack(images)
