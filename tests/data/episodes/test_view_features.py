"""Features of views in both formats: what is written is read, and what is broken is told."""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from vision_apps.core.errors import CorruptSample, DataError
from vision_apps.data.episodes.view_features import Place, ViewFeatures, write_hdf5, write_tsv

PLACES: list[Place] = [("house", "a"), ("house", "b"), ("yard", "a")]
WRITERS: dict[str, Callable[[Path, dict[Place, Tensor]], None]] = {"tsv": write_tsv, "hdf5": write_hdf5}


def made(width: int = 6) -> dict[Place, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {place: torch.randn(36, width, generator=generator) for place in PLACES}


@pytest.fixture(params=sorted(WRITERS))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"views.{request.param}"
    WRITERS[request.param](path, made())
    return path


def test_what_is_written_is_read(file: Path) -> None:
    features, expected = ViewFeatures(file), made()
    assert features.width == 6
    for _ in range(2):  # from the file, then from memory
        found = features.of([PLACES[2], PLACES[0], PLACES[2]])
        assert torch.equal(found, torch.stack([expected[PLACES[row]] for row in (2, 0, 2)]))
    assert torch.equal(ViewFeatures(file, width=2).of(PLACES[:1])[0], expected[PLACES[0]][:, :2])


def test_little_memory_reads_the_same(file: Path) -> None:
    features = ViewFeatures(file, memory=0)
    assert torch.equal(features.of(PLACES * 2), torch.stack([*made().values()] * 2))
    assert features.of([]).shape == (0, *features.of(PLACES).shape[1:])


def test_a_viewpoint_that_is_missing_is_told(file: Path) -> None:
    features = ViewFeatures(file)
    features.require(PLACES)
    with pytest.raises(DataError, match="no features of 1 of 4 viewpoints: house z"):
        features.require([*PLACES, ("house", "z")])


def test_more_numbers_than_there_are_are_refused(file: Path) -> None:
    with pytest.raises(DataError, match=r"data.feature_width: 7; .* has 6 numbers"):
        ViewFeatures(file, width=7)


def test_a_truncated_file_is_told(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(DataError, match=re.escape(str(file))) as caught:
        ViewFeatures(file).of(PLACES)
    assert "whole?" in str(caught.value)


def test_numbers_that_are_none_are_told(tmp_path: Path) -> None:
    views = made()
    views[PLACES[1]][3, 2] = torch.nan
    for ending, write in WRITERS.items():
        write(tmp_path / f"views.{ending}", views)
        with pytest.raises(
            CorruptSample, match=r"(line 2|house_b): holds something that is no finite number"
        ):
            ViewFeatures(tmp_path / f"views.{ending}").of(PLACES)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a\tb\tc\n", b"house\ta\t640\t480\t60\t" + b"*" * 400 + b"\n"]
)
def test_a_file_that_is_none_is_told(content: bytes, tmp_path: Path) -> None:
    for ending in WRITERS:
        path = tmp_path / f"views.{ending}"
        path.write_bytes(content)
        with pytest.raises(DataError, match=re.escape(str(path))):
            ViewFeatures(path)


def test_text_that_is_no_base64_is_told(tmp_path: Path) -> None:
    path = tmp_path / "views.tsv"
    path.write_text("\t".join(["house", "a", "640", "480", "60", "*" * (36 * 4 * 4 // 3)]) + "\n")
    with pytest.raises(CorruptSample, match="line 1: cannot be read"):
        ViewFeatures(path).of([("house", "a")])


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        ViewFeatures(tmp_path / "views.tsv")


class TestHdf5FromStrangers:
    def opened(self, path: Path) -> ViewFeatures:
        features = ViewFeatures(path)
        features.of([("house", "a")])
        return features

    def test_links_out_of_the_file_are_not_followed(self, tmp_path: Path) -> None:
        write_hdf5(tmp_path / "other.hdf5", made())
        for name, link in {
            "external": h5py.ExternalLink("other.hdf5", "/house_a"),
            "soft": h5py.SoftLink("/house_b"),
        }.items():
            path = tmp_path / f"{name}.hdf5"
            write_hdf5(path, {PLACES[1]: made()[PLACES[1]]})
            with h5py.File(path, "a") as file:
                file["house_a"] = link
            with pytest.raises(DataError, match="house_a: it is a link"):
                self.opened(path)

    def test_numbers_that_lie_elsewhere_are_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "numbers").write_bytes(bytes(36 * 6 * 4))
        path = tmp_path / "views.hdf5"
        with h5py.File(path, "w") as file:
            place = [(str(tmp_path / "numbers"), 0, 36 * 6 * 4)]
            file.create_dataset("house_a", (36, 6), "f4", external=place)
        with pytest.raises(DataError, match="its numbers are not here"):
            self.opened(path)
        layout = h5py.VirtualLayout((36, 6), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "house_a", (36, 6))
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("house_a", layout)
        with pytest.raises(DataError, match="its numbers are not here"):
            self.opened(path)

    @pytest.mark.parametrize("shape", [(36,), (12, 6), (36, 2**40), (36, 0), (36, 6, 1)])
    def test_sizes_are_looked_at_before_anything_is_read(
        self, shape: tuple[int, ...], tmp_path: Path
    ) -> None:
        path = tmp_path / "views.hdf5"
        with h5py.File(path, "w") as file:
            file.create_dataset(
                "house_a",
                shape,
                "f4",
                chunks=tuple(min(n, 64) or 1 for n in shape),
                maxshape=(None,) * len(shape),
            )
        with pytest.raises(DataError, match=r"house_a: float32 \[.*expected floats \[36, D\]"):
            self.opened(path)

    def test_what_is_no_data_set_of_floats_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "views.hdf5"
        with h5py.File(path, "w") as file:
            file["house_a"] = np.zeros((36, 6), np.int8)
        with pytest.raises(DataError, match="house_a: int8"):
            self.opened(path)
        with h5py.File(path, "w") as file:
            file.create_group("house_a")
        with pytest.raises(DataError, match="house_a"):
            self.opened(path)

    def test_others_of_another_width_are_told(self, tmp_path: Path) -> None:
        path = tmp_path / "views.hdf5"
        write_hdf5(path, {("house", "a"): torch.zeros(36, 6), ("house", "b"): torch.zeros(36, 5)})
        with pytest.raises(CorruptSample, match="house_b: 5 numbers of a view; others have 6"):
            ViewFeatures(path).of([("house", "b")])
