"""Folders of pictures and masks: what belongs together, what 255 means, and what is said when it does not
fit."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mask_folders import SPLITS, counts, every, prepared, refusal, write
from PIL import Image

from vision_apps.applications.segmentation.types import SegmentationBatch, TiledBatch
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data.masks.coding import voc_colors
from vision_apps.data.masks.data import fake_pair
from vision_apps.data.masks.folder import MaskFolder

NAMES = ("a", "b", "c", "d")


def folder(root: Path, masks: list[Any] | None = None) -> Path:
    """Four 2 x 3 pictures and their masks."""
    for number, name in enumerate(NAMES):
        write(root / "images" / f"{name}.png", np.full((2, 3, 3), number))
        write(root / "masks" / f"{name}.png", masks[number] if masks else [[0, 1, 1], [0, 0, 255]])
    return root


def expected(root: Path, what: str) -> str:
    return (
        f"data.root: no pictures with masks in {root}: {what}\n"
        "  Expected root/images/*.jpg with root/masks/*.png of the same names, "
        "root/{train,val,test}/{images,masks}, masks beside their pictures (a.jpg, a_mask.png), "
        "or lists root/{train,val,test}.txt with a line 'image mask' each.\n"
        "  Say where they are: data.root=/path/to/it"
    )


def test_pictures_find_their_masks_by_name(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.jpg", "sub/a.png", "sub/b.webp")):
        mask = tmp_path / "masks" / Path(name).with_suffix(".png")
        fake_pair(tmp_path / "images" / name, mask, seed, 8, (0, 1))
    data = prepared(tmp_path)
    stems = {
        (Path(image).relative_to(tmp_path / "images").with_suffix(""))
        for pairs in data.pairs.values()
        for image, mask in pairs.paths()
        if Path(image).relative_to(tmp_path / "images").with_suffix("")
        == Path(mask).relative_to(tmp_path / "masks").with_suffix("")
    }
    assert stems == {Path("a"), Path("sub/a"), Path("sub/b")}


def test_samples_are_what_is_in_the_files(tmp_path: Path) -> None:
    samples = every(prepared(folder(tmp_path)))
    assert sorted(int(sample["images"].max()) for sample in samples) == [0, 1, 2, 3]
    for sample in samples:
        assert sample["images"].shape == (3, 2, 3)
        assert sample["masks"].dtype == torch.uint8
        assert sample["masks"].tolist() == [[0, 1, 1], [0, 0, 255]]


@pytest.mark.parametrize("in_memory", [False, True])
def test_what_is_measured_with_comes_as_it_is_in_the_files(tmp_path: Path, in_memory: bool) -> None:
    """Masks of unequal shapes are filled up in a batch; training has none."""
    for split, sizes in {"train": [(4, 4)], "val": [(6, 4)], "test": [(8, 4), (3, 9)]}.items():
        for number, size in enumerate(sizes):
            write(tmp_path / split / "images" / f"{number}.png", np.full((*size, 3), 10 * number))
            write(tmp_path / split / "masks" / f"{number}.png", np.arange(np.prod(size)).reshape(size) % 2)
    data = prepared(tmp_path, image_size=(4, 4), in_memory=in_memory, seed=1)
    data.batch_type = TiledBatch
    (batch,) = BatchLoader(data.samples("test"), TiledBatch, batch_size=2)
    assert sorted(batch.sizes.tolist()) == [[3, 9], [8, 4]]
    assert batch.truths.shape == (2, 8, 9) and batch.files.shape == (2, 3, 8, 9)
    for truth, file, (height, width) in zip(batch.truths, batch.files, batch.sizes.tolist(), strict=True):
        expected = torch.arange(height * width).reshape(height, width) % 2
        assert torch.equal(truth[:height, :width].long(), expected)
        assert (truth == 255).sum() == 72 - height * width
        assert (file[:, :height, :width] == file[0, 0, 0]).all() and (file[:, height:] == 0).all()
    (batch,) = BatchLoader(data.samples("train"), TiledBatch, batch_size=1)
    assert batch.truths is None and batch.files is None and batch.sizes.tolist() == [[4, 4]]


def test_the_rest_of_a_letterbox_is_ignored(tmp_path: Path) -> None:
    for sample in every(prepared(folder(tmp_path), image_size=6)):
        assert sample["images"][:, 4:].unique().tolist() == [114]
        assert sample["masks"][4:].unique().tolist() == [255]
        assert sample["masks"][0].tolist() == [0, 0, 1, 1, 1, 1]
    for sample in every(prepared(tmp_path, image_size=6, resize_mode="stretch")):
        assert sample["masks"][:, 0].tolist() == [0] * 6


def test_split_folders_and_what_is_held_out(tmp_path: Path) -> None:
    for split, count in (("training", 10), ("valid", 4)):
        for number in range(count):
            write(tmp_path / split / "images" / f"{number}.png", np.full((2, 2, 3), number))
            write(tmp_path / split / "masks" / f"{number}.png", np.eye(2))
    assert counts(prepared(tmp_path, test_fraction=0.2)) == [8, 4, 2]


def test_lists_and_suffixes(tmp_path: Path) -> None:
    for name in NAMES:
        write(tmp_path / "pictures" / f"{name}.png", np.zeros((2, 2, 3)))
        write(tmp_path / "truth" / f"{name}_mask.png", np.eye(2))
    assert counts(prepared(tmp_path, images="pictures", masks="truth", mask_suffix="_mask")) == [2, 1, 1]
    for split, names in (("train", "ab"), ("val", "c"), ("test", "d")):
        lines = [f"/elsewhere/pictures/{name}.png /elsewhere/truth/{name}_mask.png\n" for name in names]
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    assert counts(prepared(tmp_path)) == [2, 1, 1]


def test_facts(tmp_path: Path) -> None:
    folder(tmp_path)
    facts = prepared(tmp_path, image_size=[2, 3]).facts
    assert facts["num_classes"] == 2
    assert facts["class_names"] == ["background", "object"]
    assert facts["image_size"] == [2, 3]
    assert facts["palette"] == voc_colors(2)
    assert prepared(tmp_path, image_size=[4, 4]).facts["image_size"] == 4


def test_the_palette_is_that_of_the_masks_or_as_said(tmp_path: Path) -> None:
    folder(tmp_path)
    image = Image.fromarray(np.eye(2, dtype=np.uint8))
    image.putpalette([1, 2, 3, 4, 5, 6])
    for name in NAMES:
        write(tmp_path / "images" / f"{name}.png", np.zeros((2, 2, 3)))
        image.save(tmp_path / "masks" / f"{name}.png")
    names = ["x", "y", "z"]
    assert prepared(tmp_path, class_names=names).palette == [[1, 2, 3], [4, 5, 6], [0, 128, 0]]
    (tmp_path / "classes.txt").write_text("x 9 9 9\ny 8 8 8\n")
    data = prepared(tmp_path, class_names=None)
    assert data.class_names == ["x", "y"]
    assert data.palette == [[9, 9, 9], [8, 8, 8]]
    assert prepared(tmp_path, palette=[[0, 0, 0], [1, 1, 1]]).palette == [[0, 0, 0], [1, 1, 1]]


def test_color_maps(tmp_path: Path) -> None:
    red, blue, void = [255, 0, 0], [0, 0, 255], [9, 9, 9]
    folder(tmp_path, [[[red, blue, void], [red, red, red]]] * 4)
    data = prepared(tmp_path, palette=[red, blue], void_color=void)
    assert every(data)[0]["masks"].tolist() == [[0, 1, 255], [0, 0, 0]]
    assert refusal(tmp_path, CorruptSample, palette=[red, blue]).endswith(
        "colour [9, 9, 9] at row 0, column 2 is none of the 2 classes; name it in data.palette or "
        "data.void_color"
    )
    assert refusal(tmp_path, CorruptSample).endswith(
        "an RGB picture, and no palette says which colour is which class; name it in data.palette or "
        "data.void_color"
    )
    assert refusal(tmp_path, ConfigError, class_names=None) == (
        f"data.class_names: the classes have no names and {tmp_path} no classes.txt; the first masks hold "
        "(0, 0, 255), (9, 9, 9), (255, 0, 0); name the classes in order: "
        "data.class_names=[background,class_1,class_2]"
    )


BINARY = (
    "masks: binary, 0 is 'background' and 255 is 'object' (none of those looked at has a 1); if 255 is to be "
    "ignored: 'data.values={255:255}'"
)


def test_a_binary_set_is_recognised_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder(tmp_path, [[[0, 255, 255], [0, 0, 0]], [[0] * 3] * 2, [[255] * 3] * 2, [[0, 0, 0], [0, 255, 0]]])
    with caplog.at_level(logging.WARNING):
        data = prepared(tmp_path)
    assert caplog.messages == [BINARY]
    assert next(data.doctor()) == BINARY
    assert {int(value) for sample in every(data) for value in sample["masks"].unique()} == {0, 1}


def test_one_mask_with_a_1_makes_255_ignored(tmp_path: Path) -> None:
    folder(tmp_path, [[[0, 255, 255], [0, 0, 0]]] * 3 + [[[0, 1, 255], [0, 0, 0]]])
    data = prepared(tmp_path, seed=3)  # with this seed the one with the 1 is for training
    assert not data.binary
    assert {int(value) for sample in every(data) for value in sample["masks"].unique()} == {0, 1, 255}


def test_a_1_in_a_binary_set_is_an_error(tmp_path: Path) -> None:
    for split in SPLITS:
        write(tmp_path / split / "images" / "a.png", np.zeros((1, 2, 3)))
        write(tmp_path / split / "masks" / "a.png", [[0, 255 if split == "train" else 1]])
    assert refusal(tmp_path, CorruptSample) == (
        f"{tmp_path / 'val' / 'masks' / 'a.png'}: value 1 at row 0, column 1 is none of the 2 classes: "
        "expected 0, 255; the masks were taken for binary: if 255 is ignored, say 'data.values={255:255}'"
    )
    assert len(every(prepared(tmp_path, values={255: 255}))) == 3


def test_255_means_what_is_said(tmp_path: Path) -> None:
    folder(tmp_path, [[[0, 255, 255], [0, 0, 0]]] * 4)
    assert every(prepared(tmp_path, values={255: 255}))[0]["masks"].tolist()[0] == [0, 255, 255]
    assert every(prepared(tmp_path, values={255: 1}))[0]["masks"].tolist()[0] == [0, 1, 1]
    three = prepared(tmp_path, class_names=["a", "b", "c"])  # not two classes: nothing is recognised
    assert every(three)[0]["masks"].tolist()[0] == [0, 255, 255]
    assert "masks: 4 hold only 0 and 255, as binary masks do" in "\n".join(three.doctor())


def test_an_unknown_value_names_file_place_and_classes(tmp_path: Path) -> None:
    folder(tmp_path, [[[0, 1, 7], [0, 0, 0]]] * 4)
    text = refusal(tmp_path, CorruptSample)
    assert text.startswith(f"{tmp_path / 'masks'}/")
    assert text.endswith(
        ".png: value 7 at row 0, column 2 is none of the 2 classes: expected 0 to 1, 255 (ignored); say what "
        "it is: 'data.values={7:255}' to ignore it"
    )
    assert every(prepared(tmp_path, values={7: 1}))[0]["masks"].tolist() == [[0, 1, 1], [0, 0, 0]]


def test_a_mask_of_another_size_names_both(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in NAMES:
        write(tmp_path / "masks" / f"{name}.png", np.eye(4))
    text = refusal(tmp_path, CorruptSample)
    assert "the mask is 4 x 4 pixels, its picture " in text
    assert text.endswith(".png 3 x 2")


def test_broken_files_are_skipped_where_asked(tmp_path: Path) -> None:
    for split in SPLITS:
        folder(tmp_path / split)
    broken = tmp_path / "train" / "masks" / "b.png"
    write(broken, np.eye(5))
    samples = prepared(tmp_path).load("train", ("images", "masks"))
    skipping = BatchLoader(samples, SegmentationBatch, batch_size=4, on_corrupt="skip")
    assert [len(batch.images) for batch in skipping] == [3]
    assert list(skipping.corrupt) == [str(broken)]
    with pytest.raises(DataError, match="the mask is 5 x 5 pixels"):
        next(iter(BatchLoader(samples, SegmentationBatch, batch_size=4)))


def test_missing_masks_are_listed(tmp_path: Path) -> None:
    folder(tmp_path)
    for name in "bd":
        (tmp_path / "masks" / f"{name}.png").unlink()
    images = tmp_path / "images"
    assert refusal(tmp_path) == expected(
        tmp_path,
        f"2 ({images / 'b.png'}, {images / 'd.png'}) of 4 pictures have no mask in {tmp_path / 'masks'}; "
        "b.png needs b.png (data.mask_suffix)",
    )
    (tmp_path / "train.txt").write_text("images/a.png masks/a.png\nimages/b.png masks/b.png\n")
    assert refusal(tmp_path) == expected(
        tmp_path,
        f"{tmp_path / 'train.txt'}: 1 ({tmp_path / 'masks' / 'b.png'}) of 2 masks are not there",
    )


def test_many_missing_masks_are_counted(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path / "images" / f"{number}.png", np.zeros((2, 2, 3)))
    (tmp_path / "masks").mkdir()
    assert "9 (" in (text := refusal(tmp_path))
    assert f"{tmp_path / 'images' / '4.png'} and 4 more) of 9 pictures have no mask" in text


def test_layouts_that_are_none(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == expected(tmp_path / "nowhere", "there is no such folder")
    assert refusal(tmp_path) == expected(
        tmp_path, f"there is no {tmp_path / 'images'}, and no folder or list of a split"
    )
    (tmp_path / "images").mkdir()
    assert refusal(tmp_path) == expected(tmp_path, f"there is no {tmp_path / 'masks'}")
    (tmp_path / "masks").mkdir()
    assert f"{tmp_path / 'images'} holds no pictures (.jpg" in refusal(tmp_path)
    folder(tmp_path / "val")
    assert refusal(tmp_path) == expected(tmp_path, "found val without train")
    (tmp_path / "train.txt").write_text("\n")
    assert refusal(tmp_path) == expected(tmp_path, f"{tmp_path / 'train.txt'} holds no pictures")


def test_two_files_of_one_name_are_told(tmp_path: Path) -> None:
    folder(tmp_path)
    write(tmp_path / "masks" / "a.bmp", np.eye(2))
    text = f"{tmp_path / 'masks' / 'a.png'} and a.bmp have the same name; remove one of them"
    assert refusal(tmp_path) == expected(tmp_path, text)


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for number in range(4):
        for folder in ("", ".thumbnails/", "__MACOSX/"):
            write(tmp_path / "images" / f"{folder}{number}.png", np.zeros((4, 4)))
            write(tmp_path / "masks" / f"{folder}{number}.png", np.zeros((4, 4)))
    data = MaskFolder(str(tmp_path), class_names=["ground", "thing"])
    data.prepare_data()
    assert sorted(Path(image).name for pairs in data.pairs.values() for image, _ in pairs.paths()) == [
        f"{number}.png" for number in range(4)
    ]


def test_too_few_to_hold_out(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.png", np.zeros((2, 2, 3)))
    write(tmp_path / "masks" / "a.png", np.eye(2))
    assert "1 pictures are too few to hold some of them out for val" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"val_fraction": 0.0},
            "data.val_fraction: expected a share of more than 0 and less than 0.5, not 0.0",
        ),
        (
            {"test_fraction": 0.5},
            "data.test_fraction: expected a share of more than 0 and less than 0.5, not 0.5",
        ),
        (
            {"image_size": [1, 2, 3]},
            "data.image_size: expected a side or [height, width] in pixels, not [1, 2, 3]",
        ),
        ({"image_size": 0}, "data.image_size: expected a side or [height, width] in pixels, not 0"),
        (
            {"class_names": ["only"]},
            "data.class_names: expected 2 to 255 different names, of the background too, for instance "
            "[background,object]; found only",
        ),
        (
            {"palette": [[0, 0, 0]]},
            "data.palette: expected 2 different colours [r,g,b] of 0 to 255, one for each of background, "
            "object, and data.void_color different from them",
        ),
        (
            {"palette": [[0, 0, 0], [1, 1, 1]], "void_color": [1, 1, 1]},
            "data.palette: expected 2 different colours [r,g,b] of 0 to 255, one for each of background, "
            "object, and data.void_color different from them",
        ),
        (
            {"values": {11: 2}},
            "data.values: 11: 2; expected a number of the masks (0 to 65535) to a class (0 to 1) or to 255, "
            "which is ignored",
        ),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    assert refusal(folder(tmp_path), ConfigError, **options) == said


def test_without_names_the_values_are_told(tmp_path: Path) -> None:
    assert refusal(folder(tmp_path), ConfigError, class_names=None) == (
        f"data.class_names: the classes have no names and {tmp_path} no classes.txt; the first masks hold "
        "0, 1, 255; name the classes in order: data.class_names=[background,object]"
    )
