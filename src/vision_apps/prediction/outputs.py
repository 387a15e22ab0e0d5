"""What is written for each input."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Fields
from vision_apps.core.pictures import to_pil
from vision_apps.core.presentation import Presentation, Row
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.reading import Item
from vision_apps.prediction.video import VideoFile

ROWS = "predictions.jsonl"

_COMPRESSION = 1  # of 9: a photo takes a quarter of the time of the usual 6, and 15 % more bytes


class Product(NamedTuple):
    """What one item gives, ready to be written."""

    item: Item
    row: Row
    drawing: Tensor | None = None  # uint8 [3, h, w], of a frame
    files: Mapping[str, bytes] = MappingProxyType({})  # content by the path below the folder


class Outputs:
    """The folder of a prediction: drawings and other files of pictures, a video for each video, a row for
    each picture and frame in ``predictions.jsonl``.

    No file is overwritten but those of an earlier call. `ConfigError` where the folder cannot be made or
    written, or rows to answer would be replaced.
    """

    def __init__(
        self, presentation: Presentation[Fields, Fields, Fields], inputs: list[Input], target: Path
    ) -> None:
        self.presentation = presentation
        self.inputs = inputs
        self.target = target
        try:
            target.mkdir(parents=True, exist_ok=True)
            self.names = _names(inputs, target)
            # a byte of a file's name that is no UTF-8 is written as JSON writes half a character: \udce9
            self._rows = open(  # noqa: SIM115 - closed by close
                target / ROWS, "w", encoding="utf-8", errors="backslashreplace"
            )
        except OSError as error:
            raise ConfigError(
                f"{target}: cannot be written: {error.strerror or error}; choose another folder, as in "
                "--out predictions"
            ) from None
        self._video: VideoFile | None = None

    @torch.inference_mode()
    def make(self, item: Item, answer: Fields | str) -> Product:
        """Draw and describe an answer of one, or the text of an error; from any thread."""
        source, name = self.inputs[item.source], self.names[item.source]
        row: Row = {**({"file": source.name} if source.kind != "words" else {}), **source.words}
        if isinstance(answer, str) or item.inputs is None:
            return Product(item, row | {"error": answer})
        if item.frame is not None:
            row |= {"frame": item.frame.number, "time": item.frame.time}
        if item.image is not None:
            row |= {"width": item.image.shape[-1], "height": item.image.shape[-2]}
        row |= self.presentation.describe(item.inputs, answer)[0]
        drawn = self.presentation.draw_answer(item.inputs, answer)
        if item.frame is not None:
            return Product(item, row | ({"video": name} if drawn else {}), drawn[0] if drawn else None)
        files = self.presentation.files(item.inputs, answer, Path(name).stem)
        if drawn:
            content = io.BytesIO()
            to_pil(drawn[0]).save(content, "PNG", compress_level=_COMPRESSION)
            row, files = row | {"picture": name}, {name: content.getvalue(), **files}
        return Product(item, row, files=files)

    def write(self, product: Product) -> None:
        """Write the next product; its row comes last, so that what a row names is complete."""
        item = product.item
        if product.drawing is not None and item.frame is not None and item.footage is not None:
            path = self.target / self.names[item.source]
            if self._video is None or self._video.path != path:
                self._end_video()
                self._video = VideoFile(path, item.footage.rate)
            self._video.write(product.drawing, item.frame.time)
        _write(self.target, product.files)
        self._rows.write(json.dumps(product.row, ensure_ascii=False) + "\n")
        self._rows.flush()

    def _end_video(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None

    def write_closing(self) -> None:
        """What the application writes about all pictures, for which it reads their rows again."""
        _write(self.target, self.presentation.closing_files(self._pictures()))

    def _pictures(self) -> Iterator[Row]:
        with open(self.target / ROWS, encoding="utf-8") as lines:
            yield from (row for row in map(json.loads, lines) if not row.keys() & {"error", "frame"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.close()
        self._end_video()


def _names(inputs: list[Input], target: Path) -> list[str]:
    """Names that keep the input's, with a number where two inputs would collide or where ``target`` has a
    file of that name which is an input or which we did not write. None is kept for what cannot be asked."""
    names = {name for source in inputs for name in ("" if source.error else source.name, source.rows) if name}
    originals = {Path(name).resolve() for name in names}
    if (target / ROWS).resolve() in originals:
        raise ConfigError(
            f"{target / ROWS} holds rows to answer, and the answers would replace it; choose another folder, "
            "as in --out answers"
        )
    ours = _written_before(target)
    found: list[str] = []
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # how far each name was tried: a picture may be in a million rows

    def is_free(name: str) -> bool:
        file = target / name
        if name.casefold() in taken or file.resolve() in originals:  # some file systems ignore case
            return False
        return name in ours or not (file.exists() or file.is_symlink())

    for source in inputs:
        if source.error:
            found.append("")
            continue
        stem, suffix = Path(source.name.replace(":", "-")).stem, ".mp4" if source.is_film else ".png"
        plain = f"{stem}{suffix}"
        number = numbers.get(plain, 1)
        name = plain if number == 1 else f"{stem}-{number}{suffix}"
        while not is_free(name):
            number += 1
            name = f"{stem}-{number}{suffix}"
        numbers[plain] = number
        taken.add(name.casefold())
        found.append(name)
    return found


def _written_before(target: Path) -> set[str]:
    """The pictures and videos that an earlier call wrote into this folder."""
    try:
        with open(target / ROWS, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return {row[key] for row in rows for key in ("picture", "video") if key in row}
    except (OSError, ValueError, TypeError):  # no such file, or not one of ours
        return set()


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
