"""Region proposals: selective search and its cache, dense windows."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.ops import box_iou

from vision_apps.applications.detection.types import DetectionBatch
from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.data.boxes import proposal_cache
from vision_apps.data.boxes.proposal_cache import fingerprint, proposals_of
from vision_apps.data.boxes.proposals import Mode, dense_windows, selective_search
from vision_apps.data.boxes.voc import VocFolder

needs_opencv = pytest.mark.skipif(find_spec("cv2") is None, reason="an optional package")


def pictures(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey with one bright rectangle each: uint8 [N, 3, 40, 60] and its box [N, 1, 4]."""
    rng = np.random.default_rng(seed)
    images = torch.full((count, 3, 40, 60), 90, dtype=torch.uint8)
    boxes = torch.zeros(count, 1, 4)
    for row in range(count):
        x, y = int(rng.integers(0, 30)), int(rng.integers(0, 20))
        w, h = int(rng.integers(12, 30)), int(rng.integers(10, 20))
        images[row, :, y : y + h, x : x + w] = torch.tensor(
            rng.integers(150, 250, (3, 1, 1)), dtype=torch.uint8
        )
        boxes[row, 0] = torch.tensor([x, y, x + w, y + h])
    return images, boxes


def cached_proposals(images: torch.Tensor, mode: Mode, limit: int, cache: Path) -> torch.Tensor:
    """Selective search of uint8 [N, 3, H, W]: float32 [N, P, 4], zero rows past a picture's proposals."""
    keys = [f"picture {number}" for number in range(len(images))]
    found = proposals_of(keys, lambda number: images[number], mode, limit, cache)
    return torch.stack([found.of(number, image) for number, image in enumerate(images)])


@needs_opencv
@pytest.mark.parametrize("mode", ["single", "fast", "quality"])
def test_selective_search_finds_what_stands_out(mode: str) -> None:
    images, boxes = pictures(4)
    for image, box in zip(images, boxes, strict=True):
        found = selective_search(image, mode)
        assert found.dtype == torch.float32 and found.shape[1] == 4
        assert len(found.unique(dim=0)) == len(found)
        assert (found[:, :2] >= 0).all() and (found[:, 2] <= 60).all() and (found[:, 3] <= 40).all()
        assert ((found[:, 2:] - found[:, :2]) >= 2).all()
        assert box_iou(box, found).max() > 0.8  # x and y are not swapped, the corners not shifted


@needs_opencv
def test_the_same_pixels_get_the_same_proposals() -> None:
    image = (
        torch.randint(0, 256, (3, 12, 16), dtype=torch.uint8).repeat_interleave(4, 1).repeat_interleave(4, 2)
    )
    first = selective_search(image, "fast")
    for other in pictures(3)[0]:  # OpenCV's own order depends on what ran before
        selective_search(other, "fast")
    assert torch.equal(selective_search(image, "fast"), first)
    assert len(first) > 20
    assert torch.equal(selective_search(image, "fast", limit=10), first[:10])
    areas = (first[:, 2] - first[:, 0]) * (first[:, 3] - first[:, 1])
    half = len(first) // 2
    assert areas[:half].mean() > 2 * areas[half:].mean()  # large ones first, on the whole


@needs_opencv
def test_what_is_asked_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(
        ConfigError, match=r"data\.proposals: expected one of single, fast, quality or null, not 'best'"
    ):
        selective_search(image, "best")  # type: ignore[arg-type]
    monkeypatch.delattr(sys.modules["cv2"], "ximgproc")
    with pytest.raises(ConfigError, match="is without its contributed modules"):
        selective_search(image)


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError) as caught:
        selective_search(torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert "OpenCV is not installed" in str(caught.value)
    assert "pip install 'vision-apps[proposals]'" in str(caught.value)


def test_windows_by_hand() -> None:
    assert dense_windows(4, 8, [4], overlap=0.5).tolist() == [
        [0, 0, 4, 4],
        [2, 0, 6, 4],
        [4, 0, 8, 4],
    ]
    wide = dense_windows(8, 8, [4], [4.0], overlap=0)  # 8 wide, 2 high
    assert wide.tolist() == [[0, 0, 8, 2], [0, 2, 8, 4], [0, 4, 8, 6], [0, 6, 8, 8]]
    assert dense_windows(8, 8, [100]).tolist() == [[0, 0, 8, 8]]
    assert dense_windows(8, 8, []).shape == (0, 4)
    with pytest.raises(ConfigError, match="overlap: expected a share of at least 0 and less than 1, not 1"):
        dense_windows(8, 8, [4], overlap=1)


@given(
    st.integers(8, 100),
    st.integers(8, 100),
    st.lists(st.floats(6, 120), min_size=1, max_size=3),
    st.lists(st.floats(0.3, 3), min_size=1, max_size=3),
    st.floats(0, 0.8),
)
def test_windows_cover_the_picture(
    height: int, width: int, sizes: list[float], aspects: list[float], overlap: float
) -> None:
    found = dense_windows(height, width, sizes, aspects, overlap)
    assert len(found.unique(dim=0)) == len(found)
    assert (found[:, :2] >= 0).all() and (found[:, 2:] > found[:, :2]).all()
    assert found[:, 2].max() <= width + 1e-3 and found[:, 3].max() <= height + 1e-3
    covered = torch.zeros(height, width, dtype=torch.bool)
    for x1, y1, x2, y2 in found.tolist():
        covered[int(y1 + 0.999) : int(y2 + 1e-3), int(x1 + 0.999) : int(x2 + 1e-3)] = True
    if overlap > 0.5:  # neighbours share whole pixels
        assert covered.all()


@needs_opencv
def test_kept_and_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, boxes = pictures(5)
    first = cached_proposals(images, "fast", 100, tmp_path)
    assert first.dtype == torch.float32 and first.shape[::2] == (5, 4)
    for image, row in zip(images, first, strict=True):
        alone = selective_search(image, "fast", 100)
        assert torch.equal(row[: len(alone)], alone) and not row[len(alone) :].any()
    assert all(box_iou(box, found).max() >= 0.7 for box, found in zip(boxes, first, strict=True))
    (part,) = tmp_path.glob("fast-100-v1/*.npz")
    with np.load(part, allow_pickle=False) as content:
        assert set(content) == {"keys", "pixels", "counts", "boxes"}
    assert not list(tmp_path.rglob(".writing-*"))

    def refused(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(proposal_cache, "selective_search", refused)
    assert torch.equal(cached_proposals(images, "fast", 100, tmp_path), first)
    assert cached_proposals(images[:2], "fast", 100, tmp_path).shape[0] == 2  # the same ones, fewer
    with pytest.raises(AssertionError):
        cached_proposals(images, "single", 100, tmp_path)  # another method has its own


@needs_opencv
def test_an_interruption_costs_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = pictures(7)
    monkeypatch.setattr(proposal_cache, "_PART", 2)
    done: set[str] = set()

    def search(image: torch.Tensor, *rest: object) -> torch.Tensor:
        if stops and torch.equal(image, images[5]):  # a picture and no count: threads compute a part together
            raise KeyboardInterrupt
        done.add(fingerprint(image))
        return selective_search(image, "single", 50)

    monkeypatch.setattr(proposal_cache, "selective_search", search)
    stops = True
    with pytest.raises(KeyboardInterrupt):
        cached_proposals(images, "single", 50, tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 2  # four pictures
    stops = False
    done.clear()
    resumed = cached_proposals(images, "single", 50, tmp_path)
    assert done == {fingerprint(image) for image in images[4:]}
    assert torch.equal(resumed, cached_proposals(images, "single", 50, tmp_path / "other"))


@needs_opencv
def test_a_cache_of_other_pictures_is_refused(tmp_path: Path) -> None:
    images, _ = pictures(4)
    cached_proposals(images, "single", 50, tmp_path)
    others, _ = pictures(4, seed=1)
    with pytest.raises(DataError) as caught:
        cached_proposals(others, "single", 50, tmp_path)
    assert str(caught.value) == (
        "data.proposals: the kept proposals are of other pictures: for picture 0 they were computed from "
        f"pixels {fingerprint(images[0])}, the picture now has {fingerprint(others[0])}\n"
        f"  Delete them and they are computed again: {tmp_path / 'single-50-v1'}\n"
        "  Or keep those of this data elsewhere: data.proposals_cache=/path/to/a/folder"
    )


@needs_opencv
def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    images, _ = pictures(2)
    cached_proposals(images, "single", 50, tmp_path)
    (part,) = tmp_path.rglob("*.npz")
    content = part.read_bytes()
    objects = tmp_path / "objects.npz"
    np.savez(objects, keys=np.array([{}], dtype=object), pixels=[""], counts=[0], boxes=np.zeros((0, 4)))
    np.savez(tmp_path / "apart.npz", keys=["a"], pixels=["b"], counts=[3], boxes=np.zeros((1, 4)))
    for damage in (content[:100], b"", objects.read_bytes(), (tmp_path / "apart.npz").read_bytes()):
        part.write_bytes(damage)
        with pytest.raises(DataError) as caught:
            cached_proposals(images, "single", 50, tmp_path)
        assert str(caught.value).startswith(f"data.proposals: {part} cannot be read: ")
        assert str(caught.value).endswith("Delete it and its proposals are computed again.")


@needs_opencv
def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"cannot be kept in .*\n  Say where they can: data\.proposals_cache="
    ):
        cached_proposals(pictures(1)[0], "single", 50, tmp_path / "file")
    # what is marked read-only stays as it is, also for an administrator
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o555)
    with pytest.raises(DataError, match=r"cannot be kept in .*: .*kept is read-only\n"):
        cached_proposals(pictures(1)[0], "single", 50, kept / "here")
    assert not list(kept.iterdir())


@needs_opencv
def test_broken_pictures(tmp_path: Path) -> None:
    images, _ = pictures(3)

    def picture(number: int) -> torch.Tensor:
        if number == 1:
            raise CorruptSample("b.jpg", "broken")
        return images[number]

    with pytest.raises(CorruptSample):
        proposals_of(["a", "b", "c"], picture, "single", 50, tmp_path)
    found = proposals_of(["a", "b", "c"], picture, "single", 50, tmp_path, skip_broken=True)
    assert found.of(2, images[2]).shape == found.of(0, images[0]).shape == (found.most, 4)


@needs_opencv
@pytest.mark.parametrize("in_memory", [False, True])
def test_data_with_proposals(tmp_path: Path, in_memory: bool) -> None:
    node = VocFolder.fake(tmp_path / "data") | {
        "proposals": "single",
        "in_memory": in_memory,
        "batch_size": 4,
    }
    data = VocFolder(**node, proposals_limit=30)
    data.prepare_data()
    assert data.facts["proposals"] == "single"
    data.batch_type = DetectionBatch
    batch = next(iter(data.loader("train")))
    assert batch.proposals.shape[::2] == (4, 4) and batch.proposals.shape[1] <= 30
    for image, proposals in zip(batch.images, batch.proposals, strict=True):
        alone = selective_search(image, "single", 30)
        assert torch.equal(proposals[: len(alone)], alone)
    kept = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.npz")}
    assert {str(path.parent) for path in kept} == {"data/.proposals/32x32-letterbox/single-30-v1"}
    # another seed, another order and other splits: nothing is computed again
    other = VocFolder(**node, proposals_limit=30, seed=5)
    other.prepare_data()
    other.load("train", other.fields)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*.npz")} == kept
    assert data.load("train", ("boxes", "proposals")).fields is not None


@needs_opencv
def test_a_picture_that_changed_since(tmp_path: Path) -> None:
    node = VocFolder.fake(tmp_path / "data") | {
        "proposals": "single",
        "proposals_cache": str(tmp_path / "kept"),
    }
    data = VocFolder(**node)
    data.prepare_data()
    samples = data.load("train", data.fields)
    assert list((tmp_path / "kept").rglob("*.npz")) and not (tmp_path / "data" / ".proposals").exists()
    path = Path(data.annotations["train"][0].path)
    item = data.annotations["train"][0]
    Image.new("RGB", (item.width, item.height), "white").save(path)
    with pytest.raises(
        DataError, match=f"are of other pictures: for JPEGImages/{path.name} they were computed"
    ):
        samples[0]
