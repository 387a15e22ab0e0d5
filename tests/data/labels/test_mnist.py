"""MNIST and Fashion-MNIST: the IDX format as torchvision reads it, and broken files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets.mnist import read_image_file, read_label_file

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.labels.mnist import MNIST, FashionMNIST, read_idx, write_idx


def unpacked(folder: Path) -> None:
    for path in folder.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def whole(data: MNIST, split: str) -> dict[str, torch.Tensor]:
    samples = data.load(split, ("images", "labels"))
    return samples.__getitems__(list(range(len(samples))))


def test_reads_what_torchvision_reads(tmp_path: Path) -> None:
    data = MNIST(**MNIST.fake(tmp_path, per_class=2))
    values = whole(data, "test")
    unpacked(tmp_path)
    assert torch.equal(
        values["images"][:, 0, 2:30, 2:30], read_image_file(str(tmp_path / "t10k-images-idx3-ubyte"))
    )
    assert torch.equal(values["labels"], read_label_file(str(tmp_path / "t10k-labels-idx1-ubyte")))
    again = whole(data, "test")
    assert torch.equal(values["images"], again["images"])  # packed or not


def test_three_equal_channels_within_a_black_border(tmp_path: Path) -> None:
    images = whole(MNIST(**MNIST.fake(tmp_path, per_class=1)), "test")["images"]
    assert images.shape[1:] == (3, 32, 32)
    assert torch.equal(images[:, 0], images[:, 2])
    border = torch.ones(32, 32, dtype=torch.bool)
    border[2:30, 2:30] = False
    assert images[..., border].max() == 0


@pytest.mark.parametrize("size", [28, 31, 40])
def test_facts_follow_the_border(tmp_path: Path, size: int) -> None:
    data = FashionMNIST(**FashionMNIST.fake(tmp_path, per_class=2), image_size=size)
    mean, std = FashionMNIST.moments
    inside = torch.tensor([mean - std, mean + std]).repeat(14 * 28).view(28, 28)  # these moments exactly
    padded = torch.zeros(size, size)
    padded[:28, :28] = inside
    assert data.facts["mean"] == pytest.approx([padded.mean().item()] * 3, abs=1e-6)
    assert data.facts["std"] == pytest.approx([padded.std(correction=0).item()] * 3, abs=1e-6)
    assert whole(data, "val")["images"].shape[-2:] == (size, size)


def test_a_size_below_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data.image_size: 20.*28 or more"):
        MNIST(str(tmp_path), image_size=20)


def test_where_torchvision_puts_them(tmp_path: Path) -> None:
    kwargs = MNIST.fake(tmp_path / "MNIST" / "raw", per_class=1)
    data = MNIST(**kwargs | {"root": str(tmp_path), "val_images": 2})
    data.prepare_data()
    assert len(data.load("train", ("images",))) == 8


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_files_are_told(tmp_path: Path, share: float) -> None:
    kwargs = MNIST.fake(tmp_path, per_class=1)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="t10k-images") as caught:
        MNIST(**kwargs).load("test", ("images",))
    assert str(path) in str(caught.value)


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a-idx3-ubyte"
    values = np.zeros((2, 28, 28), np.uint8)
    write_idx(path, values)
    honest = gzip.decompress(path.read_bytes())
    path.write_bytes(honest)
    assert read_idx(path, 3).shape == (2, 28, 28)
    for content, message in (
        (honest[:-1], "header says 1568"),
        (honest + b"x", "header says 1568"),
        (honest[:3] + b"\x01" + honest[4:], "no IDX file"),
        (honest[:4] + b"\xff\xff\xff\xff" + honest[8:], "more than any"),
        (b"<html>not found</html>", "no IDX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path, 3)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    kwargs = MNIST.fake(tmp_path, per_class=1)
    for labels in (np.zeros(3, np.uint8), np.full(10, 10, np.uint8)):
        write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels)
        with pytest.raises(DataError, match="10 labels from 0 to 9"):
            MNIST(**kwargs).load("test", ("labels",))


def test_class_counts_are_those_of_the_training_labels(tmp_path: Path) -> None:
    for limit in (None, 20):
        data = MNIST(**MNIST.fake(tmp_path / str(limit)), limit_train=limit)
        data.prepare_data()
        samples = data.load("train", ("labels",))
        labels = samples.__getitems__(list(range(limit or len(samples))))["labels"]
        assert data.facts["class_counts"] == torch.bincount(labels, minlength=10).tolist()
