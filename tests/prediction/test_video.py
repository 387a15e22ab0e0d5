"""Frames out of video files and a webcam that is a file, and pictures into a video file."""

import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from vision_apps.core.errors import ConfigError, CorruptSample, RunError
from vision_apps.data import images
from vision_apps.prediction import video
from vision_apps.prediction.video import Footage, VideoFile

cv2 = pytest.importorskip("cv2")


def film(name: str, frames: int = 10, size: tuple[int, int] = (32, 48), rate: float = 12.5) -> str:
    """Grey pictures that become brighter by 20; size is height and width."""
    file = VideoFile(Path(name), rate)
    for number in range(frames):
        file.write(torch.full((3, *size), 20 * number % 240, dtype=torch.uint8), number / rate)
    file.close()
    return name


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi"])
def test_what_is_written_is_read(name: str) -> None:
    footage = Footage(film(name))
    frames = list(footage.frames())
    footage.close()
    assert (footage.rate, footage.count) == (12.5, 10)
    assert [frame.number for frame in frames] == list(range(10))
    assert [frame.time for frame in frames] == [round(n / 12.5, 3) for n in range(10)]
    for number, frame in enumerate(frames):
        assert frame.image.shape == (3, 32, 48) and frame.image.dtype == torch.uint8
        assert abs(frame.image.float().mean() - 20 * number) < 4  # the codec loses a little


def test_colors_keep_their_order() -> None:
    red = torch.zeros(3, 32, 32, dtype=torch.uint8)
    red[0] = 200
    file = VideoFile(Path("red.mp4"), 10)
    file.write(red, 0.0)
    file.close()
    (frame,) = Footage("red.mp4").frames()
    assert (frame.image.float().mean((1, 2)) - torch.tensor([200.0, 0, 0])).abs().max() < 8


def test_every_nth_and_some_seconds() -> None:
    assert [frame.number for frame in Footage(film("a.mp4"), every=4).frames()] == [0, 4, 8]
    assert [frame.number for frame in Footage("a.mp4", seconds=0.25).frames()] == [0, 1, 2, 3]


def test_frames_left_out_do_not_make_it_shorter() -> None:
    file = VideoFile(Path("held.mp4"), 10)
    for number in (0, 4, 8):
        file.write(torch.full((3, 32, 32), 20 * number, dtype=torch.uint8), number / 10)
    file.close()
    means = [float(frame.image.float().mean()) for frame in Footage("held.mp4").frames()]
    assert means == pytest.approx([0] * 4 + [80] * 4 + [160], abs=4)


def test_odd_and_changing_sizes() -> None:
    file = VideoFile(Path("odd.mp4"), 10)
    for size in ((51, 37), (51, 37), (20, 60)):
        file.write(torch.full((3, *size), 90, dtype=torch.uint8), 0.0)
    file.close()
    first, _, third = (frame.image.float() for frame in Footage("odd.mp4").frames())
    assert first.shape == third.shape == (3, 52, 38)  # nothing is cut
    assert abs(first.mean() - 90) < 4
    assert abs(third[:, :16].mean() - 90) < 8 and third[:, 28:].mean() > 240  # cut, and laid over white


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no video" * 100, "no video that OpenCV can open"),
        (None, "there is no such file"),
    ],
)
def test_no_video(content: bytes | None, reason: str) -> None:
    if content is not None:
        Path("bad.mp4").write_bytes(content)
    with pytest.raises(CorruptSample) as caught:
        Footage("bad.mp4")
    assert (caught.value.path, caught.value.reason) == ("bad.mp4", reason)


def test_truncated() -> None:
    film("whole.mkv", frames=40)
    content = Path("whole.mkv").read_bytes()
    Path("cut.mkv").write_bytes(content[: len(content) // 2])
    frames = Footage("cut.mkv").frames()
    assert next(frames).number == 0  # what can be read is
    with pytest.raises(CorruptSample, match=r"cut.mkv: ends after \d+ of 40 frames"):
        list(frames)


def test_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    film("large.mp4")
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(CorruptSample, match=r"48 x 32 pixels are more than 1000"):
        Footage("large.mp4")


def test_webcam(monkeypatch: pytest.MonkeyPatch) -> None:
    film("seen.mp4")
    opened: list[Any] = []
    capture = cv2.VideoCapture

    def camera(source: int) -> Any:
        opened.append(source)
        return capture("seen.mp4")

    monkeypatch.setattr(cv2, "VideoCapture", camera)
    clock = count()
    monkeypatch.setattr(video.time, "monotonic", lambda: next(clock) / 10)
    footage = Footage(1, seconds=0.45)
    assert footage.count is None and opened == [1]
    assert [frame.time for frame in footage.frames()] == [0.1, 0.2, 0.3, 0.4]  # of a clock
    with pytest.raises(CorruptSample, match="webcam:0: the webcam gives no more pictures"):
        list(Footage(0).frames())


def test_no_webcam(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: capture("none.mp4"))
    with pytest.raises(CorruptSample, match=r"webcam:0: no webcam answers; is it plugged in"):
        Footage(0)


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'vision-apps\[video\]'"):
        Footage("a.mp4")


def test_cannot_be_written() -> None:
    with pytest.raises(RunError, match=r"none/a\.mp4: OpenCV cannot write a video \(mp4v\) there"):
        film("none/a.mp4")


def test_a_rate_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    film("a.mp4")
    monkeypatch.setattr(video, "_MOST_RATE", 5)  # as a container that states the unit of its clock
    footage = Footage("a.mp4")
    footage.close()
    assert footage.rate == 25


def test_names_are_of_one_kind() -> None:
    assert not set(video.EXTENSIONS) & set(images.EXTENSIONS)
