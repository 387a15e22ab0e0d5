"""CIFAR: the batches as others read them, and what hostile or broken ones do."""

import os
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets as torchvision_datasets

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data import public
from vision_apps.data.labels.cifar import CIFAR10, CIFAR100, read_batch


class Attack:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("pwned",)


def test_reads_what_torchvision_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CIFAR10(**CIFAR10.fake(tmp_path, per_class=3))
    monkeypatch.setattr(torchvision_datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *args: True)
    for split, train in (("test", False), ("train", True)):
        theirs = torchvision_datasets.CIFAR10(str(tmp_path), train=train)
        parts = ["train", "val"] if train else ["test"]
        images = torch.cat(
            [data.load(part, ("images",)).__getitems__(rows(data, part))["images"] for part in parts]
        )
        expected = torch.from_numpy(theirs.data).permute(0, 3, 1, 2)
        assert sorted(map(bytes, images.numpy())) == sorted(map(bytes, expected.numpy().copy())), split
    assert data.facts["class_names"] == theirs.classes
    test = data.load("test", ("labels",)).__getitems__(rows(data, "test"))
    assert test["labels"].tolist() == torchvision_datasets.CIFAR10(str(tmp_path), train=False).targets


def rows(data: CIFAR10, split: str) -> list[int]:
    return list(range(len(data.load(split, ("labels",)))))


def test_the_official_python_2_spelling_is_read(tmp_path: Path) -> None:
    # what Python 2 wrote: text keys as bytes, dtype code as bytes, the old module name
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nI2\nt"
        b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x01\\x02\\x03\\xff'\ntb"
    )
    path = tmp_path / "batch"
    path.write_bytes(b"(S'data'\n" + array + b"S'labels'\n(I1\nI2\nld.")
    batch = read_batch(path)
    assert batch[b"data"].tolist() == [[1, 2], [3, 255]]
    assert batch[b"labels"] == [1, 2]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_program_in_a_batch_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    kwargs = CIFAR10.fake(tmp_path / "data", per_class=1)
    path = tmp_path / "data" / torchvision_datasets.CIFAR10.base_folder / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": Attack(), "labels": [0]}, protocol=protocol))
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.mkdir.*not executed") as caught:
        CIFAR10(**kwargs).load("train", ("images",))
    assert str(path) in str(caught.value)
    assert not Path("pwned").exists()


def test_numpy_itself_is_not_reached(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    hidden = np.array([Attack()], dtype=object)  # an array of objects carries a program of its own
    path.write_bytes(pickle.dumps({"data": hidden}, protocol=2))
    with pytest.raises(DataError):
        read_batch(path)
    path.write_bytes(pickle.dumps({"data": np.zeros((2, 2), np.float32)}, protocol=2))
    with pytest.raises(DataError, match="other than uint8"):
        read_batch(path)
    assert not Path("pwned").exists()


def test_truncated_batches_are_told(tmp_path: Path) -> None:
    kwargs = CIFAR10.fake(tmp_path, per_class=1)
    path = tmp_path / torchvision_datasets.CIFAR10.base_folder / "test_batch"
    content = path.read_bytes()
    for length in (0, 1, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="cannot be read as a CIFAR batch") as caught:
            CIFAR10(**kwargs).load("test", ("images",))
        assert str(path) in str(caught.value)
        assert "data.download=true" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0]}, "labels"),
        ({"labels": [99] * 10}, "from 0 to 9"),
        ({"labels": ["cat"] * 10}, "from 0 to 9"),
        ({"data": np.zeros((10, 7), np.uint8)}, "3072"),
        ({"data": b"text"}, "3072"),
    ],
)
def test_batches_that_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    kwargs = CIFAR10.fake(tmp_path, per_class=1)
    path = tmp_path / torchvision_datasets.CIFAR10.base_folder / "test_batch"
    good = {"data": np.zeros((10, 3072), np.uint8), "labels": [0] * 10}
    path.write_bytes(pickle.dumps(good | change, protocol=2))
    with pytest.raises(DataError, match=message):
        CIFAR10(**kwargs).load("test", ("images", "labels"))


def test_a_smaller_test_set_is_taken_as_it_is(tmp_path: Path) -> None:
    kwargs = CIFAR10.fake(tmp_path, per_class=2)
    content = {"data": np.zeros((3, 3 * 32 * 32), np.uint8), "labels": [3, 4, 5]}
    (tmp_path / torchvision_datasets.CIFAR10.base_folder / "test_batch").write_bytes(pickle.dumps(content))
    test = CIFAR10(**kwargs).load("test", ("labels",))
    assert test.__getitems__([0, 1, 2])["labels"].tolist() == [3, 4, 5]
    assert len(test) == 3


def test_root_may_be_the_unpacked_folder_itself(tmp_path: Path) -> None:
    kwargs = CIFAR10.fake(tmp_path, per_class=2)
    data = CIFAR10(**kwargs | {"root": str(tmp_path / torchvision_datasets.CIFAR10.base_folder)})
    data.prepare_data()
    assert len(data.load("train", ("images",))) == 10


def test_cifar_100_takes_the_fine_classes(tmp_path: Path) -> None:
    data = CIFAR100(**CIFAR100.fake(tmp_path, per_class=2))
    assert data.facts["num_classes"] == 100
    assert len(data.load("val", ("labels",))) == 100


@pytest.mark.parametrize("held_out", [0, 20, 5000])
def test_the_share_held_out_must_leave_something(tmp_path: Path, held_out: int) -> None:
    kwargs = CIFAR10.fake(tmp_path, per_class=2) | {"val_images": held_out}
    with pytest.raises(ConfigError, match=r"data.val_images: .*expected 1 to 19"):
        CIFAR10(**kwargs).load("train", ("images",))


def test_a_failed_download_names_every_address_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, *_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", offline)
    with pytest.raises(DataError, match="no route to host") as caught:
        public.download(["https://one.example/a", "https://two.example/a"], tmp_path, "a", "00")
    assert "one.example" in str(caught.value)
    assert "two.example" in str(caught.value)
    assert str(tmp_path / "a") in str(caught.value)


def test_download_unpacks_the_official_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CIFAR10.fake(tmp_path / "made", per_class=1)
    asked = []

    def local(url: str, folder: Path, name: str, md5: str) -> None:
        asked.append((url, md5))
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tarfile.open(Path(folder) / name, "w:gz") as archive:
            archive.add(
                tmp_path / "made" / torchvision_datasets.CIFAR10.base_folder,
                torchvision_datasets.CIFAR10.base_folder,
            )

    monkeypatch.setattr("torchvision.datasets.utils.download_url", local)
    data = CIFAR10(str(tmp_path / "data"), download=True, val_images=2)
    data.prepare_data()
    data.prepare_data()  # the second time it is there
    assert asked == [(torchvision_datasets.CIFAR10.url, torchvision_datasets.CIFAR10.tgz_md5)]
    assert len(data.load("train", ("images",))) == 8


@pytest.mark.parametrize("old", [True, False], ids=["old Python", "this Python"])
@pytest.mark.parametrize("kind", ["above", "absolute", "link"])
def test_a_hostile_archive_writes_nothing_elsewhere(
    kind: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    member = tarfile.TarInfo({"above": "../out", "absolute": str(tmp_path / "out"), "link": "link"}[kind])
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "out")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member)
    (tmp_path / "folder").mkdir()
    if kind == "absolute" and hasattr(tarfile, "data_filter"):  # which takes its first stroke away
        public.unpack(tmp_path / "a.tar", tmp_path / "folder")
    else:
        with pytest.raises(DataError, match=re.escape(f"a.tar: {member.name!r} ")):
            public.unpack(tmp_path / "a.tar", tmp_path / "folder")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "folder" / "link").is_symlink()


def test_class_counts_are_those_of_the_training_labels(tmp_path: Path) -> None:
    for limit in (None, 20):
        data = CIFAR10(**CIFAR10.fake(tmp_path / str(limit)), limit_train=limit)
        data.prepare_data()
        samples = data.load("train", ("labels",))
        labels = samples.__getitems__(list(range(limit or len(samples))))["labels"]
        assert data.facts["class_counts"] == torch.bincount(labels, minlength=10).tolist()
