"""The same picture in two splits is found, whatever it is called and however it is stored."""

from pathlib import Path

import numpy as np
from PIL import Image

from vision_apps.data.labels.folder import fake_pictures
from vision_apps.data.leakage import leakage


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def splits(tmp_path: Path) -> dict[str, list[Path]]:
    for seed, name in enumerate(("train", "val", "test")):
        fake_pictures(tmp_path / name, 5, 16, seed)
    return {name: files(tmp_path / name) for name in ("train", "val", "test")}


def test_different_pictures_are_no_leakage(tmp_path: Path) -> None:
    assert list(leakage(splits(tmp_path))) == []


def test_a_copied_file_is_named_with_both_places(tmp_path: Path) -> None:
    splits(tmp_path)
    train, test = tmp_path / "train" / "0002.jpg", tmp_path / "test" / "other.jpg"
    test.write_bytes(train.read_bytes())
    found = list(leakage({name: files(tmp_path / name) for name in ("train", "val", "test")}))
    assert found == [f"leakage: {test} of test is the same picture as {train} of train"]


def test_the_same_pixels_in_another_format_are_found(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    Image.fromarray(pixels.reshape(7, 9, 3)).save(tmp_path / "c.bmp")  # the same bytes, another picture
    a, b, c = (str(tmp_path / name) for name in ("a.png", "b.bmp", "c.bmp"))
    assert list(leakage({"train": [a], "val": [b.encode()], "test": [c]})) == [
        f"leakage: {b} of val is the same picture as {a} of train"
    ]


def test_copies_within_a_split_and_unreadable_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    fake_pictures(tmp_path / "more", 1, 16, seed=0)
    picture = tmp_path / "more" / "0000.jpg"
    twice = [picture, picture, tmp_path / "gone.png"]
    assert list(leakage({"train": twice, "val": [tmp_path / "a.png", tmp_path / "gone.png"]})) == []


def test_a_flood_is_cut_and_counted(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 6, 16, seed=0)
    found = list(leakage({"train": files(tmp_path / "a"), "val": files(tmp_path / "a")}, most=2))
    assert len(found) == 3
    assert found[-1] == "leakage: 4 further pictures are in two splits"
