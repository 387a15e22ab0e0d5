import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.applications.detection.objects import Objects, excused, pad, within
from vision_apps.applications.detection.task_aligned import Assignment, assign
from vision_apps.applications.detection.types import Target
from vision_apps.applications.detection.yolo import grid

NONE = torch.zeros(0, 4)


def objects(*pictures: tuple[list[list[float]], list[int]]) -> Objects:
    return pad(
        [
            Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels).long(), NONE)
            for boxes, labels in pictures
        ]
    )


ROW = torch.tensor([[4.0, 4.0], [12.0, 4.0], [20.0, 4.0], [28.0, 4.0]])
PREDICTED = torch.tensor([[[0.0, 0, 16, 8], [0, 0, 32, 8], [8, 0, 24, 8], [16, 0, 32, 8]]])
SCORES = torch.tensor([[[0.5, 0.9], [0.8, 0.4], [0.9, 0.6], [0.9, 0.3]]])


def test_two_objects_worked_out_by_hand() -> None:
    """Points 0 and 1 lie in the first object, 1, 2 and 3 in the second. Alignment, score times IoU:

    first:  0: .5 * 1 = .5       1: .8 * 1/2 = .4
    second: 1: .4 * 3/4 = .3     2: .6 * 2/3 = .4     3: .3 * 2/3 = .2

    The best two of each; point 1 is wanted by both and overlaps the second more. Of the second's points 1 and
    2 the largest IoU is 3/4, so that they get .3/.4 * 3/4 and .4/.4 * 3/4.
    """
    two = objects(([[0, 0, 16, 8], [8, 0, 32, 8]], [0, 1]))
    found = assign(SCORES, PREDICTED, ROW, two, top_k=2, alpha=1, beta=1, smallest=8)
    assert found.positive.tolist() == [[True, True, True, False]]
    assert found.owners[0, :3].tolist() == [0, 1, 1]
    assert found.quality[0].tolist() == pytest.approx([1.0, 0.5625, 0.75, 0.0])


def test_exponents() -> None:
    one = objects(([[8, 0, 32, 8]], [1]))
    found = assign(SCORES, PREDICTED, ROW, one, top_k=4, alpha=0.5, beta=6, smallest=8)
    alignment = [0.4**0.5 * 0.75**6, 0.6**0.5 * (2 / 3) ** 6, 0.3**0.5 * (2 / 3) ** 6]
    expected = [0.0, *(value / max(alignment) * 0.75 for value in alignment)]
    assert found.quality[0].tolist() == pytest.approx(expected)


def test_an_object_between_the_points_has_the_nearest() -> None:
    small = objects(([[14, 5, 15.5, 6]], [0]), ([], []), ([[17, 0, 19, 2]], [1]))
    found = assign(
        SCORES.expand(3, -1, -1),
        PREDICTED.expand(3, -1, -1),
        ROW,
        small,
        top_k=4,
        alpha=1,
        beta=6,
        smallest=8,
    )
    assert found.positive.tolist() == [[False, True, False, False], [False] * 4, [False, False, True, False]]


def test_no_overlap_yet_is_positive_with_quality_zero() -> None:
    one = objects(([[0, 0, 16, 8]], [0]))
    far = torch.tensor([100.0, 100, 110, 110]).expand(1, 4, 4)
    found = assign(SCORES, far, ROW, one, top_k=1, alpha=1, beta=6, smallest=8)
    assert found.positive.sum() == 1 and found.positive[0, :2].any()
    assert found.quality.abs().sum() == 0


def reference(
    scores: Tensor,
    predicted: Tensor,
    points: Tensor,
    boxes: Tensor,
    labels: Tensor,
    top_k: int,
) -> tuple[list[int], list[float]]:
    """Of one picture, with loops: owner of each point or -1, and its quality."""
    iou = box_iou(boxes, predicted)
    wanted: list[list[int]] = []
    alignment = [
        [scores[n, labels[m]].item() * iou[m, n].item() ** 6 for n in range(len(points))]
        for m in range(len(boxes))
    ]
    for m, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        inside = [n for n, (x, y) in enumerate(points.tolist()) if x1 <= x < x2 and y1 <= y < y2]
        if not inside:
            middle = torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2])
            inside = [int((points - middle).square().sum(dim=1).argmin())]
        inside.sort(key=lambda n: -alignment[m][n])
        wanted.append(inside[:top_k])
    owners = [
        max((m for m in range(len(boxes)) if n in wanted[m]), key=lambda m: iou[m, n].item(), default=-1)
        for n in range(len(points))
    ]
    quality = [0.0] * len(points)
    for m in range(len(boxes)):
        mine = [n for n in range(len(points)) if owners[n] == m]
        for n in mine:
            most = max(alignment[m][k] for k in mine)
            quality[n] = alignment[m][n] / most * max(iou[m, k].item() for k in mine) if most else 0.0
    return owners, quality


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 2))
def test_is_what_loops_find(seed: int, top_k: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    points, _ = grid([(4, 5), (2, 3)][:levels], [8, 16][:levels])
    pictures = []
    for _ in range(3):
        count = int(torch.randint(0, 4, (), generator=generator))
        # tall, wide, small and large, most of them overlapping each other
        corner = random(count, 2) * torch.tensor([30.0, 22.0])
        boxes = torch.cat([corner, corner + 8 + random(count, 2) * 24], dim=1)
        if count and levels == 1:  # with a second level a small object may have more than the nearest point
            boxes[0, 2:] = boxes[0, :2] + random(2) * 4 + 0.1
        pictures.append(Target(boxes, torch.randint(0, 3, (count,), generator=generator), NONE))
    predicted = torch.cat(
        [points - random(3, len(points), 2) * 20, points + random(3, len(points), 2) * 20], dim=-1
    )
    scores = random(3, len(points), 3)
    found = assign(scores, predicted, points, pad(pictures), top_k=top_k, alpha=1, beta=6, smallest=8)
    for i, picture in enumerate(pictures):
        owners, quality = reference(scores[i], predicted[i], points, picture.boxes, picture.labels, top_k)
        assert torch.where(found.positive[i], found.owners[i], -1).tolist() == owners
        assert found.quality[i].tolist() == pytest.approx(quality, rel=1e-3, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000))
def test_every_object_in_the_picture_has_a_point(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    points, _ = grid([(7, 9)], [8])
    size = torch.tensor([72.0, 56.0])
    corner = torch.rand(50, 2, generator=generator) * (size - 0.5)
    corner[::3] = (corner[::3] / 4).floor() * 4  # on the borders of cells
    sides = torch.rand(50, 2, generator=generator).pow(4) * 60 + 0.01
    boxes = torch.cat([corner, (corner + sides).minimum(size)], dim=1)
    single = pad([Target(box[None], torch.zeros(1).long(), NONE) for box in boxes])
    zeros = torch.zeros(50, len(points), 4)
    found = assign(zeros[..., :1], zeros, points, single, top_k=10, alpha=1, beta=6, smallest=8)
    assert found.positive.any(dim=1).all()


def test_padding_changes_nothing() -> None:
    alone = objects(([[0, 0, 16, 8], [8, 0, 32, 8]], [0, 1]))
    beside = objects(([[0, 0, 16, 8], [8, 0, 32, 8]], [0, 1]), ([[0, 0, 9, 9]] * 5, [1] * 5))

    def answer(of: Objects) -> Assignment:
        count = len(of.boxes)
        return assign(
            SCORES.expand(count, -1, -1),
            PREDICTED.expand(count, -1, -1),
            ROW,
            of,
            top_k=3,
            alpha=1,
            beta=6,
            smallest=8,
        )

    for field, other in zip(answer(alone), answer(beside), strict=True):
        assert torch.equal(field[0], other[0])


def test_pad() -> None:
    target = Target(torch.tensor([[1.0, 2, 3, 4], [5.0, 5, 5, 9]]), torch.tensor([2, 1]), torch.ones(1, 4))
    padded = pad([target, Target(NONE, torch.zeros(0).long(), NONE)])
    assert padded.boxes.shape == (2, 2, 4) and padded.ignored.shape == (2, 1, 4)
    assert padded.present.tolist() == [[True, False], [False, False]]  # the second has no area
    empty = pad([Target(NONE, torch.zeros(0).long(), NONE)] * 2)
    assert empty.boxes.shape == (2, 1, 4) and not empty.present.any()


def test_points_in_boxes_and_regions() -> None:
    boxes = torch.tensor([[[4.0, 4, 20, 12], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]])
    assert within(ROW, boxes)[0].tolist() == [
        [True, True, False, False],
        [False] * 4,
    ]  # the right edge is outside
    assert excused(ROW, boxes).tolist() == [[True, True, False, False], [False] * 4]
    assert excused(ROW, boxes[:, :0]).tolist() == [[False] * 4, [False] * 4]
