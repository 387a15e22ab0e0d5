"""Video files and webcams as pictures, and pictures as a video file, through OpenCV."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, CorruptSample, RunError
from vision_apps.data import opencv
from vision_apps.data.images import MAX_PIXELS

EXTENSIONS = (".mp4", ".avi", ".mov", ".mkv", ".webm")

_CODEC = "mp4v"  # MPEG-4 part 2, which the FFmpeg inside OpenCV's wheels can always write; H.264 it cannot
_USUAL_RATE = 25.0  # where a video states none, or states the unit of its clock instead
_MOST_RATE = 240.0
# A container's number of frames may be its duration times its rate, which is off by a little.
_MISSING_SHARE, _MISSING_LEAST = 0.02, 1


class Frame(NamedTuple):
    image: Tensor  # uint8 [3, H, W], sRGB
    number: int  # from 0, of all frames of its source
    time: float  # s since the first


def require() -> Any:
    """The module ``cv2``, with fewer messages of its own on the terminal. `ConfigError` where it is not
    installed.
    """
    try:
        cv2 = opencv.load()
    except ImportError as error:
        raise ConfigError(
            "videos and webcams are read by OpenCV, which is not installed: pip install 'vision-apps[video]'"
        ) from error
    # ours name the file, and what is wrong with it
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


class Footage:
    """What a video file or a webcam shows.

    Attributes:
        name: the file, or ``webcam``.
        rate: frames per second.
        count: how many frames a file states; none for a webcam, and where the container does not say.
    """

    def __init__(self, source: str | Path | int, every: int = 1, seconds: float | None = None) -> None:
        """Open a file by its path, or a webcam by its number.

        Args:
            every: give the first of so many frames and pass over the others.
            seconds: of the footage, after which it ends.

        Raises:
            ConfigError: OpenCV is not installed.
            CorruptSample: no video that can be read, no webcam there, or too many pixels.
        """
        cv2 = require()
        self.live = isinstance(source, int)
        self.name = f"webcam:{source}" if self.live else str(source)
        self._every, self._seconds = every, seconds
        self._capture = cv2.VideoCapture(source if self.live else str(source))
        told = self._capture.get
        rate, count = told(cv2.CAP_PROP_FPS), told(cv2.CAP_PROP_FRAME_COUNT)
        problem = self._problem(told(cv2.CAP_PROP_FRAME_WIDTH), told(cv2.CAP_PROP_FRAME_HEIGHT))
        if problem:
            self.close()
            raise CorruptSample(self.name, problem)
        self.rate = float(rate) if 1 <= rate <= _MOST_RATE else _USUAL_RATE
        self.count = None if self.live or not 0 < count < float("inf") else int(count)

    def _problem(self, width: float, height: float) -> str:
        if not self._capture.isOpened():
            if self.live:
                return "no webcam answers; is it plugged in, allowed and free? A second one is webcam:1"
            if not Path(self.name).is_file():
                return "there is no such file"
            return "no video that OpenCV can open" if Path(self.name).stat().st_size else "the file is empty"
        if width * height > MAX_PIXELS:
            return f"{int(width)} x {int(height)} pixels are more than {MAX_PIXELS}"
        return ""

    def frames(self) -> Iterator[Frame]:
        """The frames in order. `CorruptSample` after the last one, where the source ended too early."""
        started = time.monotonic()
        number = 0
        while True:
            read, pixels = self._capture.read()
            at = time.monotonic() - started if self.live else number / self.rate
            if self._seconds is not None and at >= self._seconds:
                return
            if not read:
                break
            if number % self._every == 0:
                yield Frame(_from_bgr(pixels), number, round(at, 3))
            number += 1
        if self.live:
            raise CorruptSample(self.name, "the webcam gives no more pictures")
        missing = (self.count or 0) - number
        if not number or missing > max(_MISSING_LEAST, _MISSING_SHARE * number):
            raise CorruptSample(self.name, f"ends after {number} of {self.count or 'its'} frames")

    def close(self) -> None:
        self._capture.release()


class VideoFile:
    """Writes an MP4 (MPEG-4 part 2) of constant rate.

    The first picture decides the size. A later one of another size is cut or laid over white; an odd side is
    made even by repeating its last line, which the format needs.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self.written = 0
        self._writer: Any = None
        self._size = (0, 0)
        self._last: np.ndarray | None = None

    def write(self, picture: Tensor, at: float) -> None:
        """Show uint8 [3, H, W] from ``at`` s on. Until then the picture before it stays, so that the video
        takes as long as its source also where frames were left out or came late. `RunError` where OpenCV
        cannot write there.
        """
        if self._writer is None:
            self._open(*picture.shape[-2:])
        pixels = _to_bgr(picture, self._size)
        before = pixels if self._last is None else self._last
        while self.written < round(at * self.rate):
            self._writer.write(before)
            self.written += 1
        self._last = pixels
        self._writer.write(pixels)
        self.written += 1

    def _open(self, height: int, width: int) -> None:
        cv2 = require()
        self._size = (height + height % 2, width + width % 2)
        codec = cv2.VideoWriter_fourcc(*_CODEC)
        self._writer = cv2.VideoWriter(str(self.path), codec, self.rate, self._size[::-1])
        if not self._writer.isOpened():
            raise RunError(
                f"{self.path}: OpenCV cannot write a video ({_CODEC}) there; is there space, may you write, "
                "and is it the build of pip install 'vision-apps[video]'?"
            )

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()


def _from_bgr(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).flip(-1).permute(2, 0, 1).contiguous()


def _to_bgr(picture: Tensor, size: tuple[int, int]) -> np.ndarray:
    """uint8 [H, W, 3] of ``size`` (height, width)."""
    pixels = picture.permute(1, 2, 0).flip(-1).numpy()[: size[0], : size[1]]
    below, beside = size[0] - pixels.shape[0], size[1] - pixels.shape[1]
    mode: Any = "edge" if max(below, beside) <= 1 else "constant"
    white = {} if mode == "edge" else {"constant_values": 255}
    return np.ascontiguousarray(np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode, **white))
