import math
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from vision_apps.applications.detection.objects import Objects, pad
from vision_apps.applications.detection.types import Target
from vision_apps.applications.detection.yolo_v1 import GridOutputs, YoloV1, cells_of, decode, sum_squared_loss
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.networks.backbones import Small

# pictures of 16 pixels, a grid of 2 x 2, two boxes per cell, two classes
STRIDE = 8
NONE = torch.zeros(0, 4)


def target(
    *boxes: list[float], labels: tuple[int, ...] | None = None, ignored: torch.Tensor = NONE
) -> Target:
    numbers = torch.tensor(labels or (0,) * len(boxes)).long()
    return Target(torch.tensor(boxes).float().reshape(-1, 4), numbers, ignored)


def nothing(pictures: int = 1) -> GridOutputs:
    """Boxes of no size in the middle of their cells, nothing certain."""
    boxes = torch.zeros(pictures, 4, 2, 4)
    boxes[..., :2] = 0.5
    return GridOutputs(boxes, torch.zeros(pictures, 4, 2), torch.zeros(pictures, 4, 2), (2, 2), (16, 16))


def loss(outputs: GridOutputs, *targets: Target, **options: Any) -> dict[str, torch.Tensor]:
    return values(sum_squared_loss(outputs, pad(list(targets)), STRIDE, **options))


def test_decode() -> None:
    outputs = nothing()
    outputs.boxes[0, 3, 1] = torch.tensor([0.25, 0.75, 0.5, 1.0])  # lower right cell, roots of 4/16 and 16/16
    boxes = decode(outputs, STRIDE)
    assert boxes[0, 3, 1].tolist() == [8 + 2 - 2, 8 + 6 - 8, 8 + 2 + 2, 8 + 6 + 8]
    assert boxes[0, 1, 0].tolist() == [12, 4, 12, 4]  # row by row: cell 1 is the upper right one
    outputs.boxes[0, 0, 0, 2:] = -0.5
    assert decode(outputs, STRIDE)[0, 0, 0].tolist() == [4, 4, 4, 4]
    boxes = torch.tensor([0.5, 0.5, 0.5, 1.0]).expand(1, 2, 1, 4)
    wide = GridOutputs(boxes, torch.zeros(1, 2, 1), torch.zeros(1, 2, 2), (1, 2), (8, 16))
    assert decode(wide, STRIDE)[0, 1, 0].tolist() == [12 - 2, 4 - 4, 12 + 2, 4 + 4]  # of width and of height


def test_square_roots_of_the_sides() -> None:
    outputs = nothing()
    outputs.boxes[0, 0, 0, 2:] = torch.tensor([0.25, 0.5])  # a side of 1 pixel and one of 4
    parts = loss(outputs, target([2, 2, 6, 6]))
    assert parts["coordinates"].item() == pytest.approx(0.25**2)

    def one_pixel_off(side: float) -> float:
        outputs = nothing()
        outputs.boxes[0, 0, :, 2:] = torch.tensor([math.sqrt((side + 1) / 16), math.sqrt(side / 16)])
        return loss(outputs, target([4 - side / 2, 4 - side / 2, 4 + side / 2, 4 + side / 2]))[
            "coordinates"
        ].item()

    expected = (5**0.5 - 2) ** 2 / (9**0.5 - 8**0.5) ** 2
    assert one_pixel_off(4) / one_pixel_off(8) == pytest.approx(expected, rel=1e-4)


def test_the_box_that_overlaps_best_is_responsible() -> None:
    outputs = nothing()
    outputs.boxes[0, 0, 0, 2:] = 0.25
    outputs.boxes[0, 0, 1, 2:] = 0.5  # exactly the object
    outputs.confidences[0, 0] = torch.tensor([0.5, 0.75])
    boxes = outputs.boxes.clone().requires_grad_()
    parts = loss(outputs._replace(boxes=boxes), target([2, 2, 6, 6]))
    assert parts["coordinates"] == 0 and parts["positives"] == 1
    assert parts["objects"].item() == pytest.approx(0.25**2)  # box 1: its IoU is 1
    assert parts["no_objects"].item() == pytest.approx(0.5**2)  # box 0, although its cell has an object

    worse = outputs.boxes.clone()
    worse[0, 0, 1, 2:] = 0.4
    worse.requires_grad_()
    loss(outputs._replace(boxes=worse), target([2, 2, 6, 6]))["coordinates"].backward()
    assert worse.grad is not None
    assert worse.grad[0, 0, 1].any() and not worse.grad[0, 0, 0].any()


def test_without_any_overlap_the_nearest_box_is_responsible() -> None:
    outputs = nothing()
    outputs.boxes[0, 0, 0, :2] = 0.0
    parts = loss(outputs, target([2, 2, 6, 6]))
    assert parts["coordinates"].item() == pytest.approx(2 * 0.5**2)  # the sides alone: its centre is right


def test_confidence_target() -> None:
    outputs = nothing()
    outputs.boxes[0, 0, 0, 2:] = torch.tensor([0.5, 0.5])
    outputs.confidences[0, 0, 0] = 0.75
    half = target([2, 0, 6, 8])  # 4 x 8 pixels, the box has 4 x 4 of them
    assert loss(outputs, half)["objects"].item() == pytest.approx(0.25**2)
    assert loss(outputs, half, confidence="one")["objects"].item() == pytest.approx(0.25**2)
    outputs.confidences[0, 0, 0] = 1.0
    assert loss(outputs, half)["objects"].item() == pytest.approx(0.5**2)
    assert loss(outputs, half, confidence="one")["objects"] == 0


def test_the_confidence_target_is_no_way_to_change_the_box() -> None:
    outputs = nothing()
    boxes = torch.where(outputs.boxes == 0, 0.4, outputs.boxes).requires_grad_()
    parts = loss(outputs._replace(boxes=boxes, confidences=outputs.confidences + 1), target([2, 2, 6, 6]))
    assert not parts["objects"].requires_grad


def test_an_empty_picture_costs_its_confidences() -> None:
    outputs = nothing(2)
    outputs.confidences.fill_(0.3)
    outputs.classes.fill_(0.7)
    parts = loss(outputs, target(), target())
    expected = 0.5 * 8 * 0.3**2  # as a mean over the pictures
    assert parts["loss"].item() == pytest.approx(expected)
    assert loss(outputs, target(), target(), no_object_weight=0.25)["loss"].item() == pytest.approx(
        expected / 2
    )
    assert parts["positives"] == 0


def test_an_ignored_region_is_not_background() -> None:
    outputs = nothing()
    outputs.confidences.fill_(1.0)
    region = torch.tensor([[0.0, 0.0, 9.0, 16.0]])  # both left cells
    assert loss(outputs, target(ignored=region))["no_objects"].item() == pytest.approx(4)
    with_object = loss(outputs, target([2, 2, 6, 6], ignored=region))
    assert with_object["positives"] == 1 and with_object["objects"] == 1  # an IoU of 0, a confidence of 1


def test_classes_of_the_cell() -> None:
    outputs = nothing()
    outputs.classes[0, 3] = torch.tensor([0.25, 0.5])
    outputs.classes[0, 0] = 1.0  # without an object: costs nothing
    parts = loss(outputs, target([9, 9, 15, 15], labels=(1,)))
    assert parts["classes"].item() == pytest.approx(0.25**2 + 0.5**2)


def cells(*boxes: list[float]) -> dict[int, int]:
    """Cell to object."""
    found: Objects = pad([target(*boxes)])
    occupied, owners = cells_of(found.boxes, found.present, (2, 2), STRIDE)
    return {cell: int(owners[0, cell]) for cell in range(4) if occupied[0, cell]}


def test_an_object_belongs_to_the_cell_of_its_centre() -> None:
    assert cells([0, 0, 12, 4]) == {0: 0}
    assert cells([6, 0, 12, 4]) == {1: 0}
    assert cells([6, 0, 10, 4]) == {1: 0}  # a centre at 8 lies in the second column
    assert cells([0, 14, 2, 16], [14, 14, 18, 18]) == {2: 0, 3: 1}  # 16 lies in the last one


def test_of_two_objects_in_a_cell_the_larger_is_learnt() -> None:
    assert cells([3, 3, 5, 5], [2, 2, 6, 6]) == {0: 1}
    assert cells([2, 2, 6, 6], [3, 3, 5, 5]) == {0: 0}
    assert cells([2, 2, 6, 6], [1, 2, 5, 6], [9, 1, 12, 3]) == {0: 0, 1: 2}  # of equal ones the first
    net = YoloV1(2, 16, Small(8))
    boxes = torch.tensor([[3.0, 3, 5, 5], [2, 2, 6, 6], [9, 1, 12, 3]])
    target = Target(boxes, torch.zeros(3).long(), NONE)
    assert net.unmatched([target], (16, 16)).tolist() == [True, False, False]
    assert net.unmatched([Target(NONE, NONE[:, 0].long(), NONE)], (16, 16)).shape == (0,)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_is_what_loops_find(seed: int) -> None:
    """Equation 3 written out."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    rows, columns, stride = 3, 4, 8
    outputs = GridOutputs(random(2, 12, 2, 4), random(2, 12, 2), random(2, 12, 3), (rows, columns), (24, 32))
    targets = []
    for _ in range(2):
        count = int(torch.randint(0, 5, (), generator=generator))
        corner = random(count, 2) * torch.tensor([20.0, 14.0])
        boxes = torch.cat([corner, corner + 1 + random(count, 2) * 9], dim=1)
        targets.append(Target(boxes, torch.randint(0, 3, (count,), generator=generator), NONE))

    expected = 0.0
    predicted = decode(outputs, stride)
    for i, found in enumerate(targets):
        for cell in range(rows * columns):
            x0, y0 = cell % columns * stride, cell // columns * stride
            middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
            mine = [
                m
                for m, (x, y) in enumerate(middle.tolist())
                if x0 <= x < x0 + stride and y0 <= y < y0 + stride
            ]
            responsible = -1
            if mine:
                sides = found.boxes[:, 2:] - found.boxes[:, :2]
                m = max(mine, key=lambda m: sides[m].prod().item())
                iou = box_iou(predicted[i, cell], found.boxes[m : m + 1])[:, 0]
                width, height = sides[m].tolist()
                aim = torch.tensor(
                    [
                        (middle[m, 0] - x0) / stride,
                        (middle[m, 1] - y0) / stride,
                        (width / 32) ** 0.5,
                        (height / 24) ** 0.5,
                    ]
                )
                error = (outputs.boxes[i, cell] - aim).square().sum(dim=1)
                responsible = int(iou.argmax()) if iou.max() > 0 else int(error.argmin())
                expected += 5 * error[responsible].item()
                expected += (outputs.confidences[i, cell, responsible] - iou[responsible]).item() ** 2
                one_hot = torch.eye(3)[found.labels[m]]
                expected += (outputs.classes[i, cell] - one_hot).square().sum().item()
            for box in range(2):
                if box != responsible:
                    expected += 0.5 * outputs.confidences[i, cell, box].item() ** 2
    found_loss = values(sum_squared_loss(outputs, pad(targets), stride))
    assert found_loss["loss"].item() == pytest.approx(expected / 2, rel=1e-4)


def test_detects_class_probability_times_confidence() -> None:
    net = YoloV1(2, 16, Small(8))
    outputs = nothing()
    outputs.boxes[0, 0, :, 2:] = 0.5
    outputs.boxes[0, 0, 1, 0] = 0.55  # nearly the same box, less certain: suppressed
    outputs.confidences[0, 0] = torch.tensor([0.5, 0.25])
    outputs.classes[0, 0] = torch.tensor([0.25, 1.5])  # regression may leave [0, 1]
    (found,) = net.detect(outputs)
    assert found.scores.tolist() == pytest.approx([0.5, 0.125])
    assert found.labels.tolist() == [1, 0]
    assert found.boxes.tolist() == [[2, 2, 6, 6]] * 2


@pytest.mark.parametrize("head", ["conv", "fc"])
@pytest.mark.parametrize("train", [True, False])
def test_every_parameter_has_a_gradient(head: Any, train: bool) -> None:
    net = YoloV1(3, [40, 48], Small(8), head=head, width=8, hidden=16).train(train)
    pixels = torch.rand(2, 3, 40, 48).contiguous(memory_format=torch.channels_last)
    for targets in ([target([4, 4, 30, 20]), target()], [target(), target()]):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = net(pixels, targets)
            parts = values(net.loss(outputs, targets))
        assert all(part.ndim == 0 and part.isfinite() for part in parts.values())
        assert outputs.boxes.dtype == torch.float32 and outputs.shape == (5, 6)
        parts["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert len(net.detect(outputs)) == 2


def test_the_layout_of_memory_does_not_matter() -> None:
    net = YoloV1(3, 32, Small(8), width=8).eval()
    pixels = torch.rand(2, 3, 32, 32)
    usual = net(pixels)
    other = net.to(memory_format=torch.channels_last)(pixels.contiguous(memory_format=torch.channels_last))
    for name in ("boxes", "confidences", "classes"):
        torch.testing.assert_close(getattr(usual, name), getattr(other, name))


def test_both_heads_order_their_outputs_alike() -> None:
    """Before training a head is little more than its bias: half a cell, other sizes, even classes."""
    for head in ("conv", "fc"):
        outputs = YoloV1(4, 32, Small(8), head=head, width=8, hidden=16).eval()(torch.rand(1, 3, 32, 32))
        mean = outputs.boxes.mean(dim=(0, 1))
        torch.testing.assert_close(
            mean, torch.tensor([[0.5, 0.5, 1 / 3, 1 / 3], [0.5, 0.5, 2 / 3, 2 / 3]]), atol=0.1, rtol=0
        )
        assert outputs.confidences.mean().abs() < 0.1
        torch.testing.assert_close(outputs.classes.mean(dim=(0, 1)), torch.full((4,), 0.25), atol=0.1, rtol=0)


def test_fully_connected_layers_are_bound_to_a_size() -> None:
    net = YoloV1(2, [32, 48], Small(8), head="fc", hidden=8)
    with pytest.raises(
        ConfigError, match=r"fc was built for pictures of \(32, 48\).* got \(32, 40\).*model\.head=conv"
    ):
        net(torch.zeros(2, 3, 32, 40))
    YoloV1(2, [32, 48], Small(8))(torch.zeros(2, 3, 32, 40))


def test_at_least_one_box() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.boxes: expected at least 1 box per cell, got 0; say model\.boxes=2"
    ):
        YoloV1(2, 32, Small(8), boxes=0)
