"""Four pictures in one, and what becomes of their objects."""

from typing import Annotated, NamedTuple

import pytest
import torch
from torch import Tensor

from vision_apps.core.fields import Boxes, Mask, Pixels, RowsOf
from vision_apps.data.augmentation.mosaic import Mosaic


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    boxes: Annotated[Tensor | None, Boxes("box_labels", ignored="ignored")] = None
    box_labels: Annotated[Tensor | None, RowsOf()] = None
    ignored: Annotated[Tensor | None, RowsOf(empty=0)] = None
    proposals: Annotated[Tensor | None, Boxes()] = None
    masks: Annotated[Tensor | None, Mask()] = None


def numbered(B: int = 8, M: int = 2, side: int = 40) -> Batch:
    """Picture b is of one colour and one class all over, and all its objects are the whole picture."""
    masks = torch.arange(B, dtype=torch.uint8).view(B, 1, 1).expand(B, side, side).contiguous()
    boxes = torch.tensor([0.0, 0, side, side]).expand(B, M, 4).contiguous()
    labels = torch.arange(B)[:, None].expand(B, M).contiguous()
    images = (masks[:, None] * 20).expand(B, 3, side, side).contiguous()
    return Batch(images, boxes, labels, torch.zeros(B, M, dtype=torch.bool), boxes.clone(), masks)


def test_four_neighbours_meet_in_a_point() -> None:
    after = Mosaic(scale=(1.0, 1.0), until=1)(numbered(8, M=1))
    assert after.boxes.shape == (8, 4, 4)
    for b in range(8):
        mask = after.masks[b]
        corners = [mask[0, 0], mask[0, -1], mask[-1, 0], mask[-1, -1]]
        assert [int(value) for value in corners] == [(b + q) % 8 for q in range(4)]
        across, down = int((mask[0] == b).sum()), int((mask[:, 0] == b).sum())
        assert 10 <= across <= 30
        assert 10 <= down <= 30
        expected = {
            b: [0, 0, across, down],
            (b + 1) % 8: [across, 0, 40, down],
            (b + 2) % 8: [0, down, across, 40],
            (b + 3) % 8: [across, down, 40, 40],
        }
        for box, label in zip(after.boxes[b], after.box_labels[b].tolist(), strict=True):
            if label >= 0:  # of a small quarter too little is seen
                assert box.tolist() == pytest.approx(expected.pop(label), abs=1e-3)
        for x1, y1, x2, y2 in expected.values():
            assert (x2 - x1) * (y2 - y1) <= 0.25 * 40 * 40 + 1
        assert torch.equal(after.images[b], (mask * 20).expand(3, 40, 40))


def test_small_pictures_leave_the_mean_around_them() -> None:
    after = Mosaic(scale=(0.25, 0.25), centre=(0.5, 0.5), mean=(1.0, 0.0, 0.0), until=1)(numbered(4))
    counts = [(after.masks == value).sum((1, 2)) for value in (0, 1, 2, 3)]
    assert all((count == 100).all() for count in counts)
    assert (after.masks[:, 10:30, 10:30] != 255).all()
    assert (after.masks == 255).sum() == 4 * (1600 - 400)
    outside = after.images.movedim(1, -1)[:, 0, 0]
    assert torch.equal(outside, torch.tensor([255, 0, 0], dtype=torch.uint8).expand(4, 3))


def test_probability_is_per_picture_and_the_rest_stays_as_it_is() -> None:
    batch = numbered(200, M=1)
    batch = batch._replace(images=torch.randint(0, 256, (200, 3, 16, 16), dtype=torch.uint8), masks=None)
    batch = batch._replace(boxes=torch.tensor([1.0, 2, 9, 13]).expand(200, 1, 4), proposals=None)
    after = Mosaic(p=0.3, until=1)(batch)
    same = (after.images == batch.images).flatten(1).all(1)
    assert 110 < same.sum() < 170
    assert torch.equal(after.boxes[same][:, 0], batch.boxes[same][:, 0])
    assert torch.equal(after.box_labels[same][:, 0], batch.box_labels[same][:, 0])
    assert (after.box_labels[same][:, 1:] == -1).all()


def test_a_cut_takes_from_all_pictures_alike() -> None:
    whole = Mosaic(scale=(0.4, 0.4), centre=(0.5, 0.5), until=1)
    batch = numbered(6, M=5)
    assert whole(batch).box_labels.shape == (6, 20)
    assert (whole(batch).box_labels >= 0).all()
    few = Mosaic(scale=(0.4, 0.4), centre=(0.5, 0.5), capacity=8, until=1)(batch)
    assert few.boxes.shape == (6, 8, 4)
    assert few.ignored.shape == few.box_labels.shape == (6, 8)
    for b in range(6):
        assert few.box_labels[b].tolist() == [(b + q) % 6 for q in range(4)] * 2
    assert few.proposals.shape == (6, 5, 4)  # their number stays
    assert torch.equal(few.proposals, few.boxes[:, :5])
    assert Mosaic(capacity=0, until=1)(batch).boxes.shape == (6, 1, 4)


@pytest.mark.parametrize("B", [1, 2, 3])
def test_a_batch_of_fewer_than_four_repeats_pictures(B: int) -> None:
    after = Mosaic(scale=(0.5, 0.5), centre=(0.5, 0.5), until=1)(numbered(B, M=1))
    for b in range(B):
        assert after.box_labels[b].tolist() == [(b + q) % B for q in range(4)]


def test_objects_are_ignored_as_they_were() -> None:
    batch = numbered(4, M=2)
    batch.ignored[:, 1] = True
    batch.box_labels[2] = -1
    batch.ignored[2] = False
    after = Mosaic(scale=(0.5, 0.5), centre=(0.5, 0.5), until=1)(batch)
    for b in range(4):
        rows = zip(after.box_labels[b].tolist(), after.ignored[b].tolist(), strict=True)
        others = [(b + q) % 4 for q in range(4) if (b + q) % 4 != 2]
        assert list(rows) == [(k, False) for k in others] + [(k, True) for k in others] + [(-1, False)] * 2
