"""What is written for each input."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, RunError, some
from vision_apps.core.fields import Fields
from vision_apps.core.neutral import visible
from vision_apps.core.pictures import to_pil
from vision_apps.core.presentation import Presentation, Row
from vision_apps.prediction import gradcam
from vision_apps.prediction.coco_results import ANNOTATIONS, RESULTS, Listed, results
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.ours import Ours, told
from vision_apps.prediction.reading import Item
from vision_apps.prediction.video import VideoFile

ROWS = "predictions.jsonl"

_NAMED = 3  # pictures in a line
_COMPRESSION = 1  # of 9: a photo takes a quarter of the time of the usual 6, and 15 % more bytes


class Product(NamedTuple):
    """What one item gives, ready to be written."""

    item: Item
    row: Row
    drawing: Tensor | None = None  # uint8 [3, h, w], of a frame
    files: Mapping[str, bytes] = MappingProxyType({})  # content by the path below the folder


def described(
    presentation: Presentation[Fields, Fields, Fields], source: Input, item: Item, answer: Fields | str
) -> Row:
    """What is said of an answer of one, or of the text of an error, beside what was asked."""
    named = source.kind != "words" and source.image is None
    row: Row = {**({"file": source.name} if named else {}), **source.words, **source.ids}
    if isinstance(answer, str) or item.inputs is None:
        return row | {"error": answer}
    if item.frame is not None:
        row |= {"frame": item.frame.number, "time": item.frame.time}
    if item.image is not None:
        row |= {"width": item.image.shape[-1], "height": item.image.shape[-2]}
    return row | presentation.describe(item.inputs, answer)[0]


def _png(picture: Tensor) -> bytes:
    content = io.BytesIO()
    to_pil(picture).save(content, "PNG", compress_level=_COMPRESSION)
    return content.getvalue()


class Outputs:
    """The folder of a prediction: drawings and other files of pictures, a video for each video, a row for
    each picture and frame in ``predictions.jsonl``.

    No file is overwritten but those that an earlier call wrote and nobody changed since; where another has a
    name, ours gets a number. Rows are in ``predictions.jsonl.part`` until all are there; those of an earlier
    call stay where this one fails. `ConfigError` where the folder cannot be made or written, or has rows of
    someone else; `RunError` where a write fails.
    """

    def __init__(
        self, presentation: Presentation[Fields, Fields, Fields], inputs: list[Input], target: Path
    ) -> None:
        self.presentation = presentation
        self.inputs = inputs
        self.target = target
        try:
            target.mkdir(parents=True, exist_ok=True)
            self._ours = Ours(target)
            self.rows = target / self._ours.free(f"{ROWS}.part")
            self._names = Names(inputs, target, self._ours)
            # a byte of a file's name that is no UTF-8 is written as JSON writes half a character: \udce9
            self._rows = open(  # noqa: SIM115 - closed by close
                self.rows, "w", encoding="utf-8", errors="backslashreplace"
            )
        except OSError as error:
            raise ConfigError(
                f"{target}: cannot be written: {error.strerror or error}; choose another folder, as in "
                "--out predictions"
            ) from None
        self._video: VideoFile | None = None

    @torch.inference_mode()
    def make(self, item: Item, answer: Fields | str, heat: Tensor | None = None) -> Product:
        """Draw and describe an answer of one, or the text of an error; from any thread. ``heat``: its
        evidence [h, w], of the height and width of its picture."""
        source, name = self.inputs[item.source], self._names[item.source]
        row = described(self.presentation, source, item, answer)
        if isinstance(answer, str) or item.inputs is None:
            return Product(item, row)
        drawn = self.presentation.draw_answer(item.inputs, answer)
        if item.frame is not None:
            return Product(item, row | ({"video": name} if drawn else {}), drawn[0] if drawn else None)
        while True:
            files = self.presentation.files(item.inputs, answer, Path(name).stem, source.name)
            if heat is not None:
                files = {
                    **files,
                    f"{gradcam.NAME}/{Path(name).stem}.png": self._explained(item.inputs, answer, heat),
                }
            if all(map(self._ours.may_write, files)):
                break
            name = self._names.another(item.source)  # of all that is written for this picture
        if drawn:
            row, files = row | {"picture": name}, {name: _png(drawn[0]), **files}
        return Product(item, row, files=files)

    def _explained(self, inputs: Fields, answer: Fields, heat: Tensor) -> bytes:
        """The drawing of the answer over the picture with its evidence."""
        images = inputs._asdict()["images"]
        shown = type(inputs)(**{**inputs._asdict(), "images": gradcam.over(images[0], heat)[None]})
        return _png(self.presentation.draw_answer(shown, answer)[0])

    def write(self, product: Product) -> None:
        """Write the next product; its row comes last, so that what a row names is complete."""
        item = product.item
        if product.drawing is not None and item.frame is not None and item.footage is not None:
            path = self.target / self._names[item.source]
            if self._video is None or self._video.path != path:
                self._end_video()
                self._video = VideoFile(path, item.footage.rate)
            self._video.write(product.drawing, item.frame.time)
        with told(self.target):
            for name, content in product.files.items():
                self._ours.write(name, content)
            self._rows.write(json.dumps(product.row, ensure_ascii=False) + "\n")
            self._rows.flush()

    def _end_video(self) -> None:
        if self._video is not None:
            video, self._video = self._video, None
            video.close()
            if video.path.is_file():
                self._ours.note(video.path, video.path.name)

    def write_closing(self, coco: Listed | None = None) -> None:
        """What the application writes about all pictures, for which it reads their rows again.

        Args:
            coco: an annotation file with whose ids what was found is written once more. `DataError` where it
                has not what the run tells.
        """
        files = dict(self.presentation.closing_files(self._pictures()))
        if (written := files.get(ANNOTATIONS)) is not None:
            files[RESULTS], left = (None, []) if coco is None else results(written, coco)
            if coco is not None and left:
                names = some(left, _NAMED)
                line = f"left out  {len(left)} pictures that {coco.file} does not list: {names}"
                print(visible(line, kept=""))
        with told(self.target):
            for name, content in files.items():
                own = self._ours.free(name)
                if content is None:
                    self._ours.remove(own)
                else:
                    self._ours.write(own, content)

    def complete(self, replace: bool) -> int:
        """The rows get their name; if ``replace``, also where those of an earlier call have it. What that one
        wrote about other inputs, of which these rows say nothing, is taken away then: how many files."""
        with told(self.target):
            self._end_video()
            self._rows.close()
            if replace or not (self.target / ROWS).exists():
                self._ours.rename(self.rows, ROWS)
                self.rows = self.target / ROWS
            else:
                self._ours.note(self.rows, self.rows.name)
            left = self._ours.earlier() if replace else []
            for name in left:
                self._ours.remove(name)
            return len(left)

    def _pictures(self) -> Iterator[Row]:
        with open(self.rows, encoding="utf-8") as lines:
            yield from (row for row in map(json.loads, lines) if not row.keys() & {"error", "frame"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, RunError):  # it was told when it was first met
            if not self._rows.closed:
                self.complete(replace=False)
        with contextlib.suppress(OSError):
            self._ours.close()


class Names:
    """What is written for each input is called: as the input, with a number where two inputs would collide or
    where ``target`` has a file of that name which is an input or which we did not write. An input that cannot
    be asked has no name.

    Raises:
        ConfigError: ``target`` has rows which are to be answered or which we did not write.
    """

    def __init__(self, inputs: list[Input], target: Path, ours: Ours) -> None:
        self._ours, self._target = ours, target
        names = {n for source in inputs for n in ("" if source.error else source.name, source.rows) if n}
        self._originals = {Path(name).resolve() for name in names}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}  # how far each name was tried: a picture may be in a million rows
        self._lock = threading.Lock()
        if (target / ROWS).resolve() in self._originals:
            raise ConfigError(
                f"{target / ROWS} holds rows to answer, and the answers would replace it; choose another "
                "folder, as in --out answers"
            )
        if not ours.may_write(ROWS):
            raise ConfigError(
                f"{target / ROWS} was not written by this command, or was changed since, and would be "
                "replaced; choose another folder, as in --out answers"
            )
        self._sources = inputs
        self._found = ["" if source.error else self._free(source) for source in inputs]

    def __getitem__(self, number: int) -> str:
        return self._found[number]

    def another(self, number: int) -> str:
        """The next free name of an input; from any thread."""
        with self._lock:
            self._found[number] = self._free(self._sources[number])
            return self._found[number]

    def _free(self, source: Input) -> str:
        stem, suffix = Path(source.name.replace(":", "-")).stem, ".mp4" if source.is_film else ".png"
        plain = f"{stem}{suffix}"
        while True:
            number = self._numbers[plain] = self._numbers.get(plain, 0) + 1
            name = plain if number == 1 else f"{stem}-{number}{suffix}"
            if self._is_free(name):
                self._taken.add(name.casefold())
                return name

    def _is_free(self, name: str) -> bool:
        if name.casefold() in self._taken:  # some file systems ignore case
            return False
        return self._ours.may_write(name) and (self._target / name).resolve() not in self._originals
