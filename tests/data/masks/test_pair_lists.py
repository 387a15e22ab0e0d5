"""Lists of pairs with foreign prefixes, and files of class names."""

from pathlib import Path

import pytest

from vision_apps.core.errors import DataError
from vision_apps.data.masks.class_lists import Classes, read_classes
from vision_apps.data.masks.pair_lists import listed_pairs


def pairs(root: Path, text: str) -> list[tuple[Path, Path]]:
    (root / "train.txt").write_text(text, encoding="utf-8")
    return listed_pairs(root / "train.txt", root)


def test_a_foreign_prefix_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").touch()
    image, mask = tmp_path / "train" / "a.png", tmp_path / "trainannot" / "a.png"
    for line in (
        "train/a.png trainannot/a.png",
        "/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png",
        "../elsewhere/CamVid/train/a.png /x/trainannot/a.png",
        r"C:\CamVid\train\a.png /x/trainannot/a.png",
    ):
        assert pairs(tmp_path, f"\n{line}\n") == [(image, mask)], line


def test_an_absolute_path_that_exists_is_used(tmp_path: Path) -> None:
    root = tmp_path / "lists"
    root.mkdir()
    (tmp_path / "a.png").touch()
    assert pairs(root, f"{tmp_path / 'a.png'} masks/a.png")[0][0] == tmp_path / "a.png"


def test_deep_relative_paths_are_kept(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.png").touch()
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "a.png").touch()
    assert pairs(tmp_path, "x/y/a.png y/a.png") == [
        (tmp_path / "x" / "y" / "a.png", tmp_path / "y" / "a.png")
    ]


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        pairs(tmp_path, "a.png b.png\n\none.png\n")
    assert str(caught.value) == f"{tmp_path / 'train.txt'}, line 3: expected 'image mask', found 'one.png'"
    (tmp_path / "train.txt").write_bytes(b"caf\xe9.png a.png")
    with pytest.raises(DataError, match=r"train\.txt: expected UTF-8 text: "):
        listed_pairs(tmp_path / "train.txt", tmp_path)


@pytest.mark.parametrize(
    ("text", "names", "colors"),
    [
        ("sky\ntraffic light\n", ["sky", "traffic light"], None),
        ("0 Sky\n1 traffic light\n", ["Sky", "traffic light"], None),
        ("0: Sky\n1: Road\n", ["Sky", "Road"], None),
        ("sky 1 2 3\ntraffic light 4,5,6\n", ["sky", "traffic light"], [[1, 2, 3], [4, 5, 6]]),
        ("sky,1,2,3\n\nroad, 4, 5, 6\n", ["sky", "road"], [[1, 2, 3], [4, 5, 6]]),
        ("0 sky 1 2 3\n1 road 4 5 6\n", ["sky", "road"], [[1, 2, 3], [4, 5, 6]]),
        ("\ufeffsky\nroad 66\n", ["sky", "road 66"], None),
    ],
)
def test_class_files(tmp_path: Path, text: str, names: list[str], colors: list | None) -> None:
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    assert read_classes(tmp_path / "classes.txt") == Classes(names, colors)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "1 Sky\n2 Road\n",
            ", line 1: expected class 0 here, found '1 Sky'; classes are numbered from 0 without gaps",
        ),
        ("sky 1 2 256\n", ", line 1: expected a colour of 0 to 255, found 'sky 1 2 256'"),
        ("sky 1 2 3\nroad\n", ": the class 'road' has no colour and others have"),
    ],
)
def test_class_files_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_classes(path)
    assert str(caught.value) == f"{path}{said}"
