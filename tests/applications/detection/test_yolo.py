import math
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import complete_box_iou_loss

from vision_apps.applications.detection.dfl import distribution_focal_loss
from vision_apps.applications.detection.objects import pad
from vision_apps.applications.detection.pan import PathAggregation
from vision_apps.applications.detection.task_aligned import Assignment, assign
from vision_apps.applications.detection.types import Target
from vision_apps.applications.detection.yolo import PointOutputs, Yolo, boxes_at, class_loss, grid, sides_from
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.networks.backbones import Small

NONE = torch.zeros(0, 4)
EMPTY = Target(NONE, torch.zeros(0).long(), NONE)


def target(*boxes: list[float], label: int = 0, ignored: Tensor = NONE) -> Target:
    return Target(torch.tensor(boxes).float().reshape(-1, 4), torch.full((len(boxes),), label), ignored)


def small(levels: int = 1, **options: Any) -> Yolo:
    return Yolo(options.pop("num_classes", 2), Small(8, levels), width=8, **options)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def one_point(score: float, sides: list[float], pictures: int = 1) -> PointOutputs:
    """Pictures of 8 x 8 pixels with one point, in the middle; of two classes the second scores ``score``."""
    return PointOutputs(
        torch.tensor([-30.0, logit(score)]).expand(pictures, 1, 2),
        torch.tensor(sides).log().clamp(min=-30).expand(pictures, 1, 4, -1),
        torch.tensor([[4.0, 4.0]]),
        torch.tensor([8.0]),
        (8, 8),
    )


def test_points_are_the_centres_of_cells() -> None:
    points, strides = grid([(2, 3), (1, 2)], [8, 16])
    assert points.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8]]
    assert strides.tolist() == [8] * 6 + [16] * 2


def test_boxes_and_distances_are_each_others_inverse() -> None:
    points, strides = grid([(2, 3), (1, 2)], [8, 16])
    assert boxes_at(points, strides, torch.tensor([1.0, 0.5, 2.0, 0.25]))[[0, 6]].tolist() == [
        [-4, 0, 20, 6],
        [-8, 0, 40, 12],
    ]
    distances = torch.rand(2, len(points), 4, generator=torch.Generator().manual_seed(0))
    boxes = boxes_at(points, strides, distances)
    torch.testing.assert_close(sides_from(points, strides, boxes), distances)


def test_the_loss_of_one_point() -> None:
    """Distances of 0 and 1 strides with half the probability each are the box itself: an IoU of 1, so that
    the score should be 1. What a distribution cannot go below is its entropy."""
    net = small(reg_max=2)
    parts = values(net.loss(one_point(0.25, [0.5, 0.5, 0.0]), [target([0, 0, 8, 8], label=1)]))
    assert parts["positives"] == 1
    assert parts["boxes"].item() == pytest.approx(0, abs=1e-5)
    assert parts["distances"].item() == pytest.approx(math.log(2), rel=1e-5)
    assert parts["classes"].item() == pytest.approx(-math.log(0.25), rel=1e-5)
    assert parts["loss"].item() == pytest.approx(0.5 * math.log(4) + 1.5 * math.log(2), rel=1e-4)


def test_boxes_are_weighted_by_quality_and_divided_by_its_sum() -> None:
    """Twice as long as the object in both directions: an IoU of 1/4, which is also the quality."""
    net = small(reg_max=2)
    truth = target([2, 2, 6, 6], label=1)
    few = values(net.loss(one_point(0.5, [0.5, 0.5, 0.0]), [truth]))
    assert few["boxes"].item() == pytest.approx(0.75 * 0.25, rel=1e-4)  # a sum below 1 counts as 1
    many = values(net.loss(one_point(0.5, [0.5, 0.5, 0.0], pictures=8), [truth] * 8))
    assert many["boxes"].item() == pytest.approx(0.75, rel=1e-4)
    assert many["distances"].item() == pytest.approx(math.log(2), rel=1e-4)  # 3/4 at 0, 1/4 at 1
    soft = F.binary_cross_entropy(torch.tensor(0.5), torch.tensor(0.25)).item()
    assert many["classes"].item() == pytest.approx(soft / 0.25, rel=1e-4)


def test_the_parts_of_the_loss_against_their_definitions() -> None:
    torch.manual_seed(0)
    net = small(2, num_classes=3, top_k=4).eval()
    outputs = net(torch.rand(2, 3, 40, 56))
    boxes = torch.tensor([[4.0, 4, 30, 28], [20, 10, 50, 40]])
    targets = [Target(boxes, torch.tensor([2, 0]), NONE), EMPTY]
    parts = values(net.loss(outputs, targets))

    predicted = net.boxes(outputs.sides, outputs.points, outputs.strides)
    found = assign(
        outputs.logits.sigmoid(),
        predicted,
        outputs.points,
        pad(targets),
        top_k=4,
        alpha=1,
        beta=6,
        smallest=8,
    )
    chosen = found.positive[0]
    assert not found.positive[1].any() and parts["positives"] == chosen.sum() / 2
    truth, weight = boxes[found.owners[0, chosen]], found.quality[0, chosen]
    total = max(weight.sum().item(), 1.0)
    aim = torch.zeros(2, len(outputs.points), 3)
    aim[0, chosen, targets[0].labels[found.owners[0, chosen]]] = weight
    crossed = F.binary_cross_entropy_with_logits(outputs.logits, aim, reduction="sum")
    ciou = complete_box_iou_loss(predicted[0, chosen], truth)
    sides = (
        sides_from(outputs.points[chosen], outputs.strides[chosen], truth),
        outputs.sides[0, chosen],
    )
    dfl = distribution_focal_loss(sides[1], sides[0]).mean(dim=1)
    expected = {"classes": crossed, "boxes": (ciou * weight).sum(), "distances": (dfl * weight).sum()}
    for name, value in expected.items():
        assert parts[name].item() == pytest.approx(value.item() / total, rel=1e-4)
    combined = 0.5 * parts["classes"] + 7.5 * parts["boxes"] + 1.5 * parts["distances"]
    assert parts["loss"].item() == pytest.approx(combined.item())


def test_an_ignored_region_is_not_background() -> None:
    net = small()
    points, strides = grid([(2, 2)], [8])
    outputs = PointOutputs(torch.zeros(1, 4, 2), torch.zeros(1, 4, 4, 17), points, strides, (16, 16))
    region = torch.tensor([[0.0, 0, 9, 16]])  # the points of the left column

    def cost(found: Target) -> float:
        return values(net.loss(outputs, [found]))["classes"].item()

    assert cost(EMPTY) == pytest.approx(8 * math.log(2), rel=1e-5)
    assert cost(target(ignored=region)) == pytest.approx(4 * math.log(2), rel=1e-5)
    # what learns an object learns it there too
    positive = torch.tensor([[True, False, False, False]])
    zeros = torch.zeros(1, 4)
    ignored = pad([target(ignored=region)])
    assert class_loss(outputs, ignored, Assignment(positive, zeros.long(), zeros)) == pytest.approx(
        6 * math.log(2), rel=1e-5
    )


def test_every_class_begins_unlikely() -> None:
    torch.manual_seed(0)
    scores = small(num_classes=4).eval()(torch.rand(2, 3, 32, 32)).logits.sigmoid()
    assert scores.mean().item() == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize(("levels", "dfl"), [(1, True), (1, False), (3, True)])
@pytest.mark.parametrize("train", [True, False])
def test_every_parameter_has_a_gradient(levels: int, dfl: bool, train: bool) -> None:
    net = small(levels, dfl=dfl).train(train).to(memory_format=torch.channels_last)
    pixels = torch.rand(2, 3, 52, 70).contiguous(memory_format=torch.channels_last)  # odd maps
    for targets in ([target([4, 4, 30, 20]), target([1, 1, 2, 2], label=1)], [EMPTY, EMPTY]):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = net(pixels, targets)
            parts = values(net.loss(outputs, targets))
        assert all(
            part.ndim == 0 and part.isfinite() and part.dtype == torch.float32 for part in parts.values()
        )
        assert (parts["positives"] > 0) == (targets[0] is not EMPTY)
        parts["loss"].backward()
        silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not silent
    for found in net.detect(outputs):
        assert len(found.boxes) <= 100
        assert (found.boxes >= 0).all() and (found.boxes <= torch.tensor([70.0, 52, 70, 52])).all()


def test_the_layout_of_memory_does_not_matter() -> None:
    net = small(2).eval()
    pixels = torch.rand(2, 3, 32, 48)
    usual = net(pixels)
    other = net.to(memory_format=torch.channels_last)(pixels.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(usual.logits, other.logits)
    torch.testing.assert_close(usual.sides, other.sides)


def test_outputs_lie_at_their_points() -> None:
    """A picture that is black but for one corner changes what the points there see."""
    torch.manual_seed(0)
    net = small().eval()
    black = torch.zeros(1, 3, 128, 160)
    lit = black.clone()
    lit[..., 96:, 120:] = 3.0
    before, after = net(black), net(lit)
    changed = (before.logits - after.logits).abs().sum(dim=-1)[0] + (before.sides - after.sides).abs().sum(
        dim=(2, 3)
    )[0]
    x, y = after.points[changed.argmax()].tolist()
    assert x > 100 and y > 80


def test_detects() -> None:
    points, strides = grid([(1, 2)], [8])
    sides = torch.full((1, 2, 4, 17), -30.0)
    sides[0, 0, [0, 1, 2, 3], [1, 0, 1, 1]] = 30.0  # left 8, top 0, right 8, bottom 8 pixels of (4, 4)
    sides[0, 1, [0, 1, 2, 3], [2, 0, 0, 1]] = 30.0  # of (12, 4)
    logits = torch.tensor([[[logit(0.75), -30.0], [logit(0.5), -30.0]]])
    outputs = PointOutputs(logits, sides, points, strides, (8, 16))
    (best,) = small().detect(outputs)
    assert best.scores.tolist() == pytest.approx([0.75]) and best.labels.tolist() == [0]
    torch.testing.assert_close(best.boxes, torch.tensor([[0.0, 4, 12, 8]]), atol=0.01, rtol=0)  # clipped
    (both,) = small(nms=False).detect(outputs)
    assert both.scores.tolist() == pytest.approx([0.75, 0.5])
    (none,) = small(score_threshold=0.8).detect(outputs)
    assert len(none.boxes) == 0
    (first,) = small(nms=False, max_detections=1).detect(outputs)
    assert len(first.boxes) == 1


def test_what_cannot_be_found() -> None:
    """With distances of up to 16 px to each side, a box of 32 x 32 is the largest."""
    boxes = torch.tensor([[0.0, 0, 32, 32], [0, 0, 63, 8], [0, 0, 65, 8], [0, 0, 64, 64], [5, 5, 5.1, 5.1]])
    target = Target(boxes, torch.zeros(5).long(), boxes[:0])
    assert small(reg_max=2).unmatched([target], (64, 96)).tolist() == [False, False, True, True, False]
    assert small(2, reg_max=2).unmatched([target], (64, 96)).tolist() == [False] * 5
    long = target._replace(boxes=boxes * 100)
    assert small(dfl=False).unmatched([long], (6400, 9600)).tolist() == [False] * 5


def test_degenerate_objects_are_no_objects() -> None:
    net = small()
    outputs = net(torch.rand(2, 3, 32, 32))
    parts = values(net.loss(outputs, [target([4, 4, 4, 20]), EMPTY]))
    assert parts["positives"] == 0 and parts["loss"].isfinite()


def test_a_box_without_width_has_a_finite_gradient() -> None:
    sides = torch.full((1, 1, 4, 3), -200.0)
    sides[..., 0] = 200.0
    sides.requires_grad_()
    outputs = one_point(0.5, [1.0, 0.0, 0.0])._replace(sides=sides)
    values(small(reg_max=2).loss(outputs, [target([0, 0, 8, 8])]))["loss"].backward()
    assert sides.grad is not None and sides.grad.isfinite().all()


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.reg_max: expected at least 1, got 0; say model\.reg_max="):
        small(reg_max=0)
    with pytest.raises(ConfigError, match=r"model\.top_k: expected at least 1, got 0; say model\.top_k="):
        small(top_k=0)


def test_path_aggregation_joins_levels_both_ways() -> None:
    torch.manual_seed(0)
    neck = PathAggregation([4, 6, 8], 5).eval()
    maps = [torch.rand(1, 4, 7, 9), torch.rand(1, 6, 4, 5), torch.rand(1, 8, 2, 3)]
    shapes = [tuple(found.shape) for found in neck(list(maps))]
    assert shapes == [(1, 5, 7, 9), (1, 5, 4, 5), (1, 5, 2, 3)]
    before = neck(list(maps))
    for changed in range(3):
        other = [found + (level == changed) for level, found in enumerate(maps)]
        assert all(not torch.allclose(a, b) for a, b in zip(before, neck(other), strict=True))
    # a backbone that rounds down
    assert neck([maps[0], maps[1][..., :3, :4], maps[2][..., :1, :2]])[2].shape == (1, 5, 1, 2)


@pytest.mark.slow
def test_learns_two_pictures_by_heart() -> None:
    torch.manual_seed(0)
    net = Yolo(2, Small(16), width=16)
    pixels = torch.zeros(2, 3, 48, 48)
    boxes = torch.tensor([[6.0, 10, 30, 40], [22, 4, 44, 18]])
    for picture, (x1, y1, x2, y2) in zip(pixels, boxes.int().tolist(), strict=True):
        picture[:, y1:y2, x1:x2] = 1
    targets = [Target(box[None], torch.tensor([label]), NONE) for label, box in enumerate(boxes)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        values(net.loss(net(pixels), targets))["loss"].backward()
        optimizer.step()
    for found, wanted in zip(net.detect(net(pixels)), targets, strict=True):
        assert found.labels[0] == wanted.labels[0] and found.scores[0] > 0.5
        torch.testing.assert_close(found.boxes[0], wanted.boxes[0], atol=1.5, rtol=0)


@pytest.mark.parametrize("score", [0.2, 0.5, 0.9])
def test_the_assignment_sees_scores_between_0_and_1(score: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sigmoid of each class by itself, not its logit nor a share among classes."""
    seen: list[Tensor] = []

    def spy(scores: Tensor, *rest: Any, **options: Any) -> Assignment:
        seen.append(scores)
        return assign(scores, *rest, **options)

    monkeypatch.setattr("vision_apps.applications.detection.yolo.assign", spy)
    outputs = one_point(score, [0.5, 0.5, 0.0])
    outputs = outputs._replace(logits=torch.tensor([[[logit(0.7), logit(score)]]]))
    small(reg_max=2).loss(outputs, [target([0, 0, 8, 8], label=1)])
    assert seen[0].flatten().tolist() == pytest.approx([0.7, score])
