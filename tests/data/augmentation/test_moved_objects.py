"""Boxes, proposals and masks follow the pixels, whatever moves them: drawn rectangles stay where their boxes
say, and single pictures move as torchvision would move them."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as v2

from vision_apps.core.fields import Boxes, Mask, Pixels, RowsOf, Stays
from vision_apps.data.augmentation.crops import (
    Flip,
    RandomCrop,
    RandomResizedCrop,
    Rotate90,
)
from vision_apps.data.augmentation.effects import parts_of
from vision_apps.data.augmentation.elastic import Elastic
from vision_apps.data.augmentation.mosaic import Mosaic
from vision_apps.data.augmentation.photometric import Photometric
from vision_apps.data.augmentation.spatial import resample
from vision_apps.data.augmentation.zooms import IoUCrop, RandomZoom, ScaleCrop, ZoomOut


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    boxes: Annotated[Tensor | None, Boxes("box_labels", ignored="ignored")] = None
    box_labels: Annotated[Tensor | None, RowsOf()] = None
    ignored: Annotated[Tensor | None, RowsOf(empty=0)] = None
    sizes: Annotated[Tensor | None, Stays()] = None
    proposals: Annotated[Tensor | None, Boxes()] = None
    masks: Annotated[Tensor | None, Mask()] = None


def pictures(B: int = 6, H: int = 48, W: int = 48) -> Tensor:
    return torch.randint(0, 256, (B, 3, H, W), dtype=torch.uint8)


def rectangles(B: int = 8, M: int = 3, side: int = 48, empty: tuple[int, ...] = (1,)) -> Batch:
    """Up to M filled rectangles that do not touch, one below the other; the mask's value says which, and is
    different in every picture. Proposals are the same boxes."""
    boxes, masks = torch.zeros(B, M, 4), torch.zeros(B, side, side, dtype=torch.uint8)
    labels, ignored = torch.full((B, M), -1), torch.zeros(B, M, dtype=torch.bool)
    band = side // M
    for b in range(B):
        for m in range(0 if b in empty else 1 + b % M):
            x1, x2 = sorted(torch.randperm(side - 8)[:2].tolist())
            y1, y2 = m * band + 1, m * band + 1 + int(torch.randint(6, band - 1, ()))
            x2 += 7
            boxes[b, m] = torch.tensor([x1, y1, x2, y2])
            labels[b, m] = 1 + b * M + m
            ignored[b, m] = m == 1
            masks[b, y1:y2, x1:x2] = int(labels[b, m])
    images = masks[:, None].repeat(1, 3, 1, 1) * 7
    sizes = torch.arange(2 * B).view(B, 2)
    return Batch(images, boxes, labels, ignored, sizes, boxes.clone(), masks)


MOVES: dict[str, Any] = {
    "crop": RandomCrop(9, mode="constant"),
    "flip": Flip(),
    "vertical flip": Flip(axis="vertical"),
    "turn": Rotate90(),
    "resized crop": RandomResizedCrop(48, scale=(0.2, 1.0), ratio=(0.5, 2.0)),
    "resized crop to another size": RandomResizedCrop([32, 64], scale=(0.4, 1.0)),
    "zoom out": ZoomOut(3.0, p=0.9),
    "IoU crop": IoUCrop(),
    "zoom": RandomZoom((0.5, 2.0), 0.3),
    "scale and crop": ScaleCrop(48),
    "scale and crop to another size": ScaleCrop([40, 72]),
    "mosaic": Mosaic(until=1),
    "mosaic of some": Mosaic(p=0.5, until=1),
}
NEW = [ZoomOut(), IoUCrop(), RandomZoom(), ScaleCrop(32), Mosaic(), Photometric(), Elastic(), Rotate90()]
moves = pytest.mark.parametrize("transform", MOVES.values(), ids=MOVES.keys())
new = pytest.mark.parametrize("transform", NEW, ids=[type(transform).__name__ for transform in NEW])


def extents(mask: Tensor, value: int) -> Tensor | None:
    """The box around the pixels of one value."""
    rows, columns = (mask == value).any(1).nonzero(), (mask == value).any(0).nonzero()
    if not len(rows):
        return None
    corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return torch.stack(corners).float()


@moves
@pytest.mark.parametrize("seed", range(4))
def test_a_box_stays_around_what_is_drawn_in_it(transform: Callable[[Batch], Batch], seed: int) -> None:
    torch.manual_seed(seed)
    before = rectangles()
    after = transform(before)
    assert after.masks.dtype == after.images.dtype == torch.uint8
    assert after.masks.shape[1:] == after.images.shape[2:]
    H, W = after.masks.shape[1:]
    seen = 0
    for b in range(len(after.masks)):
        there = after.box_labels[b] >= 0
        for box, label, ignored in zip(
            after.boxes[b][there], after.box_labels[b][there].tolist(), after.ignored[b][there], strict=True
        ):
            around = extents(after.masks[b], label)
            assert around is not None
            assert (around - box).abs().max() <= 1
            assert (box[2:] - box[:2]).min() >= 2 - 1e-3
            assert bool(ignored) == ((label - 1) % 3 == 1)
            seen += 1
        # what is drawn and has no box is a small part of an object
        for value in set(after.masks[b].unique().tolist()) - {0, 255} - set(after.box_labels[b].tolist()):
            x1, y1, x2, y2 = extents(after.masks[b], value).tolist()
            whole = before.boxes[before.box_labels == value][0]
            share = (x2 - x1) * (y2 - y1) / ((whole[2] - whole[0]) * (whole[3] - whole[1]))
            cut = min(x1, y1) == 0 or x2 == W or y2 == H or "Mosaic" in type(transform).__name__
            # enlarged at most 2 x 2 or, by the patch of 0.3, 3.3 x 3.3
            assert min(x2 - x1, y2 - y1) <= 3 or (cut and share < 0.3 * 11.2)
    assert seen > 4


@moves
def test_images_masks_and_proposals_tell_the_same(transform: Callable[[Batch], Batch]) -> None:
    before = rectangles(9)
    after = transform(before)
    # inside of the objects, where bilinear and nearest agree
    inner = after.masks[:, None]
    same = (after.images == inner * 7) | (inner == 255)
    blended = 1 - same.float().mean()
    assert blended < 0.12  # the edges of rectangles
    if "Mosaic" not in type(transform).__name__:  # whose boxes have more room
        assert torch.equal(after.proposals, after.boxes)
    assert after.sizes is before.sizes


@moves
def test_rows_are_packed_and_agree(transform: Callable[[Batch], Batch]) -> None:
    after = transform(rectangles(12))
    there = after.box_labels >= 0
    assert after.boxes.dtype == torch.float32
    assert after.box_labels.dtype == torch.int64
    assert after.ignored.dtype == torch.bool
    assert after.boxes.shape[:2] == after.box_labels.shape == after.ignored.shape
    assert torch.equal(there, there.sort(dim=1, descending=True).values)  # objects first
    assert not after.boxes[~there].any()
    assert not after.ignored[~there].any()
    assert (after.box_labels[~there] == -1).all()
    H, W = after.images.shape[-2:]
    assert (after.boxes >= 0).all()
    assert (after.boxes <= torch.tensor([W, H, W, H])).all()
    proposed = (after.proposals[..., 2:] > after.proposals[..., :2]).all(-1)
    assert torch.equal(proposed, proposed.sort(dim=1, descending=True).values)
    assert not after.proposals[~proposed].any()


@moves
def test_pictures_without_objects_survive(transform: Callable[[Batch], Batch]) -> None:
    empty = rectangles(4, empty=(0, 1, 2, 3))
    assert (transform(empty).box_labels == -1).all()
    none = transform(Batch(pictures(4), torch.zeros(4, 0, 4), torch.zeros(4, 0, dtype=torch.int64)))
    assert none.boxes.shape == (4, 0, 4)
    assert none.box_labels.shape == (4, 0)


@moves
def test_without_ignored_and_proposals(transform: Callable[[Batch], Batch]) -> None:
    full = rectangles()
    torch.manual_seed(7)
    expected = transform(full)
    torch.manual_seed(7)
    slim = transform(full._replace(ignored=None, proposals=full.proposals[:, :0], masks=None, sizes=None))
    assert torch.equal(slim.boxes, expected.boxes)
    assert torch.equal(slim.images, expected.images)
    assert slim.proposals.shape == (8, 0, 4)


@pytest.mark.parametrize("transform", [*MOVES.values(), *NEW])
def test_the_seed_decides_with_images_alone_and_the_input_is_left(transform: Any) -> None:
    batch = Batch(pictures())
    before = batch.images.clone()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(transform(batch).images)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(batch.images, before)
    assert results[0].dtype == torch.uint8
    assert results[0].is_contiguous()


@new
def test_memory_layout_does_not_matter(transform: Any) -> None:
    images = pictures()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        results.append(transform(Batch(images.to(memory_format=layout))).images)
    assert torch.equal(*results)


@moves
def test_equal_seeds_give_equal_objects_and_leave_the_input(transform: Any) -> None:
    batch = rectangles()
    copies = [None if field is None else field.clone() for field in batch]
    torch.manual_seed(1)
    one = transform(batch)
    torch.manual_seed(1)
    for left, right in zip(one, transform(batch), strict=True):
        assert left is None or torch.equal(left, right)
    for left, right in zip(batch, copies, strict=True):
        assert left is None or torch.equal(left, right)


# ---- against torchvision, picture by picture ---------------------------------------------------------------


def reference(picture: int, batch: Batch, change: Callable[[Any], Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Image, boxes of its objects and mask after torchvision's ``change``."""
    size = batch.images.shape[-2:]
    there = batch.box_labels[picture] >= 0
    boxes = tv_tensors.BoundingBoxes(batch.boxes[picture][there], format="XYXY", canvas_size=size)
    mask = tv_tensors.Mask(batch.masks[picture])
    return change(batch.images[picture]), change(boxes).as_subclass(Tensor), change(mask).as_subclass(Tensor)


def assert_equals(after: Batch, picture: int, expected: tuple[Tensor, Tensor, Tensor]) -> None:
    image, boxes, mask = expected
    assert (after.images[picture].int() - image.int()).abs().max() <= 1
    assert torch.allclose(after.boxes[picture][after.box_labels[picture] >= 0], boxes, atol=1e-3)
    assert torch.equal(after.masks[picture], mask)


@pytest.mark.parametrize(
    ("axis", "flip"), [("horizontal", v2.horizontal_flip), ("vertical", v2.vertical_flip)]
)
def test_flips_as_torchvision(axis: Any, flip: Callable[[Any], Any]) -> None:
    batch = rectangles(side=60)
    after = Flip(1.0, axis)(batch)
    for picture in range(8):
        assert_equals(after, picture, reference(picture, batch, flip))
    assert torch.equal(Flip(1.0, axis)(after).boxes, batch.boxes)
    assert torch.equal(Flip(0.0, axis)(batch).boxes, batch.boxes)


def test_turns_as_rot90() -> None:
    batch = rectangles(40, M=1)
    after = Rotate90()(batch)
    turns = set()
    for b in range(40):
        if b == 1:
            continue
        versions = [batch.images[b].rot90(k, (1, 2)) for k in range(4)]
        (k, *_) = [k for k in range(4) if torch.equal(versions[k], after.images[b])]
        assert torch.equal(after.boxes[b, 0], extents(batch.masks[b].rot90(k, (0, 1)), 1 + b))
        turns.add(k)
    assert turns == {0, 1, 2, 3}


def test_crops_as_torchvision() -> None:
    batch = rectangles(6)
    torch.manual_seed(2)
    after = RandomCrop(5, mode="constant", min_share=0.0)(batch)
    torch.manual_seed(2)
    top, left = torch.randint(0, 11, (2, 6))
    for picture in range(6):

        def change(value: Any, x: int = int(left[picture]), y: int = int(top[picture])) -> Any:
            padded = v2.pad(value, [5, 5], fill=255 if isinstance(value, tv_tensors.Mask) else 0)
            return v2.crop(padded, y, x, 48, 48)

        assert_equals(after, picture, reference(picture, batch, change))


@pytest.mark.parametrize("window", [(6, 4, 40, 32), (0, 8, 24, 24), (3, 0, 45, 48)])
def test_resized_crops_as_torchvision(window: tuple[int, int, int, int]) -> None:
    x, y, wide, high = window
    batch = rectangles(6)
    maps = torch.tensor([[[wide / 48, 0, (2 * x + wide) / 48 - 1], [0, high / 48, (2 * y + high) / 48 - 1]]])
    parts = parts_of(batch, ZoomOut())
    after = batch._replace(**resample(parts, maps.repeat(6, 1, 1), 64, 48, min_share=0.0))
    for picture in range(6):

        def change(value: Any) -> Any:
            if isinstance(value, tv_tensors.Mask):  # as which it would be sampled off the middle
                exact = {"interpolation": v2.InterpolationMode.NEAREST_EXACT}
                plain = value.as_subclass(Tensor)[None]
                return v2.resized_crop(plain, y, x, high, wide, [64, 48], **exact)[0]
            return v2.resized_crop(value, y, x, high, wide, [64, 48], antialias=False)

        image, boxes, mask = reference(picture, batch, change)
        kept = (boxes[:, 2:] - boxes[:, :2]).amin(1) >= 2
        # torchvision has no neighbours past the window to blend with
        assert (after.images[picture].int() - image.int())[:, 2:-2, 2:-2].abs().max() <= 1
        assert torch.allclose(after.boxes[picture][after.box_labels[picture] >= 0], boxes[kept], atol=1e-3)
        assert torch.equal(after.masks[picture], mask)
