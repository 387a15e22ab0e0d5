"""Files that belong together by their names."""

import pytest

from vision_apps.data.pairing import Named

NAMES = ["a/1.jpg", "a/2.PNG", "b/2.png", "b/3.jpg", "c/3.jpg", "Ärger.JPG", "x.jpg.png", "my photo.jpg"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a/1", ["a/1.jpg"]),
        ("a/1.jpg", ["a/1.jpg"]),
        ("1", ["a/1.jpg"]),
        ("somewhere\\else\\1.jpg", ["a/1.jpg"]),
        ("./b/2", ["b/2.png"]),
        ("2", ["a/2.PNG", "b/2.png"]),
        ("2.png", ["b/2.png"]),
        ("A/2.png", ["a/2.PNG"]),
        ("3", ["b/3.jpg", "c/3.jpg"]),
        ("A\u0308rger", ["Ärger.JPG"]),
        ("ärger.jpg", ["Ärger.JPG"]),
        ("x.jpg", ["x.jpg.png"]),
        ("my photo", ["my photo.jpg"]),
        ("my", []),
    ],
)
def test_the_nearest_spelling_is_found(name: str, found: list[str]) -> None:
    assert Named(NAMES).find(name) == found
