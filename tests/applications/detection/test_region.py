"""R-CNN, Fast and Faster R-CNN: what is sampled, the loss by hand, answers, and that all of them learn."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.applications.detection import box_codec, region
from vision_apps.applications.detection.proposers import External, Rpn, Windows
from vision_apps.applications.detection.region import WEIGHTS, RegionDetector, RegionOutputs
from vision_apps.applications.detection.region_features import Crops, Pooled
from vision_apps.applications.detection.region_head import Head, HeadOutputs
from vision_apps.applications.detection.types import Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.networks.backbones import Small

NONE = torch.zeros(0, 4)
EMPTY = Target(NONE, torch.zeros(0, dtype=torch.int64), NONE)


def rcnn(**changes: object) -> RegionDetector:
    parts = {"proposer": Windows(), "regions": Crops(size=16), "regions_per_image": 16} | changes
    return RegionDetector(3, Small(16), head=Head(32), **parts)  # type: ignore[arg-type]


def fast(**changes: object) -> RegionDetector:
    parts = {"proposer": Windows(), "regions": Pooled(4)} | changes
    return RegionDetector(3, Small(16), head=Head(32), **parts)  # type: ignore[arg-type]


def faster(levels: int = 1) -> RegionDetector:
    return RegionDetector(3, Small(16, levels), Rpn(), Pooled(4), Head(32), pyramid=12)


KINDS: dict[str, Callable[[], RegionDetector]] = {
    "rcnn": rcnn,
    "fast": fast,
    "faster": faster,
    "pyramid": lambda: faster(levels=2),
}


@pytest.fixture(params=KINDS)
def detector(request: pytest.FixtureRequest) -> RegionDetector:
    return KINDS[request.param]()


def pictures(count: int) -> tuple[Tensor, list[Target]]:
    """A bright square, a dark one or a checked one on noise, and every second picture has two."""
    generator = torch.Generator().manual_seed(0)
    pixels = 0.3 * torch.randn(count, 3, 64, 64, generator=generator)
    targets = []
    for number in range(count):
        boxes, labels = [], []
        for second in range(1 + number % 2):
            label = (number + second) % 3
            side = 16 + 4 * (number % 3)
            left, top = 2 + 30 * second + number % 4, 4 + 5 * (number % 5)
            patch = pixels[number, :, top : top + side, left : left + side]
            patch += (2.0, -2.0, 0.0)[label]
            if label == 2:
                patch += 2 * (torch.arange(side) // 4 % 2 * 2 - 1)
            boxes.append([left, top, left + side, top + side])
            labels.append(label)
        targets.append(Target(torch.tensor(boxes, dtype=torch.float32), torch.tensor(labels), NONE))
    return pixels, targets


def test_every_parameter_gets_a_gradient_with_and_without_objects(detector: RegionDetector) -> None:
    pixels, targets = pictures(2)
    for objects in ([targets[0], EMPTY], [EMPTY, EMPTY]):
        detector.zero_grad()
        parts = values(detector.loss(detector(pixels, objects), objects))
        assert all(value.ndim == 0 and value.isfinite() for value in parts.values())
        parts["loss"].backward()
        silent = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not silent
        assert (parts["positives"] > 0) == (objects[0] is not EMPTY)


def test_the_loss_is_the_sum_of_its_parts(detector: RegionDetector) -> None:
    pixels, targets = pictures(2)
    parts = values(detector.loss(detector(pixels, targets), targets))
    summed = sum(v for name, v in parts.items() if name != "loss" and "positives" not in name)
    torch.testing.assert_close(parts["loss"], torch.as_tensor(summed))


def test_in_evaluation_loss_and_answer_are_the_same_every_time(detector: RegionDetector) -> None:
    pixels, targets = pictures(3)
    detector.eval()
    with torch.inference_mode():
        first, second = (detector(pixels) for _ in range(2))
        torch.manual_seed(1)
        assert values(detector.loss(first, targets)) == values(detector.loss(second, targets))
        for one, other in zip(detector.detect(first), detector.detect(second), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_half_precision_in_another_layout(detector: RegionDetector) -> None:
    pixels, targets = pictures(2)
    detector.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = detector(pixels.to(memory_format=torch.channels_last), targets)
        loss = values(detector.loss(outputs, targets))["loss"]
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert outputs.head.logits.dtype == torch.float32
    assert all(p.grad is not None for p in detector.parameters())


def test_pictures_need_not_be_square(detector: RegionDetector) -> None:
    detector.eval()
    with torch.inference_mode():
        found = detector.detect(detector(torch.randn(1, 3, 50, 90)))[0]
    if len(found.boxes):
        assert found.boxes.amin() >= 0 and (found.boxes.amax(dim=0) <= torch.tensor([90, 50, 90, 50])).all()


def test_training_samples_objects_and_background() -> None:
    detector = fast(regions_per_image=16)
    pixels, targets = pictures(2)
    outputs = detector(pixels, targets)
    for boxes, target in zip(outputs.regions, targets, strict=True):
        best = box_iou(boxes, target.boxes).amax(dim=1)
        assert len(boxes) == 16
        assert 1 <= (best >= 0.5).sum() <= 4
    assert values(detector.loss(outputs, targets))["positives"] * 2 == sum(
        (box_iou(boxes, t.boxes).amax(dim=1) >= 0.5).sum()
        for boxes, t in zip(outputs.regions, targets, strict=True)
    )


def test_objects_are_regions_in_training_only() -> None:
    detector = fast(regions_per_image=64, positive_share=1.0, proposer=External("fast"))
    pixels, targets = pictures(1)
    far = [torch.tensor([[50.0, 50, 60, 60]])]
    outputs = detector(pixels, targets, far)
    assert outputs.regions[0].tolist() == [*targets[0].boxes.tolist(), [50, 50, 60, 60]]
    assert detector.eval()(pixels, None, far).regions[0].tolist() == far[0].tolist()


def test_the_least_overlap_of_background() -> None:
    regions = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 40], [50, 50, 60, 60], [0, 0, 10, 12]])
    target = Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([2]), NONE)  # IoU 1, 0.25, 0, 0.83
    assert fast()._match(regions, target).tolist() == [0, -1, -1, 0]
    assert fast(background_iou=0.1)._match(regions, target).tolist() == [0, -1, -2, 0]
    assert fast(background_iou=0.1)._match(regions, EMPTY).tolist() == [-2] * 4
    detector = fast(background_iou=0.1)
    parts = values(detector.loss(detector(torch.randn(2, 3, 64, 64), [EMPTY, EMPTY]), [EMPTY, EMPTY]))
    assert parts["loss"] == 0 and parts["positives"] == 0


def test_ignored_regions_teach_nothing() -> None:
    regions = torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40], [50, 50, 60, 60]])
    target = Target(regions[:1], torch.tensor([1]), torch.tensor([[28.0, 28, 42, 42]]))
    logits = torch.randn(3, 4)
    outputs = RegionOutputs([regions], HeadOutputs(torch.zeros(3, 1), logits, None), (64, 64), None)
    parts = values(fast().loss(outputs, [target]))
    torch.testing.assert_close(parts["classes"], F.cross_entropy(logits[[0, 2]], torch.tensor([1, 3])))


def test_the_loss_by_hand() -> None:
    regions = [torch.tensor([[0.0, 0, 10, 12], [30, 30, 40, 40]]), torch.tensor([[5.0, 5, 25, 25]])]
    targets = [Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1]), NONE), EMPTY]
    logits, deltas = torch.randn(3, 4), torch.randn(3, 3, 4)
    outputs = RegionOutputs(regions, HeadOutputs(torch.zeros(3, 1), logits, deltas), (64, 64), None)
    parts = values(fast(box_weight=2.0).loss(outputs, targets))
    torch.testing.assert_close(parts["classes"], F.cross_entropy(logits, torch.tensor([1, 3, 3])))
    wanted = torch.tensor([0, 10 * -1 / 12, 0, 5 * math.log(10 / 12)])
    expected = F.smooth_l1_loss(deltas[0, 1], wanted, reduction="sum") / 3
    torch.testing.assert_close(parts["boxes"], expected)


def test_answers_decode_the_offsets_of_their_class() -> None:
    regions = torch.tensor([[10.0, 10, 30, 30], [40, 40, 60, 60]])
    moved = torch.tensor([[14.0, 10, 34, 32], [42, 40, 70, 60]])
    deltas = torch.zeros(2, 3, 4)
    deltas[0, 2] = box_codec.encode(moved[0], regions[0], WEIGHTS)
    deltas[1, 0] = box_codec.encode(moved[1], regions[1], WEIGHTS)
    logits = torch.tensor([[0.0, 0, 9, 0], [8.0, 0, 0, 0]])
    outputs = RegionOutputs(
        [regions[:1], regions[1:]], HeadOutputs(torch.zeros(2, 1), logits, deltas), (64, 64), None
    )
    first, second = fast().detect(outputs)
    assert first.labels.tolist() == [2] and second.labels.tolist() == [0]
    torch.testing.assert_close(first.boxes, moved[:1])
    torch.testing.assert_close(second.boxes, torch.tensor([[42.0, 40, 64, 60]]))
    torch.testing.assert_close(first.scores, logits[:1].softmax(dim=1)[:, 2])


def test_without_box_regression_regions_stay() -> None:
    detector = RegionDetector(3, Small(16), Windows(), Pooled(4), Head(32, box_regression=False))
    pixels, targets = pictures(2)
    assert "boxes" not in values(detector.loss(detector(pixels, targets), targets))
    detector.eval()
    outputs = detector(pixels)
    found = detector.detect(outputs)[0].boxes
    assert len(found) and (found[:, None] == outputs.regions[0][None]).all(dim=-1).any(dim=1).all()


def test_pieces_are_looked_at_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = rcnn().eval()
    pixels, _ = pictures(2)
    with torch.inference_mode():
        whole = detector(pixels)
        monkeypatch.setattr(region, "CHUNK", 100)
        for a, b in zip(whole.head, detector(pixels).head, strict=True):
            torch.testing.assert_close(a, b)


def test_a_picture_without_proposals_is_itself_one() -> None:
    detector = fast(proposer=External("fast")).eval()
    outputs = detector(torch.randn(2, 3, 48, 64), None, [NONE, torch.tensor([[1.0, 1, 9, 9]])])
    assert [boxes.tolist() for boxes in outputs.regions] == [[[0, 0, 64, 48]], [[1, 1, 9, 9]]]


def test_which_objects_nothing_can_be_matched_to() -> None:
    """No window overlaps a small or a long object by half. Among anchors each has its best one, however
    little that overlaps, unless another object has more of the same one."""
    target = Target(
        torch.tensor([[10.0, 10, 26, 26], [30, 30, 33, 33], [0, 30, 64, 34]]), torch.zeros(3).long(), NONE
    )
    assert fast().unmatched([target], (64, 64)).tolist() == [False, True, True]
    assert faster().unmatched([target], (64, 64)).tolist() == [False] * 3
    assert fast(proposer=External("fast")).unmatched([target], (64, 64)).tolist() == [False] * 3
    inside = target._replace(boxes=torch.tensor([[12.0, 12, 14, 14], [10, 10, 26, 26], [11, 11, 14, 14]]))
    detector = faster()
    lost = detector.unmatched([inside], (64, 64))
    outputs = detector(torch.zeros(1, 3, 64, 64), [inside])
    owners = detector.proposer.match(outputs.rpn.anchors, inside)
    assert lost.tolist() == [number not in owners.tolist() for number in range(3)]


def test_who_needs_proposals_says_so() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert len(fast(proposer=External("fast")).proposals_of(images) or ()) == 2
    assert fast().proposals_of(images) is None and faster().proposals_of(images) is None


def test_impossible_combinations_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.regions: Crops has no feature maps.*Pooled"):
        rcnn(proposer=Rpn())
    with pytest.raises(ConfigError, match=r"model\.background_iou: 0\.6, expected.*0\.5"):
        fast(background_iou=0.6)
    with pytest.raises(ConfigError, match=r"model\.head\.classifier: 'tree', expected softmax or svm"):
        Head(classifier="tree")


def small(kind: str) -> RegionDetector:
    """Few windows and anchors, of about the size of the objects."""
    windows, head = Windows(shares=(0.25, 0.37)), Head(64)
    if kind == "rcnn":
        return RegionDetector(3, Small(32), windows, Crops(16), head, regions_per_image=16)
    proposer = windows if kind == "fast" else Rpn(scales=[2.0, 3.0], aspects=[1.0])
    regions = Pooled(4, sampling=1)
    return RegionDetector(3, Small(32), proposer, regions, head, regions_per_image=32, positive_share=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rcnn", "fast", "faster"])
def test_four_pictures_are_learned_by_heart(kind: str) -> None:
    detector = small(kind)
    pixels, targets = pictures(4)
    steps = 120
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    losses = []
    for _ in range(steps):
        loss = values(detector.loss(detector(pixels, targets), targets))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10, losses[::10]
    with torch.inference_mode():
        found = detector.eval().detect(detector(pixels))
    for answer, target in zip(found, targets, strict=True):
        sure = answer.scores > 0.5
        assert sorted(answer.labels[sure].tolist()) == sorted(target.labels.tolist())
        value, index = box_iou(target.boxes, answer.boxes[sure]).max(dim=1)
        assert (value > 0.75).all(), value
        assert torch.equal(answer.labels[sure][index], target.labels)
