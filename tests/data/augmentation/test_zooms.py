"""Zooms and crops keep to their ranges; the arithmetic of boxes that follow."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Boxes, Mask, Pixels, RowsOf
from vision_apps.data.augmentation.crops import Flip, RandomResizedCrop, Rotate90
from vision_apps.data.augmentation.mosaic import Mosaic
from vision_apps.data.augmentation.objects import compact, follow, map_boxes, take
from vision_apps.data.augmentation.spatial import in_pixels, warp
from vision_apps.data.augmentation.zooms import IoUCrop, RandomZoom, ScaleCrop, ZoomOut, patch_overlaps


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    boxes: Annotated[Tensor | None, Boxes("box_labels", ignored="ignored")] = None
    box_labels: Annotated[Tensor | None, RowsOf()] = None
    ignored: Annotated[Tensor | None, RowsOf(empty=0)] = None
    masks: Annotated[Tensor | None, Mask()] = None


def pictures(B: int = 6, H: int = 48, W: int = 48) -> Tensor:
    return torch.randint(0, 256, (B, 3, H, W), dtype=torch.uint8)


# ---- the parts ---------------------------------------------------------------------------------------------


@given(data=st.data(), H=st.integers(2, 40), W=st.integers(2, 40))
def test_maps_in_pixels_are_the_way_back(data: st.DataObject, H: int, W: int) -> None:
    number = st.floats(-1, 1, width=32)
    a, b, c, d = (data.draw(number) for _ in range(4))
    maps = torch.tensor([[[1.5 + a / 2, b / 2, c], [c / 3, -1.4 + d / 3, b]]])
    forward = in_pixels(maps, (H, W), (30, 20)).float()
    places = torch.rand(5, 2) * torch.tensor([20, 30])  # of the output
    units = places / torch.tensor([10, 15]) - 1
    source = (units @ maps[0, :, :2].T + maps[0, :, 2] + 1) * torch.tensor([W, H]) / 2
    back = map_boxes(torch.cat((source, source), dim=1)[None], forward)[0]
    assert torch.allclose(back[:, :2], places, atol=1e-3)
    assert torch.allclose(back[:, 2:], places, atol=1e-3)


def test_what_is_dropped() -> None:
    window = torch.tensor([0.0, 0.0, 20.0, 20.0])
    nothing = torch.eye(2, 3)[None]
    boxes = torch.tensor(
        [
            [
                [2.0, 2, 8, 8],
                [-3, 2, 1, 8],  # a quarter is left, but one pixel
                [-6, 2, 2, 8],  # a quarter is left
                [-7, 2, 2, 8],  # less
                [15, -30, 20, 10],  # a quarter
                [4, 4, 5, 9],  # thin before
                [25, 2, 30, 8],
                [4, 4, 4, 9],  # no area
                [-1, -1, 21, 21],
            ]
        ]
    )
    seen, kept = follow(boxes, nothing, window)
    assert kept[0].tolist() == [True, False, True, False, True, True, False, False, True]
    assert seen[0, 2].tolist() == [0, 2, 2, 8]
    assert seen[0, 8].tolist() == [0, 0, 20, 20]
    assert follow(boxes, nothing, window, min_share=0.1)[1][0].tolist()[3]
    assert follow(boxes, nothing, window, 0.0, True)[1][0].tolist() == [
        *(True, False, False, False, False, True, False, False, True)
    ]
    halved = torch.tensor([[[0.5, 0, 0], [0, 0.5, 0]]])
    thin = torch.tensor([[[2.0, 2, 5, 12], [2, 2, 6, 12]]])
    assert follow(thin, halved, window)[1].tolist() == [[False, True]]


def test_rows_are_compacted_in_their_order() -> None:
    kept = torch.tensor([[False, True, False, True], [True, True, True, False]])
    numbers = torch.arange(8).view(2, 4)
    after, order = compact(kept)
    rows, pairs = take(numbers, order), take(torch.stack((numbers, -numbers), -1), order)
    assert after.tolist() == [[True, True, False, False], [True, True, True, False]]
    assert rows[0, :2].tolist() == [1, 3]
    assert rows[1, :3].tolist() == [4, 5, 6]
    assert torch.equal(pairs, torch.stack((rows, -rows), -1))
    few, first = compact(kept, room=3)
    assert torch.equal(few, after[:, :3])
    assert torch.equal(first, order[:, :3])


def test_overlaps_of_patches() -> None:
    corners = torch.rand(3, 7, 2, 2) * 40
    boxes = torch.cat((corners.amin(2), corners.amax(2)), dim=-1)
    patches, objects = boxes[:, :4], boxes[:, 4:]
    overlap, inside = patch_overlaps(patches, objects)
    for b in range(3):
        assert torch.allclose(overlap[b], box_iou(patches[b], objects[b]))
        for t, (x1, y1, x2, y2) in enumerate(patches[b].tolist()):
            for m, (left, top, right, bottom) in enumerate(objects[b].tolist()):
                middle = ((left + right) / 2, (top + bottom) / 2)
                assert inside[b, t, m] == (x1 <= middle[0] < x2 and y1 <= middle[1] < y2)


# ---- what each is meant to do ------------------------------------------------------------------------------


def test_zoom_out_shrinks_the_picture_onto_the_mean() -> None:
    side = 40
    whole = torch.tensor([0.0, 0, side, side]).expand(300, 1, 4)
    white = torch.full((300, 3, side, side), 255, dtype=torch.uint8)
    masks = torch.ones(300, side, side, dtype=torch.uint8)
    batch = Batch(white, whole, torch.zeros(300, 1, dtype=torch.int64), masks=masks)
    after = ZoomOut(4.0, p=0.5, mean=(0.2, 0.4, 0.6))(batch)
    length = after.boxes[:, 0, 2:] - after.boxes[:, 0, :2]
    assert torch.allclose(length[:, 0], length[:, 1], atol=1e-3)
    ratio = side / length[:, 0]
    assert 120 < (ratio < 1 + 1e-4).sum() < 180
    zoomed = ratio[ratio > 1 + 1e-4]
    assert zoomed.min() < 1.2
    assert 3.8 < zoomed.max() <= 4
    assert zoomed.mean() == pytest.approx(2.5, abs=0.25)
    outside = after.masks == 255
    assert set(after.masks.unique().tolist()) == {1, 255}
    assert ((outside.float().mean((1, 2)) + (length[:, 0] / side) ** 2 - 1).abs() < 0.12).all()
    far = (after.images[:, 0] == 51) & outside
    assert far.sum() > 0.9 * outside.sum()
    for channel, value in enumerate((51, 102, 153)):
        assert (after.images[:, channel][far] == value).all()
    place = after.boxes[ratio > 2][:, 0, 0] / (side - length[ratio > 2][:, 0])
    assert place.min() < 0.1
    assert place.max() > 0.9


def test_zoom_keeps_to_its_ranges() -> None:
    side, B = 80, 300
    box = torch.tensor([36.0, 36, 44, 44]).expand(B, 1, 4)
    batch = Batch(pictures(B, side, side), box, torch.zeros(B, 1, dtype=torch.int64))
    after = RandomZoom((0.5, 2.0), 0.25, p=0.5)(batch)
    there = after.box_labels[:, 0] == 0
    assert there.all()  # the middle is always seen
    boxes = after.boxes[:, 0]
    factor = (boxes[:, 2:] - boxes[:, :2]) / 8
    middle = (boxes[:, 2:] + boxes[:, :2]) / 2 - 40
    same = (boxes - box[:, 0]).abs().amax(1) < 1e-3
    assert 120 < same.sum() < 180
    assert torch.equal(after.images[same], batch.images[same])
    assert 0.5 - 1e-3 <= factor.min() < 0.55
    assert 1.85 < factor.max() <= 2 + 1e-3
    assert torch.allclose(factor[:, 0], factor[:, 1], atol=1e-3)
    assert middle.abs().max() <= 20 + 1e-3
    assert middle.amin(0).max() < -17
    assert middle.amax(0).min() > 17


def test_scale_and_crop_sees_the_whole_of_small_pictures_and_no_outside_of_large_ones() -> None:
    B, H, W = 100, 30, 50
    masks = torch.ones(B, H, W, dtype=torch.uint8)
    batch = Batch(pictures(B, H, W), masks=masks)
    small = ScaleCrop([40, 60], scale=(0.5, 0.75))(batch)
    assert small.images.shape == (B, 3, 40, 60)
    high, wide = (small.masks == 1).any(2).sum(1), (small.masks == 1).any(1).sum(1)
    assert 14 <= high.min() < 18
    assert 20 < high.max() <= 23
    assert (wide / high - W / H).abs().max() < 0.15
    assert ((small.masks == 1).sum((1, 2)) == high * wide).all()
    large = ScaleCrop([40, 60], scale=(1.5, 2.0))(batch)
    assert (large.masks == 1).all()
    exact = ScaleCrop([H, W], scale=(1.0, 1.0))(batch)
    assert torch.equal(exact.images, batch.images)


def test_iou_crop_takes_patches_that_overlap_and_keeps_whose_middle_is_inside() -> None:
    """Each picture holds its places as floats, so that the patch can be read from the result."""
    B, side = 400, 64
    place = torch.arange(side) + 0.5
    x, y = place.expand(side, side), place[:, None].expand(side, side)
    low = torch.rand(B, 4, 2) * 40
    boxes = torch.cat((low, low + 6 + torch.rand(B, 4, 2) * 18), dim=-1)
    labels = torch.arange(4).repeat(B, 1)
    batch = Batch(torch.stack((x, y, x)).expand(B, 3, side, side), boxes, labels)
    for least in (0.1, 0.5):
        after = IoUCrop([least])(batch)
        step = after.images[:, :2, 20, 30] - after.images[:, :2, 10, 20]  # of 10 output pixels in both axes
        extent = step / 10 * side
        corner = after.images[:, :2, 20, 30] - step / 10 * torch.tensor([30.5, 20.5])
        patch = torch.cat((corner, corner + extent), dim=1)
        whole = (extent > side - 1e-2).all(1)
        assert 0.4 * B < whole.sum() < 0.98 * B  # drawn to be left as it is, or without a patch that fits
        assert torch.allclose(after.images[whole], batch.images[whole], atol=1e-3)
        assert torch.allclose(after.boxes[whole], boxes[whole], atol=1e-2)
        ratio = extent[:, 0] / extent[:, 1]
        assert ratio.min() > 0.49
        assert ratio.max() < 2.02
        assert extent.min() > 0.295 * side
        assert patch.min() > -0.1
        assert patch.max() < side + 0.1
        for b in (~whole).nonzero().squeeze(1).tolist():
            assert box_iou(patch[b : b + 1], boxes[b]).max() > least - 0.02
            middle = (boxes[b, :, :2] + boxes[b, :, 2:]) / 2
            clear = ((middle - patch[b, :2]).abs().amin(1) > 0.1) & (
                (middle - patch[b, 2:]).abs().amin(1) > 0.1
            )
            inside = ((middle > patch[b, :2]) & (middle < patch[b, 2:])).all(1)
            left = set(after.box_labels[b].tolist()) - {-1}
            assert left
            assert left >= set(labels[b][inside & clear].tolist())
            assert not left & set(labels[b][~inside & clear].tolist())


def test_iou_crop_does_not_count_what_is_ignored() -> None:
    """Only patches that hold the middle of the small object would do, and none overlaps it by 0.9."""
    boxes = torch.tensor([[[0.0, 0, 48, 48], [1, 1, 4, 4]]]).repeat(50, 1, 1)
    batch = Batch(pictures(50), boxes, torch.zeros(50, 2, dtype=torch.int64))
    ignored = torch.tensor([[True, False]]).repeat(50, 1)
    assert torch.equal(IoUCrop([0.8])(batch._replace(ignored=ignored)).images, batch.images)
    assert not torch.equal(IoUCrop([0.8])(batch).images, batch.images)


def test_iou_crop_looks_at_objects_and_not_at_proposals() -> None:
    class Proposed(NamedTuple):
        images: Annotated[Tensor, Pixels()]
        proposals: Annotated[Tensor, Boxes()]
        boxes: Annotated[Tensor | None, Boxes("box_labels")] = None
        box_labels: Annotated[Tensor | None, RowsOf()] = None

    boxes = torch.tensor([[[1.0, 1, 4, 4]]]).repeat(50, 1, 1)
    whole = torch.tensor([[[0.0, 0, 48, 48]]]).repeat(50, 1, 1)
    labels = torch.zeros(50, 1, dtype=torch.int64)
    small = Proposed(pictures(50), whole, boxes, labels)  # no patch overlaps the object by 0.5
    assert torch.equal(IoUCrop([0.5])(small).images, small.images)
    alone = Proposed(small.images, boxes)  # what is proposed stands for objects where there are none
    assert torch.equal(IoUCrop([0.5])(alone).images, small.images)
    assert not torch.equal(IoUCrop([0.5])(Proposed(small.images, whole)).images, small.images)


def test_iou_crop_cuts_pictures_without_objects_too() -> None:
    batch = Batch(pictures(30), torch.zeros(30, 2, 4), torch.full((30, 2), -1))
    changed = (IoUCrop([0.9])(batch).images != batch.images).flatten(1).any(1)
    assert 5 < changed.sum() < 25


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ZoomOut(0.5), "ZoomOut's max_ratio is 0.5; expected 1 or more"),
        (lambda: RandomZoom((2, 1)), r"RandomZoom's scale is \[2, 1\]; expected \[smallest, largest\]"),
        (lambda: ScaleCrop(8, (0, 1)), "ScaleCrop's scale .* both above 0"),
        (
            lambda: ScaleCrop([8, 8, 8]),
            r"ScaleCrop's size: expected a side or \[height, width\] in pixels, not \[8, 8, 8\]",
        ),
        (
            lambda: RandomResizedCrop([8, 8, 8]),
            r"data.augment: RandomResizedCrop's image_size: expected a side or \[height, width\]",
        ),
        (lambda: IoUCrop([0.5, 1.5]), r"IoUCrop's overlaps are \[0.5, 1.5\]; expected IoUs"),
        (lambda: Flip(axis="diagonal"), "Flip's axis is 'diagonal'; expected horizontal or vertical"),
        (lambda: Rotate90()(Batch(pictures(2, 8, 12))), "Rotate90 needs square images, these are 8 x 12"),
        (lambda: Mosaic(until=2), "Mosaic's until is 2; expected a share of the run"),
    ],
)
def test_settings_that_make_no_sense(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_warp_still_takes_any_affine_map() -> None:
    images = pictures(2, 8, 8)
    turned = warp(images, torch.tensor([[[0.0, -1, 0], [1, 0, 0]]]).repeat(2, 1, 1), 8, 8, "zeros")
    assert torch.equal(turned, images.rot90(1, (-2, -1)))
