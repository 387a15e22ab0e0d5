"""Agreement of masks against scikit-learn, brute force with erosion, and whatever batches it is summed in."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.functional.classification import multiclass_confusion_matrix

from vision_apps.applications.segmentation.metrics import (
    MaskAgreement,
    boundary,
    boundary_counts,
    boundary_width,
    confusion,
    image_miou,
)
from vision_apps.core.errors import DataError

NAMES = ["sky", "tall tree", "road/path", "a"]
K = len(NAMES)


def blobs(seed: int, size: tuple[int, int, int] = (3, 24, 30), ignored: bool = True) -> Tensor:
    """Masks with areas of some pixels' extent, some of them ignored."""
    generator = torch.Generator().manual_seed(seed)
    count, height, width = size
    coarse = torch.randint(K, (count, 1, -(-height // 5), -(-width // 5)), generator=generator)
    masks = coarse.repeat_interleave(5, 2).repeat_interleave(5, 3)[:, 0, :height, :width].to(torch.uint8)
    if ignored:
        masks[torch.rand(masks.shape, generator=generator) < 0.05] = 255
        masks[:, 3:8, 4:15] = 255
    return masks


def computed(answer: Tensor, truth: Tensor) -> dict[str, Tensor]:
    metric = MaskAgreement(NAMES)
    metric.update(answer, truth)
    return metric.compute()


@given(seed=st.integers(0, 50))
def test_as_scikit_learn_has_it(seed: int) -> None:
    answer, truth = blobs(seed, ignored=False), blobs(seed + 1)
    counted = truth != 255
    a, t = answer[counted].numpy(), truth[counted].numpy()
    values = computed(answer, truth)
    np.testing.assert_array_equal(values["confusion"], confusion_matrix(t, a, labels=range(K)))
    assert values["accuracy"].item() == pytest.approx((a == t).mean())
    classes = sorted({*a, *t})
    ious = jaccard_score(t, a, labels=classes, average=None)
    assert values["miou"].item() == pytest.approx(ious.mean())
    assert values["dice"].item() == pytest.approx(f1_score(t, a, labels=classes, average="macro"))
    assert values["iou_sky"].item() == pytest.approx(ious[classes.index(0)])


def test_a_class_that_neither_has_is_left_out() -> None:
    truth = torch.tensor([[[0, 0, 1, 1]]], dtype=torch.uint8)
    answer = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    values = computed(answer, truth)
    assert values["miou"].item() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert values["dice"].item() == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert {"iou_sky", "iou_tall_tree"} == {name for name in values if name.startswith("iou_")}


def test_a_class_that_only_the_answer_has_counts_as_zero() -> None:
    truth = torch.zeros(1, 1, 4, dtype=torch.uint8)
    answer = torch.tensor([[[0, 0, 0, 3]]], dtype=torch.uint8)
    assert computed(answer, truth)["miou"].item() == pytest.approx((3 / 4 + 0) / 2)


def test_nothing_counted_is_zero() -> None:
    nothing = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    values = computed(torch.zeros_like(nothing), nothing)
    assert values["miou"] == values["accuracy"] == values["boundary_iou"] == 0


@given(seed=st.integers(0, 20), batch=st.integers(1, 4))
def test_the_batch_size_has_no_part(seed: int, batch: int) -> None:
    """The mean of batches' IoU differs between batch sizes; sums do not."""
    answer, truth = blobs(seed, (4, 20, 20), ignored=False), blobs(seed + 1, (4, 20, 20))
    metric = MaskAgreement(NAMES)
    for part, true in zip(answer.split(batch), truth.split(batch), strict=True):
        metric.update(part, true)
    whole = computed(answer, truth)
    assert all(torch.equal(value, whole[name]) for name, value in metric.compute().items())


def test_metrics_of_two_processes_are_summed() -> None:
    answer, truth = blobs(0, ignored=False), blobs(1)
    one, other = MaskAgreement(NAMES), MaskAgreement(NAMES)
    one.update(answer[:1], truth[:1])
    other.update(answer[1:], truth[1:])
    for name in ("confusion", "boundary_both", "boundary_either"):
        gathered = torch.stack([getattr(one, name), getattr(other, name)])  # as torchmetrics brings them
        setattr(one, name, one._reductions[name](gathered))
    whole = computed(answer, truth)
    assert all(torch.equal(value, whole[name]) for name, value in one.compute().items())


@pytest.mark.parametrize("value", [K, 7, 254])
def test_an_unknown_value_is_told(value: int) -> None:
    truth = torch.tensor([[[0, value, 255]]], dtype=torch.uint8)
    expected = rf"the value {value} is no class; expected 0 to 3, or 255.*data check"
    with pytest.raises(DataError, match=expected):
        confusion(torch.full_like(truth, K - 1), truth, K)


@pytest.mark.parametrize("classes", [2, 21, 254])
def test_the_matrix_is_torchmetrics(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    answer, truth = torch.randint(classes, (2, 3, 40, 50), generator=generator, dtype=torch.uint8)
    truth[:, :5] = 255
    expected = multiclass_confusion_matrix(answer, truth, classes, ignore_index=255)
    found = confusion(answer, truth, classes)
    assert found.dtype == torch.int64 and torch.equal(found, expected)


def test_scalars_and_the_matrix_come_out_of_a_collection() -> None:
    collection = MetricCollection({"agreement": MaskAgreement(NAMES)})
    truth = blobs(0)
    collection.update(torch.where(truth == 255, 0, truth), truth)
    values = collection.compute()
    assert values["miou"] == values["dice"] == values["accuracy"] == values["boundary_iou"] == 1
    assert values["confusion"].shape == (K, K)
    assert all(value.numel() == 1 for name, value in values.items() if name != "confusion")


def test_many_classes_are_not_listed() -> None:
    names = [f"kind {k}" for k in range(41)]
    metric = MaskAgreement(names)
    metric.update(torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert not [name for name in metric.compute() if name.startswith("iou_")]


def test_the_quality_of_each_image_is_its_own_mean_iou() -> None:
    answer, truth = blobs(0, ignored=False), blobs(1)
    truth[2] = 255
    expected = [computed(a[None], t[None])["miou"] for a, t in zip(answer[:2], truth[:2], strict=True)]
    found = image_miou(answer, truth, K)
    torch.testing.assert_close(found, torch.stack([*expected, torch.ones(())]))


# ---- boundaries -----------------------------------------------------------------------------------------


def eroded(mask: np.ndarray, distance: int) -> np.ndarray:
    """By a 3 x 3 square, so many times; outside of the image there is nothing."""
    return ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=distance, border_value=0)


def brute_boundary(masks: Tensor, k: int, distance: int) -> np.ndarray:
    """Of class k, as its authors: the mask without its erosion; ignored pixels do not erode."""
    found = []
    for mask in masks.numpy():
        inside = (mask == k) | (mask == 255)
        found.append((mask == k) & ~eroded(inside, distance))
    return np.stack(found)


@given(seed=st.integers(0, 30), distance=st.integers(1, 20), ignored=st.booleans())
def test_boundaries_are_what_erosion_takes_away(seed: int, distance: int, ignored: bool) -> None:
    masks = blobs(seed, ignored=ignored)
    found = boundary(masks, distance).numpy()
    for k in range(K):
        expected = brute_boundary(masks, k, distance)
        np.testing.assert_array_equal(found & (masks.numpy() == k), expected)
    assert not found[masks.numpy() == 255].any()


@given(seed=st.integers(0, 30), distance=st.integers(1, 4))
def test_boundary_counts_are_those_of_each_class_alone(seed: int, distance: int) -> None:
    answer, truth = blobs(seed, ignored=False), blobs(seed + 1)
    hidden = torch.where(truth == 255, 255, answer)
    both, of_truth, of_answer = boundary_counts(answer, truth, K, distance)
    for k in range(K):
        t, a = brute_boundary(truth, k, distance), brute_boundary(hidden, k, distance)
        assert (both[k], of_truth[k], of_answer[k]) == ((t & a).sum(), t.sum(), a.sum())


def test_boundary_iou_by_hand() -> None:
    """A square moved by one pixel, bands one pixel wide: rings of 6 x 6 pixels have 20."""
    truth = torch.zeros(1, 20, 20, dtype=torch.uint8)
    answer = truth.clone()
    truth[0, 5:11, 5:11] = 1
    answer[0, 5:11, 6:12] = 1
    assert boundary_width(20, 20) == 1
    metric = MaskAgreement(["none", "square"])
    metric.update(answer, truth)
    # of the square's rings the long sides share 5 pixels each, and nothing else
    square = 10 / (20 + 20 - 10)
    # of the background: the image's border of 76, and the rings of 8 x 8 minus corners' neighbours around
    outer = boundary_counts(answer, truth, 2, 1)
    none = outer[0][0].item() / (outer[1][0] + outer[2][0] - outer[0][0]).item()
    assert outer[1].tolist() == [76 + 28, 20]
    assert metric.compute()["boundary_iou"].item() == pytest.approx((square + none) / 2)


def test_the_band_is_two_per_cent_of_the_diagonal() -> None:
    assert boundary_width(360, 480) == round(0.02 * 600) == 12
    assert boundary_width(64, 64) == round(0.02 * math.sqrt(2) * 64) == 2
    assert boundary_width(10, 10) == 1
