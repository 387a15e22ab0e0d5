"""The same picture in two splits: what is measured on it was trained on it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from vision_apps.core.errors import CorruptSample
from vision_apps.data.images import MAX_PIXELS, Levels, read_image

AnyPath = str | bytes | Path
_THREADS = 4  # reading and decoding JPEG release the interpreter


def leakage(
    splits: Mapping[str, Sequence[AnyPath]],
    *,
    max_pixels: int = MAX_PIXELS,
    levels: Levels | None = None,
    most: int = 20,
) -> Iterator[str]:
    """One line for every picture that is also in an earlier split, be it as the same file, the same bytes or
    the same pixels in another format.

    Resized or cropped copies and neighbouring frames of a video are not recognised. Files that cannot be read
    are passed over: they are found when samples are read.

    Args:
        splits: the paths of each split, for instance of ``train``, ``val`` and ``test``.
        most: lines of pictures; what is found beyond them is counted in a last line.
    """
    first: dict[bytes, tuple[str, str]] = {}
    found = 0
    for split, paths in splits.items():
        names = [os.fsdecode(path) for path in paths]
        with ThreadPoolExecutor(_THREADS) as threads:
            hashed = threads.map(lambda name: _hashes(name, max_pixels, levels), names)
            for name, hashes in zip(names, hashed, strict=True):
                met = [first.setdefault(key, (split, name)) for key in hashes]
                other = next((place for place in met if place[0] != split), None)
                if other is None:
                    continue
                found += 1
                if found <= most:
                    yield f"leakage: {name} of {split} is the same picture as {other[1]} of {other[0]}"
    if found > most:
        yield f"leakage: {found - most} further pictures are in two splits"


def _hashes(path: str, max_pixels: int, levels: Levels | None) -> list[bytes]:
    """Of the file's bytes and of its pixels; only the first where the picture cannot be decoded."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return []
    keys = [b"file" + blake2b(content, digest_size=16).digest()]
    try:
        pixels = read_image(path, max_pixels, levels)
    except CorruptSample:
        return keys
    shape = repr(tuple(pixels.shape)).encode()
    return [*keys, b"seen" + blake2b(shape + pixels.numpy().tobytes(), digest_size=16).digest()]
