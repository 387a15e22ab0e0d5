"""Region proposals kept on disk, each with a fingerprint of the pixels that it was computed from.

A folder holds parts, plain arrays of some pictures each, written under another name and renamed: what was
computed before an interruption is read and not computed again.
"""

import hashlib
import io
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.core.hardware import cores
from vision_apps.core.progress import duration
from vision_apps.data.archives import require_bounded
from vision_apps.data.boxes.proposals import VERSION, Mode, selective_search
from vision_apps.data.on_disk import read_only

log = logging.getLogger(__name__)

_PART = 64  # pictures: what an interruption costs
_COMPARED = 16  # pictures, spread over all, whose pixels are compared before anything else
_SECONDS = 10  # between lines about the progress
_ARRAYS = ("keys", "pixels", "counts", "boxes")


class _Kept(NamedTuple):
    pixels: str
    boxes: np.ndarray  # float32 [p, 4]


def fingerprint(image: Tensor) -> str:
    """A hash, 16 hexadecimal digits, of the pixels and shape of a picture uint8 [3, H, W]."""
    digest = hashlib.blake2b(repr(tuple(image.shape)).encode(), digest_size=8)
    digest.update(image.contiguous().numpy().tobytes())
    return digest.hexdigest()


class PictureProposals:
    """Proposals of the pictures of a split, in their order.

    Args:
        folder: where they are kept.
        kept: one per picture; none for a picture that cannot be read.
    """

    def __init__(self, folder: Path, keys: Sequence[str], kept: Sequence[_Kept | None]) -> None:
        self.folder = str(folder)
        self.keys = np.array(keys)
        self.pixels = np.array([one.pixels if one else "" for one in kept])
        boxes = [one.boxes if one else np.zeros((0, 4), np.float32) for one in kept]
        counts = torch.tensor([len(own) for own in boxes], dtype=torch.int64)
        self.starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        self.boxes = torch.from_numpy(np.concatenate(boxes))
        self.most = max(1, int(counts.max()))

    def of(self, index: int, image: Tensor) -> Tensor:
        """float32 [P, 4], zero rows past the proposals. `DataError` where they were computed from other
        pixels."""
        if (now := fingerprint(image)) != self.pixels[index]:
            raise DataError(
                f"data.proposals: the kept proposals are of other pictures: for {self.keys[index]} they were "
                f"computed from pixels {self.pixels[index]}, the picture now has {now}\n"
                f"  Delete them and they are computed again: {self.folder}\n"
                "  Or keep those of this data elsewhere: data.proposals_cache=/path/to/a/folder"
            )
        own = self.boxes[self.starts[index] : self.starts[index + 1]]
        return torch.cat([own, own.new_zeros(self.most - len(own), 4)])


def proposals_of(
    keys: Sequence[str],
    picture: Callable[[int], Tensor],
    mode: Mode,
    limit: int,
    cache: Path,
    *,
    skip_broken: bool = False,
) -> PictureProposals:
    """Selective search of all pictures, from ``cache`` where it has them, computed and kept where not.
    `DataError` where the cache is damaged or of other pictures, or cannot be written.

    Args:
        keys: a name for each picture, the same in every run.
        picture: from a number to uint8 [3, H, W]; called by several threads.
        cache: folder; below it each way to compute has its own.
        skip_broken: pictures that raise `CorruptSample` get no proposals.
    """
    folder = cache / f"{mode}-{limit}-v{VERSION}"
    known = _read(folder)
    missing = [number for number, key in enumerate(keys) if key not in known]
    if missing:
        known |= _compute(keys, picture, mode, limit, folder, missing, skip_broken)
    found = PictureProposals(folder, keys, [known.get(key) for key in keys])
    count = len(keys)
    for number in sorted({count * part // _COMPARED for part in range(_COMPARED)} if count else ()):
        try:
            image = picture(number)
        except CorruptSample:
            if not skip_broken:
                raise
        else:
            found.of(number, image)
    return found


def _compute(
    keys: Sequence[str],
    picture: Callable[[int], Tensor],
    mode: Mode,
    limit: int,
    folder: Path,
    missing: list[int],
    skip_broken: bool,
) -> dict[str, _Kept]:
    def one(number: int) -> _Kept | None:
        try:
            image = picture(number)
        except CorruptSample:
            if skip_broken:
                return None
            raise
        return _Kept(fingerprint(image), selective_search(image, mode, limit).numpy())

    if place := read_only(folder):  # told before anything is computed
        raise _cannot_keep(folder, f"{place} is read-only")
    log.info("selective search (%s) of %d pictures, kept in %s", mode, len(missing), folder)
    started = shown = time.monotonic()
    found: dict[str, _Kept] = {}
    # threads: OpenCV computes without Python's lock
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(missing), _PART):
            numbers = missing[start : start + _PART]
            kept = {
                keys[number]: one for number, one in zip(numbers, pool.map(one, numbers), strict=True) if one
            }
            if kept:
                _write(folder, kept)
            found |= kept
            now, done = time.monotonic(), start + len(numbers)
            if now - shown > _SECONDS and done < len(missing):
                shown, left = now, (now - started) / done * (len(missing) - done)
                print(
                    f"proposals: {done} of {len(missing)} pictures · {duration(left)} left",
                    file=sys.stderr,
                    flush=True,
                )
    return found


def _write(folder: Path, kept: dict[str, _Kept]) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        keys=np.array(list(kept)),
        pixels=np.array([one.pixels for one in kept.values()]),
        counts=np.array([len(one.boxes) for one in kept.values()]),
        boxes=np.concatenate([one.boxes for one in kept.values()]),
    )
    name = hashlib.blake2b("\n".join(kept).encode(), digest_size=8).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # several processes may compute the same: each writes its own file, the last name wins
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-")
        with os.fdopen(handle, "wb") as file:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / f"{name}.npz")
    except OSError as error:
        raise _cannot_keep(folder, error.strerror or str(error)) from error


def _cannot_keep(folder: Path, why: str) -> DataError:
    return DataError(
        f"data.proposals: they cannot be kept in {folder}: {why}\n"
        "  Say where they can: data.proposals_cache=/path/to/a/folder"
    )


def _read(folder: Path) -> dict[str, _Kept]:
    found: dict[str, _Kept] = {}
    for path in sorted(folder.glob("*.npz")):
        try:
            require_bounded(path)
            # of bytes, because numpy leaves the file of a damaged archive open
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as part:
                keys, pixels, counts, boxes = (part[name] for name in _ARRAYS)
            if not len(keys) == len(pixels) == len(counts) or boxes.shape != (counts.sum(), 4):
                raise ValueError("its arrays do not belong together")
            each = np.split(boxes.astype(np.float32, copy=False), counts.cumsum()[:-1])
        except Exception as error:  # a damaged archive fails in many ways
            raise DataError(
                f"data.proposals: {path} cannot be read: {error}\n"
                "  Delete it and its proposals are computed again."
            ) from error
        found |= {str(key): _Kept(str(of), own) for key, of, own in zip(keys, pixels, each, strict=True)}
    return found
