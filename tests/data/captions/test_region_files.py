"""Regions from files are found by the picture's name, cut to it and fitted with it; what is wrong is told."""

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.data.captions.region_source import source_of
from vision_apps.data.captions.regions import RegionFiles, cut, given_regions
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.data.images import header


def boxes_for(folder: Path) -> dict[str, np.ndarray]:
    """The left half of each picture, and of every second one its lower right quarter."""
    found = {}
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        height, width, _ = header(str(path))
        both = [[0, 0, width / 2, height], [width / 2, height / 2, width, height]]
        found[path.stem] = np.array(both[: 1 + number % 2])
    return found


def written(file: Path, boxes: dict[str, np.ndarray], width: int = 0) -> str:
    arrays: dict[str, Any] = {f"{name}_boxes": own for name, own in boxes.items()}
    for number, (name, own) in enumerate(boxes.items()):
        if width:
            rows = np.arange(len(own) * width, dtype=np.float16)
            arrays[f"{name}_features"] = number + rows.reshape(-1, width)
    np.savez(file, **arrays)
    return str(file)


def test_boxes_are_fitted_with_their_pictures(tmp_path: Path) -> None:
    CaptionTableFiles.fake(tmp_path)
    boxes = boxes_for(tmp_path)
    file = written(tmp_path / "boxes.npz", boxes, width=3)
    data = CaptionTableFiles(
        str(tmp_path), image_size=32, resize_mode="stretch", regions=file, most_regions=3
    )
    data.prepare_data()
    assert data.facts["regions"] == "files" and data.facts["region_width"] == 3
    assert {"regions", "region_features"} <= {*data.offers}
    samples = data.load("train", ("images", "regions", "region_features"))
    pickle.loads(pickle.dumps(samples))  # to workers
    for index, name in enumerate(data.sample_names("train")):
        stem = Path(name).stem
        sample = samples[index]
        expected = torch.tensor([[0.0, 0, 16, 32], [16, 16, 32, 32], [0] * 4])
        expected[len(boxes[stem]) :] = 0
        torch.testing.assert_close(sample["regions"], expected)
        features = sample["region_features"]
        assert features.shape == (3, 3) and features.dtype == torch.float32
        assert features[0].tolist() == [list(boxes).index(stem) + n for n in range(3)]
        assert not features[len(boxes[stem]) :].any()


def test_a_folder_has_a_file_for_each_picture(tmp_path: Path) -> None:
    CaptionTableFiles.fake(tmp_path / "data")
    (tmp_path / "boxes").mkdir()
    for name, own in boxes_for(tmp_path / "data").items():
        np.savez(tmp_path / "boxes" / f"{name}.npz", boxes=own)
    data = CaptionTableFiles(
        str(tmp_path / "data"), image_size=32, regions=str(tmp_path / "boxes"), in_memory=True
    )
    data.prepare_data()
    assert data.facts["region_width"] is None and "region_features" not in data.offers
    samples = data.load("val", ("images", "regions"))
    assert samples.__getitems__([0])["regions"].shape == (1, 20, 4)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "key"), [("a/b.jpg", "a/b"), ("a/b.jpg", "b"), ("b.jpg", "b.jpg"), ("x_0012.png", "12")]
)
def test_a_picture_is_found_by_what_it_is_called(name: str, key: str, tmp_path: Path) -> None:
    files = RegionFiles(written(tmp_path / "r.npz", {key: np.zeros((1, 4)), "other": np.zeros((1, 4))}))
    entry = files.of(name)
    assert entry is not None and entry.boxes == f"{key}_boxes"
    assert files.of("nobody.jpg") is None


def test_a_picture_without_boxes_in_the_file_is_refused_or_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    CaptionTableFiles.fake(tmp_path)
    boxes = boxes_for(tmp_path)
    del boxes["003"]
    boxes["005"] = np.array([[0.0, 0, np.nan, 3]])
    file = written(tmp_path / "boxes.npz", boxes)
    with pytest.raises(DataError) as caught:
        CaptionTableFiles(str(tmp_path), image_size=32, regions=file).prepare_data()
    text = str(caught.value)
    assert "2 files are broken" in text and "003.png: has no boxes in" in text
    assert "005_boxes: holds something that is no finite number" in text
    data = CaptionTableFiles(str(tmp_path), image_size=32, regions=file, on_corrupt="skip")
    data.prepare_data()
    assert sum(len(data.sample_names(split)) for split in ("train", "val", "test")) == 22


def test_boxes_that_reach_out_are_cut_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    CaptionTableFiles.fake(tmp_path)
    boxes = boxes_for(tmp_path)
    boxes["002"] = np.array([[-9.0, -9, 4, 4], [900, 900, 950, 950], [0, 0, 5, 6]])
    file = written(tmp_path / "boxes.npz", boxes)
    with caplog.at_level(logging.WARNING):
        CaptionTableFiles(str(tmp_path), image_size=32, regions=file).prepare_data()
    assert "1 reach out of their pictures and are cut, and 1 have no area" in caplog.text
    shares = {name: np.array([[0.1, 0.1, 0.9, 0.9]]) * 4000 for name in boxes}
    file = written(tmp_path / "far.npz", shares)
    with pytest.raises(DataError, match="in pixels of the picture's file"):
        CaptionTableFiles(str(tmp_path), image_size=32, regions=file).prepare_data()


@given(
    st.lists(st.lists(st.floats(-20, 60, width=32), min_size=4, max_size=4), max_size=5),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_what_is_cut_lies_in_the_picture(corners: list[list[float]], height: int, width: int) -> None:
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    boxes = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1
    )
    own = cut(boxes, (height, width))
    assert len(own.boxes) + own.outside == len(boxes)
    assert (own.boxes[:, :2] >= 0).all() and (own.boxes[:, 2:] <= [width, height]).all()
    assert (own.boxes[:, 2:] > own.boxes[:, :2]).all()
    again = cut(own.boxes, (height, width))
    assert np.array_equal(again.boxes, own.boxes) and not again.reached_out


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"a_boxes": np.zeros((2, 5))}, "expected boxes [N, 4]"),
        ({"a_boxes": np.array([["1", "2", "3", "4"]])}, "no finite number"),
        ({"a_boxes": np.array([[5.0, 5, 1, 1]])}, "ends before it begins"),
        ({"a_boxes": np.zeros((2, 4)), "a_features": np.zeros((1, 3))}, "[1, 3]; expected [2, 3]"),
        ({"a_boxes": np.zeros((2, 4)), "a_features": np.zeros(3)}, "expected features [N, D]"),
    ],
)
def test_arrays_of_another_form_are_told(arrays: dict[str, Any], told: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", **arrays)

    def read() -> None:
        files = RegionFiles(tmp_path / "r.npz")
        files.boxes(files.entries["a"])

    with pytest.raises(CorruptSample) as caught:
        read()
    assert told in str(caught.value) and "r.npz, a_" in str(caught.value)


def test_features_of_another_width_are_told(tmp_path: Path) -> None:
    box = np.zeros((1, 4))
    np.savez(tmp_path / "r.npz", a_boxes=box, a_features=box, b_boxes=box, b_features=np.zeros((1, 5)))
    files = RegionFiles(tmp_path / "r.npz")
    with pytest.raises(CorruptSample, match=r"b_features: is \[1, 5\]; expected \[1, 4\]"):
        files.boxes(files.entries["b"])
    np.savez(tmp_path / "r.npz", a_boxes=box, a_features=box, b_boxes=box)
    with pytest.raises(DataError, match="1 of 2 pictures have no features"):
        RegionFiles(tmp_path / "r.npz")


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    whole = Path(written(tmp_path / "whole.npz", {"a": np.random.default_rng(0).random((400, 4))}))
    (tmp_path / "torn.npz").write_bytes(whole.read_bytes()[:-200])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "folder").mkdir()
    for name in ("torn.npz", "empty.npz", "other.npz", "folder"):
        with pytest.raises(DataError) as caught:
            source_of(str(tmp_path / name), 5, None)
        assert str(tmp_path / name) in str(caught.value) and "<id>_boxes [N, 4]" in str(caught.value)
    damaged = bytearray(whole.read_bytes())
    damaged[200:400] = bytes(200)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    files = RegionFiles(tmp_path / "damaged.npz")
    with pytest.raises(CorruptSample, match="cannot be read"):
        files.boxes(files.entries["a"])
    with pytest.raises(DataError, match="there is no file"):
        source_of(str(tmp_path / "nowhere.npz"), 5, None)
    with pytest.raises(DataError, match=r"data\.regions: .*nowhere does not exist"):
        source_of(str(tmp_path / "nowhere"), 5, None)


def test_two_pictures_are_not_one_in_the_file(tmp_path: Path) -> None:
    CaptionTableFiles.fake(tmp_path)
    (tmp_path / "images" / "more").mkdir()
    os.replace(tmp_path / "images" / "001.png", tmp_path / "images" / "more" / "000.png")
    table = (tmp_path / "captions.csv").read_text().replace("001.png", "more/000.png")
    (tmp_path / "captions.csv").write_text(table)
    file = written(tmp_path / "boxes.npz", {f"{n:03d}": np.array([[0.0, 0, 4, 4]]) for n in range(24)})
    with pytest.raises(DataError, match="would be of both"):
        CaptionTableFiles(str(tmp_path), image_size=32, regions=file).prepare_data()


def test_a_person_names_a_picture_of_a_file(tmp_path: Path) -> None:
    boxes = {"a": np.array([[0.0, 0, 4, 4]]), "b": np.array([[1.0, 1, 99, 4]])}
    file = written(tmp_path / "boxes.npz", boxes, width=2)
    found, features = given_regions(f"{file}:b", (10, 20), 2)
    assert found.tolist() == [[1, 1, 20, 4]] and features is not None and features.tolist() == [[1, 2]]
    with pytest.raises(DataError, match="which of its 2 pictures"):
        given_regions(file, (10, 20), 2)
    with pytest.raises(DataError, match="which of its 2 pictures"):
        given_regions(f"{file}:c", (10, 20), 2)
    with pytest.raises(DataError, match="2 features of a box; the network was taught with none"):
        given_regions(f"{file}:b", (10, 20), None)
    np.savez(tmp_path / "one.npz", boxes=boxes["a"])
    assert given_regions(str(tmp_path / "one.npz"), (10, 20), None)[0].tolist() == [[0, 0, 4, 4]]


def test_files_that_fit_no_picture_or_not_the_run_are_told(tmp_path: Path) -> None:
    CaptionTableFiles.fake(tmp_path)
    boxes = boxes_for(tmp_path)
    others = written(tmp_path / "others.npz", {f"other{name}": own for name, own in boxes.items()})
    with pytest.raises(DataError, match=r"others\.npz has boxes of none of 24 pictures, .* it has .*other"):
        CaptionTableFiles(str(tmp_path), image_size=32, regions=others).prepare_data()
    data = CaptionTableFiles(str(tmp_path), image_size=32, regions=written(tmp_path / "boxes.npz", boxes))
    data.known_facts = {"region_width": 3}
    with pytest.raises(DataError, match=r"has no features of each box; this run was taught with 3"):
        data.prepare_data()
