"""What is proposed: windows and their recall, proposals of the data, and a network that proposes."""

import contextlib

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

from vision_apps.applications.detection import box_codec
from vision_apps.applications.detection.anchors import anchors
from vision_apps.applications.detection.proposers import UNIT, External, Proposer, Rpn, RpnOutputs, Windows
from vision_apps.applications.detection.types import Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values

with contextlib.suppress(ImportError):
    import cv2  # noqa: F401 - its first import sets an environment variable, which no test may do

NONE = torch.zeros(0, 4)


def random_boxes(count: int, low: float, high: float, size: float) -> torch.Tensor:
    """Sides (square roots of areas) as shares of the picture, evenly on the logarithm, aspects up to 2."""
    generator = torch.Generator().manual_seed(0)
    bounds = torch.tensor([low, high]).log()
    side = (torch.rand(count, generator=generator) * (bounds[1] - bounds[0]) + bounds[0]).exp() * size
    root = 2 ** ((torch.rand(count, generator=generator) * 2 - 1) / 2)
    sides = torch.stack([side * root, side / root], dim=1).clamp(max=size)
    corners = torch.rand(count, 2, generator=generator) * (size - sides)
    return torch.cat([corners, corners + sides], dim=1)


def test_windows_reach_random_boxes() -> None:
    windows = Windows().fixed((96, 96))
    assert len(windows) == 381
    assert (windows >= 0).all() and (windows <= 96).all()
    overlaps = box_iou(random_boxes(4000, 0.15, 0.8, 96), windows).amax(dim=1)
    assert (overlaps >= 0.5).float().mean() >= 0.99
    assert (overlaps >= 0.7).float().mean() >= 0.2


def test_windows_written_out() -> None:
    windows = Windows(shares=[0.5], aspects=[1.0], overlap=0.5).fixed((20, 40))
    assert len(windows) == 3 * 7
    assert windows[0].tolist() == [0, 0, 10, 10] and windows[-1].tolist() == [30, 10, 40, 20]
    high = Windows(shares=[0.5], aspects=[4.0], overlap=0.0).fixed((20, 20))
    assert high.tolist() == [[0, 0, 5, 20], [5, 0, 10, 20], [10, 0, 15, 20], [15, 0, 20, 20]]


def test_windows_scale_with_the_picture() -> None:
    torch.testing.assert_close(2 * Windows().fixed((64, 64)), Windows().fixed((128, 128)))


def test_external_takes_what_the_data_has_but_no_padding() -> None:
    given = [torch.tensor([[1.0, 2, 30, 40], [0, 0, 0, 0]]), torch.zeros(3, 4)]
    boxes, rpn = External("fast")([], (64, 64), given)
    assert rpn is None and boxes is not None
    assert [b.tolist() for b in boxes] == [[[1, 2, 30, 40]], []]
    boxes, _ = External("fast", limit=1)([], (64, 64), [torch.tensor([[0.0, 0, 5, 5], [1, 1, 9, 9]])])
    assert boxes is not None and len(boxes[0]) == 1


def test_external_without_proposals_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.proposer: External.*data\.proposals=fast"):
        External(None)
    with pytest.raises(ConfigError, match=r"batch without proposals.*data\.proposals=fast"):
        External("fast")([], (64, 64), None)


def test_external_computes_those_of_a_new_picture() -> None:
    pytest.importorskip("cv2")
    image = torch.full((3, 64, 64), 30, dtype=torch.uint8)
    image[:, 20:44, 12:40] = 220
    (boxes,) = External("fast").proposals_of(image[None])
    assert boxes.dtype == torch.float32
    assert box_iou(torch.tensor([[12.0, 20, 40, 44]]), boxes).max() > 0.8


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.proposer\.overlap: 1, expected"):
        Windows(overlap=1)
    with pytest.raises(ConfigError, match=r"model\.proposer: low=0\.7 and high=0\.3"):
        Rpn(low=0.7, high=0.3)


def rpn(**parameters: object) -> Rpn:
    network = Rpn(**parameters)  # type: ignore[arg-type]
    network.connect(8, [8, 16])
    return network


def test_the_rows_of_the_network_are_those_of_the_anchors() -> None:
    network = rpn(scales=[2.0, 4.0], aspects=[0.5, 1.0, 2.0])
    maps = [torch.randn(2, 8, 3, 4), torch.randn(2, 8, 2, 2)]
    _, outputs = network(maps, (24, 32), None)
    assert outputs is not None and outputs.objectness.shape == (2, 6 * (12 + 4))
    hidden = F.relu(network.conv(maps[0]))
    for shape, row, column in [(0, 0, 0), (4, 1, 2), (5, 2, 3)]:
        at = (row * 4 + column) * 6 + shape
        torch.testing.assert_close(
            outputs.objectness[1, at], network.objectness(hidden)[1, shape, row, column]
        )
        torch.testing.assert_close(
            outputs.deltas[1, at], network.deltas(hidden)[1, 4 * shape : 4 * shape + 4, row, column]
        )
    expected = [anchors((3, 4), 8, [2.0, 4.0], [0.5, 1, 2]), anchors((2, 2), 16, [2.0, 4.0], [0.5, 1, 2])]
    torch.testing.assert_close(outputs.anchors, torch.cat(expected))
    torch.testing.assert_close(network.fixed((24, 32)), torch.cat(expected))


def test_proposals_are_the_best_anchors_after_suppression() -> None:
    network = rpn(scales=[2.0], aspects=[1.0], after=2).eval()
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 60, 60], [5, 5, 5.5, 9], [20, 0, 30, 10]]
    )
    outputs = RpnOutputs(torch.tensor([[2.0, 3, 1, 9, 0]]), torch.zeros(1, 5, 4), boxes)
    # the fourth is too thin, the first overlaps the second, the last is beyond the two that are kept
    assert network._propose(outputs, [5], (50, 50))[0].tolist() == [[1, 0, 11, 10], [30, 30, 50, 50]]


def test_the_loss_by_hand() -> None:
    network = rpn(count=4).eval()
    references = torch.tensor([[0.0, 0, 10, 10], [40, 40, 60, 60], [0, 0, 20, 10], [80, 0, 90, 10]])
    target = Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1]), NONE)  # IoU 1, 0, 0.5, 0
    outputs = RpnOutputs(
        torch.tensor([[2.0, -1.0, 5.0, 0.5]]), torch.tensor([[[0.2, 0, 0, 0]] + [[9.0] * 4] * 3]), references
    )
    parts = values(network.loss(outputs, [target]))
    scores = torch.tensor([2.0, -1.0, 0.5])  # the third anchor is neither
    expected = F.binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(parts["rpn_objectness"], expected)
    torch.testing.assert_close(parts["rpn_boxes"], torch.tensor((0.2 - 0.5 / 9) / 3))
    assert parts["rpn_positives"] == 1


def test_perfect_offsets_cost_nothing() -> None:
    network = rpn().eval()
    references = network.fixed((64, 64))
    target = Target(torch.tensor([[5.0, 7, 25, 22], [30, 30, 62, 60]]), torch.tensor([0, 1]), NONE)
    owner = box_iou(target.boxes, references).argmax(dim=0)
    deltas = box_codec.encode(target.boxes[owner], references, UNIT)[None]
    parts = values(network.loss(RpnOutputs(torch.zeros(1, len(references)), deltas, references), [target]))
    assert parts["rpn_positives"] >= 2
    assert parts["rpn_boxes"] < 1e-3  # 0 but for an anchor that another object takes as its best


def test_the_common_face_proposes_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Proposer()([], (8, 8), None)
    assert Proposer().fixed((8, 8)) is None
