"""Image folders and ImageNet's layout: what is found, how it is split, what is said when it does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.data.labels.folder import ImageFolder, fake_pictures
from vision_apps.data.labels.imagenet import ImageNet


def prepared(root: Path, **options: object) -> ImageFolder:
    data = ImageFolder(str(root), image_size=16, **options)
    data.prepare_data()
    return data


def counts(data: ImageFolder) -> dict[str, int]:
    return {split: len(data.load(split, ("images",))) for split in ("train", "val", "test")}


def test_classes_are_folders_in_order_of_name(tmp_path: Path) -> None:
    ImageFolder.fake(tmp_path)
    data = prepared(tmp_path)
    assert data.facts["class_names"] == ["circles", "squares"]
    seen = {
        (Path(bytes(file).decode()).relative_to(tmp_path).parts[0], int(label))
        for listing in data.listings.values()
        for file, label in zip(listing.files, listing.labels, strict=True)
    }
    assert seen == {("circles", 0), ("squares", 1)}


def test_split_folders_are_used_and_the_rest_is_held_out(tmp_path: Path) -> None:
    for split, count in (("train", 20), ("valid", 4)):
        fake_pictures(tmp_path / split / "a", count, 16, seed=0)
        fake_pictures(tmp_path / split / "b", count, 16, seed=1)
    assert counts(prepared(tmp_path, test_fraction=0.25)) == {"train": 29, "val": 8, "test": 11}


def test_pictures_without_classes(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "flat", 10, 16, seed=0)
    data = prepared(tmp_path / "flat")
    assert data.offers == ("images", "sizes", "files")
    assert "num_classes" not in data.facts
    assert counts(data) == {"train": 7, "val": 2, "test": 1}
    with pytest.raises(DataError, match="no class folders"):
        data.load("train", ("labels",))
    assert "labels" in ImageFolder.fields  # of the class itself


def test_flat_split_folders(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("val", 3), ("test", 2)):
        fake_pictures(tmp_path / split, count, 16, seed=0)
    assert counts(prepared(tmp_path)) == {"train": 5, "val": 3, "test": 2}


def test_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 5, 16, seed=0)
    fake_pictures(tmp_path / "__MACOSX", 5, 16, seed=0)
    (tmp_path / "a" / "._0000.jpg").write_bytes(b"resource fork")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "0000.jpg").rename(tmp_path / "a" / "LOUD.JPG")
    data = prepared(tmp_path)
    assert data.facts["class_names"] == ["a"]
    assert sum(counts(data).values()) == 5


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    import os

    fake_pictures(tmp_path / "a", 4, 16, seed=0)
    os.rename(tmp_path / "a" / "0000.jpg", os.fsencode(tmp_path / "a") + b"/caf\xe9.jpg")
    data = prepared(tmp_path)
    for split in ("train", "val", "test"):
        samples = data.load(split, ("images",))
        assert all(samples[index]["images"].shape == (3, 16, 16) for index in range(len(samples)))


def test_training_squares_may_be_larger(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 6, 16, seed=0)
    data = prepared(tmp_path, resize=20, train_size=24)
    assert data.load("train", ("images",))[0]["images"].shape == (3, 24, 24)
    assert data.load("test", ("images",))[0]["images"].shape == (3, 16, 16)


def test_a_broken_file_is_a_corrupt_sample_with_its_name(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 6, 16, seed=0)
    for path in (tmp_path / "a").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CorruptSample) as caught:
        prepared(tmp_path).load("train", ("images",))[0]
    assert str(tmp_path / "a") in caught.value.path


def test_max_pixels_is_passed_on(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 6, 16, seed=0)
    with pytest.raises(CorruptSample, match="max_pixels = 10"):
        prepared(tmp_path, max_pixels=10).load("train", ("images",))[0]


def test_empty_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pictures") as caught:
        prepared(tmp_path)
    assert "data.root=/path/to/images" in str(caught.value)
    assert ".webp" in str(caught.value)
    fake_pictures(tmp_path / "a", 6, 16, seed=0)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="class folders b hold no pictures"):
        prepared(tmp_path)


def test_classes_that_training_has_not_are_told(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "train" / "a", 6, 16, seed=0)
    fake_pictures(tmp_path / "val" / "z", 6, 16, seed=0)
    with pytest.raises(DataError, match="classes that training has not: z"):
        prepared(tmp_path)


def test_too_few_pictures_to_split(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "a", 1, 16, seed=0)
    with pytest.raises(DataError, match="too few"):
        prepared(tmp_path)


@pytest.mark.parametrize("options", [{"val_fraction": 0.0}, {"test_fraction": 0.7}, {"resize": 8}])
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict) -> None:
    with pytest.raises(ConfigError, match=f"data.{next(iter(options))}"):
        ImageFolder(str(tmp_path), image_size=16, **options)


def test_imagenet_reports_on_the_official_validation_images(tmp_path: Path) -> None:
    data = ImageNet(**ImageNet.fake(tmp_path, size=16, per_class=6), val_fraction=0.25)
    data.prepare_data()
    assert counts(data) == {"train": 9, "val": 3, "test": 6}
    assert all(b"/val/" in file for file in data.listings["test"].files)
    assert all(b"/train/" in file for file in data.listings["val"].files)
    assert data.facts["class_names"] == ["tench", "goldfish"]
    (tmp_path / "LOC_synset_mapping.txt").unlink()
    assert ImageNet(str(tmp_path)).facts["class_names"] == ["n01440764", "n01443537"]


def test_imagenet_says_what_is_wrong_with_the_layout(tmp_path: Path) -> None:
    kwargs = ImageNet.fake(tmp_path, size=16)
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01440764 tench\nwrong\n")
    with pytest.raises(DataError, match="line 2"):
        _ = ImageNet(**kwargs).facts
    (tmp_path / "val" / "cats").mkdir()
    with pytest.raises(DataError, match="no classes: cats"):
        ImageNet(**kwargs).prepare_data()
    for folder in (tmp_path / "val").iterdir():
        folder.rename(tmp_path / folder.name)
    with pytest.raises(DataError, match="has no class folders") as caught:
        ImageNet(**kwargs).prepare_data()
    assert "138 GB" in str(caught.value)


def test_pictures_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    for number, values in enumerate(pixels):
        Image.fromarray(values).save(tmp_path / "a" / f"{number}.png")
    data = prepared(tmp_path)
    read = [data.load(split, ("images", "labels"))[0] for split in ("train", "val", "test")]
    assert {sample["images"].permute(1, 2, 0).numpy().tobytes() for sample in read} == {
        v.tobytes() for v in pixels
    }
    assert all(sample["labels"].dtype == torch.int64 and sample["labels"].ndim == 0 for sample in read)


def test_the_first_pictures_are_of_all_classes_in_an_order_of_the_seed(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        fake_pictures(tmp_path / name, 30, 16, seed)
    for split, listing in prepared(tmp_path, val_fraction=0.3, test_fraction=0.3).listings.items():
        assert set(listing.labels[: len(listing.labels) // 2].tolist()) == {0, 1, 2}, split
    first, again, other = (prepared(tmp_path, split_seed=seed).listings["train"].files for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, np.sort(first))


def test_class_counts_are_those_of_the_training_labels(tmp_path: Path) -> None:
    for seed, (name, count) in enumerate((("a", 20), ("b", 8))):
        fake_pictures(tmp_path / "train" / name, count, 16, seed)
        fake_pictures(tmp_path / "val" / name, 3, 16, seed)
        fake_pictures(tmp_path / "test" / name, 3, 16, seed)
    assert prepared(tmp_path).facts["class_counts"] == [20, 8]
    limited = prepared(tmp_path, limit_train=6)
    labels = limited.listings["train"].labels[:6]
    assert limited.facts["class_counts"] == [(labels == 0).sum().item(), (labels == 1).sum().item()]


def test_training_is_a_name_of_train(tmp_path: Path) -> None:
    for split, count in (("training", 5), ("validation", 3), ("test", 2)):
        fake_pictures(tmp_path / split, count, 16, seed=0)
    assert counts(prepared(tmp_path)) == {"train": 5, "val": 3, "test": 2}


EXPECTED = (
    "  Expected root/<class>/*.jpg, root/{train,val,test}/<class>/*.jpg, or the same without class folders\n"
    "  with files ending in .jpg .jpeg .jfif .jpe .png .webp .bmp .gif .tif .tiff .ppm .pgm .avif .heic "
    ".heif.\n"
    "  Say where the pictures are: data.root=/path/to/images"
)


def test_folders_to_measure_with_and_none_to_train_on_are_no_classes(tmp_path: Path) -> None:
    for split in ("validation", "test"):
        fake_pictures(tmp_path / split, 6, 16, seed=0)
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert str(caught.value) == (
        f"data.root: no pictures in {tmp_path}: found validation/ and test/ without train/ (or training/); "
        f"add the pictures to train on, or rename it if it is a class\n{EXPECTED}"
    )


def test_a_missing_and_an_empty_folder_are_told_in_full(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepared(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"data.root: no pictures in {tmp_path / 'nowhere'}: there is no such folder\n{EXPECTED}"
    )
    with pytest.raises(DataError) as caught:
        prepared(tmp_path)
    assert str(caught.value) == (
        f"data.root: no pictures in {tmp_path}: {tmp_path} holds no pictures\n{EXPECTED}"
    )


def test_an_empty_folder_of_a_split_says_how_it_is_drawn(tmp_path: Path) -> None:
    fake_pictures(tmp_path / "train" / "cats", 4, 16, seed=0)
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="val holds no pictures; fill it, or remove it and val is drawn from"):
        prepared(tmp_path)
