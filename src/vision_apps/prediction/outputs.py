"""What is written for each input."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError
from vision_apps.core.pictures import to_pil
from vision_apps.prediction.inputs import Input, Item
from vision_apps.prediction.video import VideoFile

ROWS = "predictions.jsonl"

_COMPRESSION = 1  # of 9: a photo takes a quarter of the time of the usual 6, and 15 % more bytes
_SUFFIX = {"picture": ".png", "video": ".mp4", "webcam": ".mp4"}


class Product(NamedTuple):
    """What one item gives, ready to be written."""

    item: Item
    row: dict[str, Any]
    drawing: Tensor | None = None  # uint8 [3, h, w], of a frame
    files: Mapping[str, bytes] = MappingProxyType({})  # content by the path below the folder


class Outputs:
    """The folder of a prediction: drawings and other files of pictures, a video for each video, a row for
    each picture and frame in ``predictions.jsonl``.

    No file is overwritten but those of an earlier call.

    Raises:
        ConfigError: the folder cannot be made or written.
    """

    def __init__(self, module: Any, inputs: list[Input], target: Path) -> None:
        self.module = module
        self.inputs = inputs
        self.target = target
        try:
            target.mkdir(parents=True, exist_ok=True)
            self.names = _names(inputs, target)
            self._rows = open(target / ROWS, "w")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise ConfigError(
                f"{target}: cannot be written: {error.strerror or error}; choose another folder, as in "
                "--out predictions"
            ) from None
        self._video: VideoFile | None = None

    @torch.inference_mode()
    def make(self, item: Item, answer: Any) -> Product:
        """Draw and describe an answer of one, or the text of an error; from any thread."""
        name = self.names[item.source]
        row: dict[str, Any] = {"file": self.inputs[item.source].name}
        if isinstance(answer, str) or item.image is None:
            return Product(item, row | {"error": answer})
        if item.frame is not None:
            row |= {"frame": item.frame.number, "time": item.frame.time}
        height, width = item.image.shape[-2:]
        row |= {"width": width, "height": height, **self.module.describe(answer)[0]}
        drawing = self.module.show(item.image[None], answer)[0]
        if item.frame is not None:
            return Product(item, row | {"video": name}, drawing)
        content = io.BytesIO()
        to_pil(drawing).save(content, "PNG", compress_level=_COMPRESSION)
        files = {name: content.getvalue(), **self.module.files(item.image, answer, Path(name).stem)}
        return Product(item, row | {"picture": name}, files=files)

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
        _write(self.target, self.module.closing_files(self._pictures()))

    def _pictures(self) -> Iterator[dict[str, Any]]:
        with open(self.target / ROWS) as lines:
            yield from (row for row in map(json.loads, lines) if "picture" in row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.close()
        self._end_video()


def _names(inputs: list[Input], target: Path) -> list[str]:
    """Names that keep the input's, with a number where two inputs would collide or where ``target`` has a
    file of that name which is an input or which we did not write."""
    originals = {Path(source.name).resolve() for source in inputs}
    ours = _written_before(target)
    names: list[str] = []
    taken: set[str] = set()

    def is_free(name: str) -> bool:
        file = target / name
        if name.casefold() in taken or file.resolve() in originals:  # some file systems ignore case
            return False
        return name in ours or not (file.exists() or file.is_symlink())

    for source in inputs:
        stem, suffix = Path(source.name.replace(":", "-")).stem, _SUFFIX[source.kind]
        name, number = f"{stem}{suffix}", 1
        while not is_free(name):
            number += 1
            name = f"{stem}-{number}{suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _written_before(target: Path) -> set[str]:
    """The pictures and videos that an earlier call wrote into this folder."""
    try:
        with open(target / ROWS) as lines:
            rows = [json.loads(line) for line in lines]
        return {row[key] for row in rows for key in ("picture", "video") if key in row}
    except (OSError, ValueError, TypeError):  # no such file, or not one of ours
        return set()


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
