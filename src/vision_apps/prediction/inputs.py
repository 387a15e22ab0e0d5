"""What the words after a run name, and reading it ahead of the network."""

import glob
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import groupby, repeat
from pathlib import Path
from typing import Literal, NamedTuple

from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.data import images
from vision_apps.prediction import video
from vision_apps.prediction.ahead import ahead

_WEBCAM = re.compile(r"webcam(?::(\d+))?")
_READERS = 2  # threads that decode pictures


class Input(NamedTuple):
    name: str  # a path, or the word that named a webcam
    kind: Literal["picture", "video", "webcam"]


class Item(NamedTuple):
    """One picture or frame, or why there is none."""

    source: int  # which of the inputs it is from
    image: Tensor | None = None  # uint8 [3, H, W]
    error: str = ""
    frame: video.Frame | None = None
    footage: video.Footage | None = None

    @property
    def pixels(self) -> int:
        return 0 if self.image is None else self.image[0].numel()


def find(words: list[str]) -> list[Input]:
    """The inputs that files, folders (searched below), glob patterns, ``@list.txt`` (one of these a line),
    ``webcam`` and ``webcam:1`` name: sorted within a word, and each once.

    Raises:
        DataError: a word that matches nothing.
        ConfigError: there are videos and OpenCV is not installed.
    """
    found: dict[Input, None] = {}
    for word in _listed(words):
        found |= dict.fromkeys(_matches(word))
    if any(item.kind != "picture" for item in found):
        video.require()
    return list(found)


def _listed(words: list[str]) -> Iterator[str]:
    for word in words:
        if not word.startswith("@") or Path(word).exists():
            yield word
            continue
        try:
            lines = Path(word[1:]).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{word}: expected a text file with one input a line: {error}") from error
        yield from (line.strip() for line in lines if line.strip())


def _matches(word: str) -> list[Input]:
    path = Path(word)
    if path.is_dir():
        known = (*images.EXTENSIONS, *video.EXTENSIONS)
        paths = sorted(p for p in path.rglob("*") if p.suffix.lower() in known)
    elif path.is_file():
        paths = [path]
    elif _WEBCAM.fullmatch(word):
        return [Input(word, "webcam")]
    else:
        paths = sorted(Path(p) for p in glob.glob(word, recursive=True) if Path(p).is_file())
    if not paths:
        what = "has no pictures or videos" if path.is_dir() else "matches no file"
        raise DataError(
            f"{word} {what}: expected a picture ({', '.join(sorted(images.EXTENSIONS))}), a video "
            f"({', '.join(sorted(video.EXTENSIONS))}), a folder, a pattern such as 'photos/*.jpg', or webcam"
        )
    return [Input(str(p), "video" if p.suffix.lower() in video.EXTENSIONS else "picture") for p in paths]


def read(inputs: list[Input], every: int = 1, seconds: float | None = None) -> Generator[Item, None, None]:
    """All pictures and frames in the order of ``inputs``, decoded ahead by threads; a few are held at most.

    Args:
        every: of a video or webcam, take the first of so many frames.
        seconds: of each video or webcam.
    """
    for is_picture, group in groupby(enumerate(inputs), key=lambda numbered: numbered[1].kind == "picture"):
        if is_picture:
            jobs = (partial(_picture, index, source.name) for index, source in group)
            yield from ahead(jobs, _READERS, lambda item: item.pixels)
            continue
        for index, source in group:
            with closing(_frames(index, source, every, seconds)) as frames:
                one_by_one = repeat(partial(next, frames, None))  # by one thread
                yield from ahead(one_by_one, 1, lambda item: item.pixels)


def _picture(index: int, name: str) -> Item:
    try:
        return Item(index, images.read_image(name))
    except CorruptSample as broken:
        return Item(index, error=broken.reason)


def _frames(index: int, source: Input, every: int, seconds: float | None) -> Generator[Item, None, None]:
    webcam = _WEBCAM.fullmatch(source.name) if source.kind == "webcam" else None
    place = int(webcam[1] or 0) if webcam else source.name
    footage = None
    try:
        footage = video.Footage(place, every, seconds)
        for frame in footage.frames():
            yield Item(index, frame.image, frame=frame, footage=footage)
    except CorruptSample as broken:
        yield Item(index, error=broken.reason)
    finally:
        if footage is not None:
            footage.close()
