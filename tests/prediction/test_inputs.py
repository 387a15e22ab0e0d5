"""What words name, and in which order it is read."""

import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.fields import ImageInputs
from vision_apps.prediction.ahead import ahead
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.inputs import find as find_for
from vision_apps.prediction.reading import read
from vision_apps.prediction.takes import Takes


def find(words: list[str]) -> list[Input]:
    return find_for(words, Takes())


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_files_folders_and_patterns() -> None:
    touch("photos/b.png", "photos/deep/a.JPG", "photos/c.txt", "photos/film.MP4", "other.png")
    found = find(["photos", "photos/b.png", "*.png"])
    assert [source.name for source in found] == [  # each once
        "photos/b.png",
        "photos/deep/a.JPG",
        "photos/film.MP4",
        "other.png",
    ]
    assert [source.kind for source in found] == ["picture", "picture", "video", "picture"]


def test_a_list_and_webcams() -> None:
    touch("a.png", "b.png", "@strange.png")
    Path("list.txt").write_text("b.png\n\n  a.png\nwebcam:1\n")
    found = find(["@list.txt", "@strange.png", "webcam"])
    assert found == [
        Input("b.png", "picture"),
        Input("a.png", "picture"),
        Input("webcam:1", "webcam"),
        Input("@strange.png", "picture"),
        Input("webcam", "webcam"),
    ]
    touch("webcam")
    assert find(["webcam"]) == [Input("webcam", "picture")]  # a file of that name


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("empty", "empty has no pictures or videos: expected a picture (.avif, .bmp, .gif, .heic, "),
        ("*.jpg", "*.jpg matches no file: expected a picture"),
        ("webcam:x", "webcam:x matches no file"),
        (
            "rows.json",
            "rows.json: neither a picture nor rows; expected a file that ends in .jsonl, with lines",
        ),
        ("@list.txt", "@list.txt: expected a text file with one input a line"),
        ("@photo.jpg", "@photo.jpg: expected a text file with one input a line"),
    ],
)
def test_nothing_there(word: str, what: str) -> None:
    Path("empty").mkdir()
    Path("rows.json").write_text("[]")
    Path("photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    if word == "*.jpg":
        Path("photo.jpg").unlink()
    with pytest.raises(DataError) as caught:
        find([word])
    assert str(caught.value).startswith(what)


def test_videos_need_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("a.mp4", "a.png")
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert find(["a.png"])
    with pytest.raises(ConfigError, match=r"pip install 'vision-apps\[video\]'"):
        find(["a.png", "a.mp4"])


def test_pictures_come_in_order_and_broken_ones_with_a_reason() -> None:
    for number in range(20):
        Image.new("RGB", (8, 6), (10 * number, 0, 0)).save(f"{number:02d}.png")
    Path("07.png").write_bytes(b"")
    found = find(["*.png"])
    items = list(read(found, lambda image, words: ImageInputs(image)))
    assert [item.source for item in items] == list(range(20))
    for number, item in enumerate(items):
        if number == 7:
            assert item.image is None and item.error.startswith("cannot be decoded")
        else:
            assert item.image is not None and item.image[0].unique().tolist() == [10 * number]


def test_few_results_are_held() -> None:
    before = threading.active_count()
    started: list[int] = []

    def work(number: int) -> int:
        started.append(number)
        return number

    results = ahead((partial(work, number) for number in range(1000)), 2, lambda _: 1_000_000)
    assert next(results) == 0 and next(results) == 1
    assert len(started) <= 10  # eight megapixels wait
    results.close()
    assert threading.active_count() == before


def test_an_error_in_a_thread_is_raised_and_ends_the_threads() -> None:
    def fails() -> int:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        list(ahead(iter([lambda: 1, fails, lambda: 2]), 2, lambda _: 1))
    assert threading.active_count() == before
