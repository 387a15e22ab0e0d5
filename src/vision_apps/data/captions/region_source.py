"""Where the regions of a data set come from, as ``data.regions`` says it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Size
from vision_apps.core.errors import CorruptSample, DataError, some
from vision_apps.data.captions.regions import PictureRegions, RegionFiles, cut
from vision_apps.data.detector import RegionDetector, opened
from vision_apps.data.resizing import ResizeMode, resize_boxes

log = logging.getLogger(__name__)

_ANEW = (
    "data.regions: %s %s; the detector in the checkpoint finds the boxes anew, in pictures that are resized "
    "already, so that figures may differ a little"
)
_NAMED = 3  # in an error
FACTS = ("regions", "region_width", "detector")  # names of `Source.facts`
FIELDS = ("regions", "region_features")  # of samples, which data may offer


class Source(NamedTuple):
    """One of a detector, files, or boxes that the data have themselves."""

    detector: RegionDetector | None = None
    node: dict[str, Any] | None = None  # from which the detector is built
    files: RegionFiles | None = None
    known: Mapping[str, Any] | None = None  # facts of a run whose own detector finds the boxes

    @property
    def facts(self) -> dict[str, Any]:
        """``regions``, what kind of source it is, ``region_width`` and ``detector``."""
        if self.known is not None:
            return {name: self.known[name] for name in FACTS}
        kind = "detector" if self.detector else "files" if self.files else "objects"
        width = self.files.width if self.files else None
        return {"regions": kind, "region_width": width, "detector": self.node}

    @property
    def offers(self) -> tuple[str, ...]:
        """Those of `FIELDS` that samples have."""
        return () if self.known is not None else FIELDS[: 1 + (self.facts["region_width"] is not None)]


def source_of(place: str, most: int, known: Mapping[str, Any] | None) -> Source:
    """What is there. `DataError` where nothing is, or no regions.

    Args:
        place: a run folder or a checkpoint, or a file or folder as `RegionFiles` has them.
        most: boxes of a picture.
        known: facts of the run that is gone on with; it has a detector of its own, which finds the boxes
            where the run that it was taken from is gone, or is another one now.
    """
    path = Path(place)
    in_run = path.is_dir() and (path / "config.yaml").is_file()
    if path.suffix.lower() == ".npz" or (path.is_dir() and not in_run):
        if not path.exists():
            raise DataError(f"data.regions: there is no file {path.absolute()}")
        files = RegionFiles(path)
        taught = (known or {}).get("region_width", files.width)
        if taught != files.width:
            raise DataError(
                f"data.regions: {path} has {files.width or 'no'} features of each box; this run was taught "
                f"with {taught or 'none'}"
            )
        return Source(files=files)
    own = (known or {}).get("detector")
    if own is not None and not path.exists():
        log.warning(_ANEW, place, "is gone")
        return Source(known=known)
    detector, node = opened(place, most, RegionDetector)
    if own is not None and {**own, "weights": node["weights"]} != node:
        log.warning(_ANEW, place, "is no longer what this run was trained with")
        return Source(known=known)
    return Source(detector, node)


class Listed(NamedTuple):
    """What files say of pictures."""

    found: dict[str, tuple[np.ndarray, np.ndarray]]  # by the picture's path: boxes [n, 4], which rows
    broken: list[CorruptSample]


def read_files(
    files: RegionFiles, sizes: Mapping[str, Sequence[int]], names: Mapping[str, str], most: int
) -> Listed:
    """The regions of pictures, cut to them: the first ``most`` that have an area there. What is cut, left out
    or too much is told with its count; a picture that the files do not have is broken.

    Args:
        sizes: height and width of each picture, by its path.
        names: what each is called, by its path.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    broken: list[CorruptSample] = []
    taken: dict[str, str] = {}  # what was found in the files, to the picture
    if sizes and not any(map(files.of, names.values())):
        raise DataError(
            f"data.regions: {files.place} has boxes of none of {len(sizes)} pictures, such as "
            f"{next(iter(names.values()))}; it has those of {some(list(files.entries), _NAMED)}"
        )
    total = reached_out = outside = beyond = 0
    for path, size in sizes.items():
        entry = files.of(names[path])
        if entry is None:
            broken.append(CorruptSample(path, f"has no boxes in {files.place}"))
            continue
        if (other := taken.setdefault(entry.source, path)) != path:
            raise DataError(
                f"data.regions: {entry.source} would be of both {other} and {path}; call the arrays as the "
                "pictures with their folders, as in train/a_boxes"
            )
        try:
            boxes = files.boxes(entry)
        except CorruptSample as problem:
            broken.append(CorruptSample(path, f"its regions: {problem}"))
            continue
        own = cut(boxes, size)
        found[path] = (own.boxes[:most], own.rows[:most])
        total += len(boxes)
        reached_out += own.reached_out
        outside += own.outside
        beyond += max(0, len(own.rows) - most)
    if reached_out or outside:
        log.warning(
            "data.regions: of %d boxes in %s %d reach out of their pictures and are cut, and %d have no area "
            "in them and are left out; expected x1, y1, x2, y2 in pixels of the picture",
            *(total, files.place, reached_out, outside),
        )
    if beyond:
        log.info("data.most_regions: %d leaves out %d of %d boxes", most, beyond, total)
    if reached_out + outside > total / 2:
        raise DataError(
            f"data.regions: {reached_out + outside} of {total} boxes in {files.place} lie outside of their "
            "pictures or reach out of them; expected x1, y1, x2, y2 in pixels of the picture's file"
        )
    return Listed(found, broken)


def fitted(
    boxes: Sequence[np.ndarray] | Tensor, sizes: Tensor, most: int, size: Size, mode: ResizeMode
) -> Tensor:
    """Boxes in pixels of files, [n, 4] of each, in pixels of the resized pictures: float32 [N, most, 4].

    Args:
        sizes: height and width of the files, int64 [N, 2].
    """
    if not isinstance(boxes, Tensor):
        whole = torch.zeros(len(boxes), most, 4)
        for row, own in zip(whole, boxes, strict=True):
            row[: len(own)] = torch.from_numpy(own)
        boxes = whole
    # of a broken file, which nobody will see, the size is not known
    return resize_boxes(boxes, sizes.clamp(min=1), size, mode)


def of_files(
    files: RegionFiles,
    listed: Mapping[str, tuple[np.ndarray, np.ndarray]],
    paths: Sequence[str],
    names: Sequence[str],
    boxes: Tensor,
) -> PictureRegions:
    """The regions of pictures from files, of which ``boxes`` are `fitted`."""
    entries = [entry for name in names if (entry := files.of(name)) is not None]
    return PictureRegions(boxes, files, entries, [listed[path][1] for path in paths])
