"""Pictures and frames, read and encoded ahead of the network."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from itertools import groupby, repeat
from typing import NamedTuple, NoReturn

from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError, UserError
from vision_apps.core.fields import Fields
from vision_apps.data import images
from vision_apps.prediction import video
from vision_apps.prediction.ahead import ahead
from vision_apps.prediction.inputs import WEBCAM, Input

Encode = Callable[[Tensor | None, Mapping[str, str]], Fields]  # as a module's `encode`

_READERS = 2  # threads that decode pictures


class Item(NamedTuple):
    """What is asked about one picture or frame or about none, or why it cannot be asked."""

    source: int  # which of the inputs it is from
    inputs: Fields | None = None  # a batch of one
    image: Tensor | None = None  # uint8 [3, H, W]
    error: str = ""
    frame: video.Frame | None = None
    footage: video.Footage | None = None

    @property
    def pixels(self) -> int:
        return 0 if self.image is None else self.image[0].numel()


def read(
    inputs: list[Input],
    encode: Encode,
    every: int = 1,
    seconds: float | None = None,
    levels: images.Levels | None = None,
) -> Generator[Item, None, None]:
    """All pictures and frames in the order of ``inputs``, decoded ahead by threads; a few are held at most.

    Args:
        encode: from a picture uint8 [1, 3, H, W] or None, and words, to the inputs of the application.
        every: of a video or webcam, take the first of so many frames.
        seconds: of each video or webcam.
        levels: black and white of pictures with more than 8 bits, as the run was trained with.
    """
    for is_film, group in groupby(enumerate(inputs), lambda numbered: numbered[1].is_film):
        if not is_film:
            jobs = (partial(_still, index, source, encode, levels) for index, source in group)
            yield from ahead(jobs, _READERS, lambda item: item.pixels)
            continue
        for index, source in group:
            with closing(_frames(index, source, encode, every, seconds)) as frames:
                one_by_one = repeat(partial(next, frames, None))  # by one thread
                yield from ahead(one_by_one, 1, lambda item: item.pixels)


class _Words(dict[str, str]):
    def __missing__(self, word: str) -> NoReturn:
        raise DataError(
            f"{word}: not said; expected --with {word}=..., in Python {word}=..., or a row that has it"
        )


def _asked(encode: Encode, image: Tensor | None, words: Mapping[str, str]) -> Fields:
    """The inputs of one; what the application's own code stumbles over is an error of this input."""
    try:
        return encode(None if image is None else image[None], _Words(words))
    except (LookupError, ValueError) as error:
        said, why = dict(words), f"{type(error).__name__}: {error}"
        raise DataError(f"{said}: not understood ({why}); predict RUN --help says what is taken") from error


def _still(index: int, source: Input, encode: Encode, levels: images.Levels | None) -> Item:
    if source.error:
        return Item(index, error=source.error)
    try:
        image = source.image
        if image is None and source.kind == "picture":
            image = images.read_image(source.name, levels=levels)
        return Item(index, _asked(encode, image, source.words), image)
    except UserError as error:
        return Item(index, error=_reason(error))


def _frames(
    index: int, source: Input, encode: Encode, every: int, seconds: float | None
) -> Generator[Item, None, None]:
    webcam = WEBCAM.fullmatch(source.name) if source.kind == "webcam" else None
    place = int(webcam[1] or 0) if webcam else source.name
    try:
        with closing(video.Footage(place, every, seconds)) as footage:
            for frame in footage.frames():
                inputs = _asked(encode, frame.image, source.words)
                yield Item(index, inputs, frame.image, frame=frame, footage=footage)
    except UserError as error:
        yield Item(index, error=_reason(error))


def _reason(error: UserError) -> str:
    return error.reason if isinstance(error, CorruptSample) else str(error)
