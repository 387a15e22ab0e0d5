"""What all data sets with boxes share: padding, fitting, splits, and what is done with bad input."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.applications.detection.types import DetectionBatch
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data import memory
from vision_apps.data.boxes.annotation import Annotated, Annotation, annotation, clean, kinds
from vision_apps.data.boxes.data import BoxData
from vision_apps.data.boxes.voc import VocFolder


class Given(BoxData):
    """Reads what the test says."""

    layout = "nothing"

    def __init__(self, root: Path, splits: dict[str, list[Annotation]], **options: Any) -> None:
        super().__init__(str(root), **{"image_size": 32} | options)
        self.splits = splits

    def read(self) -> Annotated:
        return Annotated(["a", "b"], self.splits)  # type: ignore[arg-type]


def picture(
    folder: Path,
    name: str,
    boxes: list[list[float]],
    *,
    size: tuple[int, int] = (40, 80),
    ignored: list[bool] | None = None,
) -> Annotation:
    """A file of noise and its annotation; labels alternate."""
    pixels = np.random.default_rng(sum(map(ord, name))).integers(0, 256, (*size, 3), dtype=np.uint8)
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    labels = [number % 2 for number in range(len(boxes))]
    return annotation(path, size, boxes, labels, ignored, image_id=name, source=folder / f"{name}.txt")


def prepared(root: Path, train: list[Annotation], **options: Any) -> Given:
    """With a val and a test picture besides."""
    others = {split: [picture(root, split, [[0, 0, 4, 4]])] for split in ("val", "test")}
    data = Given(root, {"train": train, **others}, **options)
    data.prepare_data()
    return data


def test_samples_are_fitted_and_padded(tmp_path: Path) -> None:
    data = prepared(
        tmp_path,
        [picture(tmp_path, "one", [[10, 4, 30, 20], [40, 0, 80, 40]], ignored=[False, True])],
    )
    sample = data.load("train", data.fields)[0]
    # 40 x 80 into 32 x 32 by 0.4
    assert torch.allclose(sample["boxes"], torch.tensor([[4, 1.6, 12, 8], [16, 0, 32, 16]]))
    assert sample["box_labels"].tolist() == [0, 1]
    assert sample["ignored"].tolist() == [False, True]
    assert sample["areas"].tolist() == [20 * 16, 40 * 40]  # in pixels of the file
    assert sample["sizes"].tolist() == [40, 80]
    assert sample["proposals"].shape == (0, 4)
    assert (sample["images"][:, 16:] == 114).all()
    types = {name: value.dtype for name, value in sample.items()}
    assert types == {
        "images": torch.uint8,
        "boxes": torch.float32,
        "box_labels": torch.int64,
        "ignored": torch.bool,
        "areas": torch.float32,
        "sizes": torch.int64,
        "proposals": torch.float32,
    }
    other = data.load("test", data.fields)[0]  # the rows of the largest count of all splits
    assert other["boxes"].tolist()[1] == [0] * 4
    assert other["box_labels"].tolist() == [0, -1]
    assert other["ignored"].tolist() == [False, False]


def test_stretched_pictures(tmp_path: Path) -> None:
    data = prepared(
        tmp_path, [picture(tmp_path, "one", [[10, 4, 30, 20]])], image_size=[20, 160], resize_mode="stretch"
    )
    sample = data.load("train", data.fields)[0]
    assert sample["images"].shape == (3, 20, 160)
    assert sample["boxes"].tolist() == [[20, 2, 60, 10]]
    assert data.facts["image_size"] == [20, 160] and data.facts["resize_mode"] == "stretch"
    assert prepared(tmp_path, [picture(tmp_path, "one", [])], image_size=[24, 24]).facts["image_size"] == 24


@pytest.mark.parametrize("resize_mode", ["letterbox", "stretch"])
def test_memory_and_files_give_the_same(tmp_path: Path, resize_mode: str) -> None:
    root = tmp_path / "data"
    node = VocFolder.fake(root) | {"resize_mode": resize_mode}
    files, memory = (VocFolder(**node, in_memory=in_memory) for in_memory in (False, True))
    for data in (files, memory):
        data.prepare_data()
    for split in ("train", "val", "test"):
        read, held = files.load(split, files.fields), memory.load(split, memory.fields)
        assert held.in_memory
        batch = held.__getitems__(list(range(len(held))))
        assert len(read) == len(held)
        for name in files.fields:
            assert torch.equal(torch.stack([read[row][name] for row in range(len(read))]), batch[name]), name


def test_a_limit_reads_no_more(tmp_path: Path) -> None:
    data = VocFolder(**VocFolder.fake(tmp_path / "data"), limit_train=3, in_memory=True)
    data.prepare_data()
    assert len(data.load("train", ("images",))) == 3


def test_batches_of_the_detection(tmp_path: Path) -> None:
    data = VocFolder(**VocFolder.fake(tmp_path / "data"))
    data.prepare_data()
    batch = next(
        iter(BatchLoader(data.load("train", data.fields), DetectionBatch, batch_size=4, shuffle=True))
    )
    assert isinstance(batch, DetectionBatch)
    assert batch.boxes.shape == (4, 3, 4) and batch.proposals.shape == (4, 0, 4)
    real = batch.box_labels >= 0
    assert ((batch.boxes[..., 2:] > batch.boxes[..., :2]).all(-1) == real).all()
    assert not batch.ignored[~real].any()


def test_only_single_objects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [picture(tmp_path, str(count), [[0, 0, 9, 9]] * count) for count in (0, 1, 2, 3)]
    with caplog.at_level(logging.INFO):
        data = prepared(tmp_path, items, only="single")
    assert sorted(len(item.labels) for item in data.annotations["train"]) == [0, 1]
    assert "left out 2 of 4 pictures of train with more than one object" in caplog.text
    assert data.load("train", ("boxes",))[0]["boxes"].shape == (1, 4)


def test_a_split_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture is left for train"):
        prepared(tmp_path, [picture(tmp_path, "two", [[0, 0, 9, 9]] * 2)], only="single")
    data = Given(tmp_path, {"train": []})
    with pytest.raises(DataError, match="no picture is annotated"):
        data.prepare_data()
    with pytest.raises(DataError, match="there are no pictures to train on"):
        Given(tmp_path, {"val": [picture(tmp_path, "x", [])]}).prepare_data()


def test_boxes_of_no_size_are_left_out_with_a_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [
        picture(tmp_path, "one", [[5, 5, 5, 5], [0, 0, 9, 9]]),
        picture(tmp_path, "two", [[1, 1, 8, 8], [3, 1, 3, 9]]),
    ]
    data = prepared(tmp_path, items)
    assert sorted(len(item.labels) for item in data.annotations["train"]) == [1, 1]
    assert [box.kind for box in data.bad_boxes] == ["empty", "empty"]
    assert (
        f"left out 2 boxes of no size: {tmp_path / 'one.txt'}, box 0: (5, 5, 5, 5) in a picture of 80 x 40"
        in caplog.text
    )


def test_a_picture_whose_object_is_nowhere_is_no_empty_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [picture(tmp_path, "lost", [[5, 5, 5, 9]]), picture(tmp_path, "kept", [[1, 1, 8, 8]])]
    data = prepared(tmp_path, items)
    assert [item.image_id for item in data.annotations["train"]] == ["kept"]
    assert f"left out 1 picture without a usable box, such as {tmp_path / 'lost.png'}" in caplog.text


def test_a_box_outside_its_picture_is_refused_or_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [
        picture(tmp_path, "one", [[1, 1, 9, 9], [90, 5, 99, 9]]),
        picture(tmp_path, "two", [[90, 5, 99, 9]]),
    ]
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, items)
    assert str(caught.value) == (
        f"data: {tmp_path / 'one.txt'}, box 1: (90, 5, 99, 9) in a picture of 80 x 40 lies outside its "
        "picture (2 boxes cannot be used)\n"
        "  Mend the annotation, or leave such boxes out and count them: data.on_bad_box=drop"
    )
    data = prepared(tmp_path, items, on_bad_box="drop")
    found = {item.image_id: len(item.labels) for item in data.annotations["train"]}
    assert found == {"one": 1, "two": 0}  # nothing of the object can be seen in the second
    assert "left out 2 boxes that cannot be meant" in caplog.text


@pytest.mark.parametrize(
    ("box", "text"),
    [([9, 5, 2, 8], "has its second corner before the first"), ([1, 2, float("nan"), 4], "is not a number")],
)
def test_boxes_that_cannot_be_meant(tmp_path: Path, box: list[float], text: str) -> None:
    with pytest.raises(DataError, match=text):
        prepared(tmp_path, [picture(tmp_path, "one", [box])])


def test_the_refusal_says_what_the_numbers_may_be(tmp_path: Path) -> None:
    sizes = [[60.0, 30.0, 10.0 + number, 8.0] for number in range(8)]  # x, y, width, height
    with pytest.raises(DataError, match="nearly all would fit if the files have x, y, width, height"):
        prepared(tmp_path, [picture(tmp_path, "one", sizes)])


def test_rounding_is_cut_in_silence_and_more_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = prepared(tmp_path, [picture(tmp_path, "one", [[-1, -0.5, 81, 40.9]])])
    assert data.annotations["train"][0].boxes.tolist() == [[0, 0, 80, 40]]
    assert not data.bad_boxes and not caplog.text
    data = prepared(tmp_path, [picture(tmp_path, "one", [[-1.5, 5, 20, 30]])])
    assert data.annotations["train"][0].boxes.tolist() == [[0, 5, 20, 30]]
    assert "cut 1 box to the picture" in caplog.text


def test_kinds_of_bad_boxes() -> None:
    nan = float("nan")
    rows = {
        "": [[0, 0, 100, 50], [99, 49, 101, 51]],
        "cut": [[-2, 0, 5, 5], [50, 40, 60, 51.5]],
        "empty": [[5, 5, 5, 9], [5, 5, 9, 5], [100, 3, 100, 5]],
        "outside": [[100, 3, 120, 5], [-9, 3, 0, 5], [3, 50, 5, 60]],
        "reversed": [[9, 3, 5, 5], [3, 9, 5, 5]],
        "not finite": [[nan, 3, 5, 5], [0, 0, float("inf"), 5]],
    }
    for kind, boxes in rows.items():
        item = annotation("x.png", (50, 100), boxes, [0] * len(boxes), image_id=0, source="x.txt")
        assert kinds(item) == [kind] * len(boxes)
        kept, bad = clean(item)
        assert len(kept.boxes) == (len(boxes) if kind in ("", "cut") else 0)
        assert [box.number for box in bad] == (list(range(len(boxes))) if kind else [])
        assert (kept.boxes[:, 2:] > kept.boxes[:, :2]).all()


def test_a_missing_picture_is_refused_or_counted(tmp_path: Path) -> None:
    items = [picture(tmp_path, "there", [[1, 1, 9, 9]]), picture(tmp_path, "gone", [[1, 1, 9, 9]])]
    (tmp_path / "gone.png").unlink()
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, items)
    assert str(caught.value) == (
        f"data: {tmp_path / 'gone.txt'}: its picture {tmp_path / 'gone.png'} is not there\n"
        "  Bring it, remove the annotation, or leave such pictures out: data.on_corrupt=skip"
    )
    data = prepared(tmp_path, items, on_corrupt="skip", batch_size=1)
    data.batch_type = DetectionBatch
    assert len(data.load("train", ("images",))) == 1
    assert data.loader("train").corrupt == {str(tmp_path / "gone.png"): "the annotated picture is not there"}


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_broken_picture_is_refused_or_counted(tmp_path: Path, in_memory: bool) -> None:
    items = [picture(tmp_path, "good", [[1, 1, 9, 9]]), picture(tmp_path, "bad", [[1, 1, 9, 9]])]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    data = prepared(tmp_path, items, in_memory=in_memory, batch_size=2)
    data.batch_type = DetectionBatch
    with pytest.raises(DataError, match=r"bad\.png: cannot be decoded"):
        list(data.loader("train"))
    data = prepared(tmp_path, items, in_memory=in_memory, batch_size=2, on_corrupt="skip")
    data.batch_type = DetectionBatch
    loader = data.loader("train")
    assert [len(batch.images) for batch in loader] == [1]
    assert list(loader.corrupt) == [str(tmp_path / "bad.png")]


def test_every_broken_picture_is_named_at_once(tmp_path: Path) -> None:
    items = [picture(tmp_path, f"p{number}", [[1, 1, 9, 9]]) for number in range(13)]
    for item in items[:12]:
        Path(item.path).write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, items, in_memory=True).load("train", ("images",))
    assert str(caught.value).count("cannot be decoded") == 10 and "and 2 more" in str(caught.value)
    for item in items:
        Path(item.path).write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture of train can be read"):
        prepared(tmp_path, items, in_memory=True, on_corrupt="skip").load("train", ("images",))


def test_boxes_of_another_picture(tmp_path: Path) -> None:
    item = picture(tmp_path, "one", [[1, 1, 9, 9]])._replace(height=80, width=40)
    data = prepared(tmp_path, [item])
    with pytest.raises(CorruptSample, match=r"it has 80 x 40 pixels and is annotated as 40 x 80"):
        data.load("train", data.fields)[0]
    assert data.load("train", ("boxes",))[0].keys() == {"boxes"}  # nothing is decoded for it


def test_a_picture_without_labels_is_trained_as_empty(tmp_path: Path) -> None:
    data = prepared(tmp_path, [picture(tmp_path, "none", [])])
    sample = data.load("train", data.fields)[0]
    assert sample["boxes"].tolist() == [[0] * 4] and sample["box_labels"].tolist() == [-1]


def test_splits_are_held_out_of_all(tmp_path: Path) -> None:
    items = [picture(tmp_path, f"p{number:02d}", []) for number in range(20)]

    def names(**options: Any) -> dict[str, set[str]]:
        data = Given(tmp_path, {"train": items}, **options)
        data.prepare_data()
        return {split: {item.path for item in own} for split, own in data.annotations.items()}

    found = names(test_fraction=0.2, val_fraction=0.1)
    assert [len(found[split]) for split in ("train", "val", "test")] == [16, 1, 3]
    assert len(set.union(*found.values())) == 20
    # the test pictures are the same whatever is held out for validation, and others for another seed
    assert names(test_fraction=0.2, val_fraction=0.3)["test"] == found["test"]
    assert names(test_fraction=0.2, val_fraction=0.1, split_seed=1)["test"] != found["test"]
    with pytest.raises(DataError, match="2 pictures are too few to hold some of them out for val"):
        Given(tmp_path, {"train": items[:2]}).prepare_data()


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Given(tmp_path, {}, image_size=[0, 4], val_fraction=0.5, test_fraction=0, proposals_limit=0)
    assert str(caught.value).splitlines() == [
        "data.image_size: expected a side or [height, width] in pixels, not [0, 4]",
        "data.val_fraction: expected a share of more than 0 and less than 0.5, not 0.5",
        "data.test_fraction: expected a share of more than 0 and less than 0.5, not 0",
        "data.proposals_limit: expected at least 1, not 0",
    ]


def test_more_than_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = prepared(tmp_path, [picture(tmp_path, "one", [])], in_memory=True)
    monkeypatch.setattr(memory, "_memory", lambda: 1000)
    with pytest.raises(
        ConfigError, match=r"data\.in_memory: 1 samples of train .*take .* data\.in_memory=false"
    ):
        data.load("train", ("images",))


def test_findings_are_about_the_splits_and_the_files(tmp_path: Path) -> None:
    item = picture(tmp_path, "one", [[1, 1, 9, 9], [4, 4, 4, 9]])
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(item.path).read_bytes())
    data = Given(
        tmp_path,
        {
            "train": [item],
            "val": [item._replace(path=str(copy))],
            "test": [picture(tmp_path, "test", [[0, 0, 4, 4]])],
        },
    )
    data.prepare_data()
    lines = list(data.doctor())
    assert lines[0] == "train: 1 pictures, 1 objects, at most 1 in one"
    box = f"box: {tmp_path / 'one.txt'}, box 1: (4, 4, 4, 9) in a picture of 80 x 40"
    assert f"{box} has no size and is left out" in lines
    assert any(line.startswith("leakage:") and "copy.png" in line for line in lines)
