"""torchvision's detectors behind our contract, held against the models as torchvision runs them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.ops import MultiScaleRoIAlign

from vision_apps.applications.detection.torchvision_dense import (
    DenseDetector,
    in_ignored,
    inside,
    match_points,
)
from vision_apps.applications.detection.torchvision_models import (
    Ssd,
    TorchvisionDense,
    TorchvisionFasterRcnn,
    _Named,
)
from vision_apps.applications.detection.torchvision_regions import TwoStageDetector
from vision_apps.applications.detection.types import Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import values
from vision_apps.networks.backbones import Small

K = 3
SIZE = 64
EMPTY = torch.zeros(0, 4)


def target(*boxes: list[float], labels: list[int], ignored: Tensor = EMPTY) -> Target:
    return Target(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64), ignored)


TARGETS = [
    target([4.0, 6, 30, 40], [20, 20, 60, 50], labels=[2, 0]),
    target(labels=[]),
]


def anchors(levels: int) -> AnchorGenerator:
    return AnchorGenerator(tuple((12 * 2**i,) for i in range(levels)), ((0.5, 1.0, 2.0),) * levels)


class Pyramid(_Named):
    """Maps of one width."""

    def __init__(self, levels: int = 2) -> None:
        super().__init__(Small(width=32, levels=levels))
        self.out_channels: Any = 32


def ssd() -> Ssd:
    return Ssd(K, SIZE, Small(width=16, levels=3))


def retinanet() -> DenseDetector:
    return DenseDetector(RetinaNet(Pyramid(), K, anchor_generator=anchors(2)), K, score_threshold=0.005)


def fcos() -> DenseDetector:
    points = AnchorGenerator(((8,), (16,)), ((1.0,),) * 2)
    return DenseDetector(FCOS(Pyramid(), K, anchor_generator=points), K, score_threshold=0.01)


def faster_rcnn(**changes: Any) -> TwoStageDetector:
    pool = MultiScaleRoIAlign(["0", "1"], 3, 2)
    model = FasterRCNN(
        Pyramid(), K + 1, rpn_anchor_generator=anchors(2), box_roi_pool=pool,
        rpn_post_nms_top_n_train=50, rpn_post_nms_top_n_test=50, **changes,
    )  # fmt: skip
    return TwoStageDetector(model, K, score_threshold=0.01)


MAKERS: dict[str, Any] = {"ssd": ssd, "retinanet": retinanet, "fcos": fcos, "faster_rcnn": faster_rcnn}


def torchvision_alone(detector: Any, pixels: Tensor, targets: list[Target] | None) -> Any:
    """The model's own forward pass: its transform neither scales nor normalises here."""
    model = detector.model
    shift = 0 if isinstance(model, RetinaNet | FCOS) else 1

    def untouched(images: list[Tensor], targets: Any = None) -> Any:
        return ImageList(torch.stack(list(images)), [(SIZE, SIZE)] * len(images)), targets

    model.transform.forward = untouched
    model.transform.postprocess = lambda result, *_: result
    rows = targets and [{"boxes": t.boxes, "labels": t.labels + shift} for t in targets]
    found = model(list(pixels), rows)
    del model.transform.forward, model.transform.postprocess
    return found


def pixels(count: int = 2, size: int = SIZE) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", MAKERS)
def test_losses_are_torchvision_s(name: str) -> None:
    detector = MAKERS[name]().train()
    names = {
        "classification": "classes", "bbox_regression": "boxes", "bbox_ctrness": "centredness",
        "loss_objectness": "objectness", "loss_rpn_box_reg": "proposals", "loss_classifier": "classes",
        "loss_box_reg": "boxes",
    }  # fmt: skip
    for part in detector.modules():  # both passes see the same statistics
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.0
    if name == "faster_rcnn":  # every anchor and region is taken: nothing is left to chance
        detector.model.rpn.fg_bg_sampler.batch_size_per_image = 10**6
        detector.model.rpn.fg_bg_sampler.positive_fraction = 0.99
        detector.model.roi_heads.fg_bg_sampler.batch_size_per_image = 10**6
        detector.model.roi_heads.fg_bg_sampler.positive_fraction = 0.99
    images = pixels()
    expected = torchvision_alone(detector, images, TARGETS)
    found = values(detector.loss(detector(images, TARGETS), TARGETS))
    for theirs, value in expected.items():
        torch.testing.assert_close(found[names[theirs]], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["loss"], sum(expected.values()), rtol=1e-4, atol=1e-5)
    assert found["positives"] >= 1  # of each picture


@pytest.mark.parametrize("name", MAKERS)
def test_detections_are_torchvision_s_with_labels_from_0(name: str) -> None:
    detector = MAKERS[name]().eval()
    images = pixels()
    with torch.no_grad():
        expected = torchvision_alone(detector, images, None)
        found = detector.detect(detector(images))
    for theirs, ours in zip(expected, found, strict=True):
        solid = (theirs["boxes"][:, 2:] > theirs["boxes"][:, :2]).all(dim=1)
        torch.testing.assert_close(ours.boxes, theirs["boxes"][solid])
        torch.testing.assert_close(ours.scores, theirs["scores"][solid])
        shift = 1 if name in ("ssd", "faster_rcnn") else 0
        assert torch.equal(ours.labels, theirs["labels"][solid] - shift)
        assert len(ours.labels) and ours.labels.min() >= 0 and ours.labels.max() < K
        assert (ours.scores.diff() <= 0).all()


@pytest.mark.parametrize("name", MAKERS)
def test_losses_in_evaluation_with_and_without_objects(name: str) -> None:
    detector = MAKERS[name]().eval()
    with torch.no_grad():
        outputs = detector(pixels())
        first, again = values(detector.loss(outputs, TARGETS)), values(detector.loss(outputs, TARGETS))
        state = torch.get_rng_state()
        nothing = values(detector.loss(outputs, [target(labels=[])] * 2))
    assert torch.equal(torch.get_rng_state(), state), "measuring draws from the training's generator"
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert all(value.isfinite() and value.ndim == 0 for value in (*first.values(), *nothing.values()))
    assert first["loss"] > 0 and nothing["positives"] == 0 == nothing["boxes"]


@pytest.mark.parametrize("name", MAKERS)
def test_every_parameter_learns_also_from_empty_pictures(name: str) -> None:
    detector = MAKERS[name]().train()
    for targets in (TARGETS, [target(labels=[])] * 2):
        detector.zero_grad()
        values(detector.loss(detector(pixels(), targets), targets))["loss"].backward()
        silent = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not silent


@pytest.mark.parametrize("name", ["ssd", "retinanet", "fcos"])
def test_an_ignored_region_teaches_nothing(name: str) -> None:
    """Logits in it may be anything, and get no gradient; those of an object in it still do."""
    detector = MAKERS[name]().train()
    whole = torch.tensor([[0.0, 0, SIZE, SIZE]])
    targets = [target([20.0, 20, 50, 52], labels=[1], ignored=whole)] * 2
    outputs = detector(pixels(), targets)
    logits = outputs.heads["cls_logits"].detach().requires_grad_()
    heads = outputs.heads | {"cls_logits": logits}
    values(detector.loss(outputs._replace(heads=heads), targets))["classes"].backward()
    taught = logits.grad.abs().sum(dim=2) > 0
    owners = [detector._match(outputs.anchors, outputs.levels, targets[0].boxes) >= 0] * 2
    assert torch.equal(taught, torch.stack(owners)) and taught.any()


def test_an_ignored_region_teaches_the_two_stages_nothing() -> None:
    detector = faster_rcnn().train()
    whole = torch.tensor([[0.0, 0, SIZE, SIZE]])
    targets = [target(labels=[], ignored=whole)] * 2
    outputs = detector(pixels(), targets)
    objectness, logits = (value.detach().requires_grad_() for value in (outputs.objectness, outputs.logits))
    parts = values(detector.loss(outputs._replace(objectness=objectness, logits=logits), targets))
    assert parts["positives"] == 0
    parts["classes"].backward()
    assert logits.grad is not None and logits.grad.eq(0).all()
    inner = torch.cat([in_ignored(boxes, whole) for boxes in outputs.anchors])
    kinds, _ = detector.model.rpn.assign_targets_to_anchors(  # type: ignore[operator]
        outputs.anchors, [{"boxes": EMPTY}] * 2
    )
    assert inner.any() and torch.cat(kinds).eq(0).all()  # torchvision would have them all as background


def test_half_precision_moves_no_anchor() -> None:
    for name, make in MAKERS.items():
        detector = make().eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            outputs = detector(pixels())
        boxes = outputs.anchors[0] if name == "faster_rcnn" else outputs.anchors
        with torch.no_grad():
            exact = detector(pixels())
        assert torch.equal(boxes, exact.anchors[0] if name == "faster_rcnn" else exact.anchors)
        logits = outputs.logits if name == "faster_rcnn" else outputs.heads["cls_logits"]
        assert logits.dtype == torch.float32


# ---- sizes ----------------------------------------------------------------------------------------------


def test_input_size_enlarges_inside_and_answers_outside() -> None:
    """Twice the picture and twice the boxes inside is the same loss; answers are half as large."""
    large = ssd().eval()
    small = ssd().eval()
    small.load_state_dict(large.state_dict())
    small.input_size = 2 * SIZE
    image = pixels(1)
    twice = nn.functional.interpolate(image, scale_factor=2, mode="bilinear", antialias=True)
    box = target([4.0, 6, 30, 40], labels=[2])
    doubled = box._replace(boxes=2 * box.boxes)
    with torch.no_grad():
        one, other = small(image), large(twice)
        torch.testing.assert_close(values(small.loss(one, [box])), values(large.loss(other, [doubled])))
        found, expected = small.detect(one)[0], large.detect(other)[0]
    torch.testing.assert_close(found.boxes * 2, expected.boxes)
    torch.testing.assert_close(found.scores, expected.scores)


def test_pyramids_are_padded_and_answers_stay_in_the_picture() -> None:
    images, frame = inside(torch.ones(1, 3, 40, 70), None, padded=True)
    assert images.tensors.shape == (1, 3, 64, 96) and images.image_sizes == [(40, 70)]
    assert images.tensors[..., :40, :70].eq(1).all() and images.tensors.sum() == 3 * 40 * 70
    assert frame == ((40, 70), (1.0, 1.0))
    for make in (retinanet, fcos, faster_rcnn):
        detector = make().eval()
        with torch.no_grad():
            (found,) = detector.detect(detector(torch.randn(1, 3, 40, 70)))
        assert (found.boxes[:, 2] <= 70).all() and (found.boxes[:, 3] <= 40).all()


# ---- assignments ----------------------------------------------------------------------------------------


def test_pictures_are_brought_to_their_size_inside_with_antialiasing() -> None:
    y, x = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    board = ((x + y) % 2).float().expand(1, 3, -1, -1)
    images, frame = inside(board, 16, padded=False)
    assert frame == ((16, 16), (1 / 3, 1 / 3))
    assert (images.tensors[..., 1:-1, 1:-1] - 0.5).abs().max() < 0.06


def test_points_of_fcos_by_hand() -> None:
    """Strides 8 and 16 in a picture of 32 px; the finest level takes boxes with a side nearer than 64."""
    fine = torch.tensor([[x - 4.0, y - 4, x + 4, y + 4] for y in (4, 12, 20, 28) for x in (4, 12, 20, 28)])
    coarse = torch.tensor([[x - 8.0, y - 8, x + 8, y + 8] for y in (8, 24) for x in (8, 24)])
    points = torch.cat((fine, coarse))
    boxes = torch.tensor([[0.0, 0, 24, 24], [8, 8, 16, 16]])
    found = match_points(points, [16, 4], boxes, radius=1.5)
    # within 12 px of (12, 12): x and y of 4, 12 and 20; the small box has the point (12, 12)
    expected = [0, 0, 0, -1, 0, 1, 0, -1, 0, 0, 0, -1, -1, -1, -1, -1]
    assert found[:16].tolist() == expected
    assert found[16:].tolist() == [-1] * 4  # nearer than 4 strides of 16: too small for the coarse level


def test_what_is_beyond_the_last_reach_is_learned_on_the_coarsest_level() -> None:
    """Strides 8 and 16: the coarsest would end at 128 px, and takes the farther sides, too."""
    fine = torch.tensor([[x - 4.0, y - 4, x + 4, y + 4] for y in range(4, 300, 8) for x in range(4, 300, 8)])
    coarse = torch.tensor(
        [[x - 8.0, y - 8, x + 8, y + 8] for y in range(8, 300, 16) for x in range(8, 300, 16)]
    )
    large = torch.tensor([[0.0, 0, 296, 296]])  # from its middle 148 px to each side
    found = match_points(torch.cat((fine, coarse)), [len(fine), len(coarse)], large, radius=1.5)
    assert (found[: len(fine)] == -1).all(), "farther than the finest level's 64 px"
    taken = coarse[found[len(fine) :] == 0]
    centres = (taken[:, :2] + taken[:, 2:]) / 2
    assert sorted(map(tuple, centres.tolist())) == [(x, y) for x in (136, 152, 168) for y in (136, 152, 168)]


def test_points_of_fcos_give_torchvision_s_loss_for_many_boxes() -> None:
    detector = fcos().eval()
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 30, 2, 2, generator=generator) * SIZE
    boxes = torch.cat((corners.amin(2), corners.amax(2)), dim=-1)
    rows = [Target(b, torch.randint(K, (30,), generator=generator), EMPTY) for b in boxes]
    model: Any = detector.model
    with torch.no_grad():
        outputs = detector(pixels())
        expected = model.compute_loss(
            [{"boxes": r.boxes, "labels": r.labels} for r in rows],
            outputs.heads,
            [outputs.anchors] * 2,
            outputs.levels,
        )
        found = values(detector.loss(outputs, rows))
    torch.testing.assert_close(found["loss"], sum(expected.values()))


def test_unmatched_objects_of_fcos() -> None:
    """A box of 3 px between the points of stride 8 (at 0, 8, ...) holds none of them."""
    boxes = torch.tensor([[3.0, 3, 6, 6], [7, 7, 10, 10], [0, 0, 60, 60]])
    target = Target(boxes, torch.zeros(3).long(), EMPTY)
    detector = fcos().train()
    assert detector.unmatched([target], (64, 64)).tolist() == [True, False, False]
    assert detector.training
    assert ssd().unmatched([target], (64, 64)).tolist() == [False] * 3
    assert fcos().unmatched([Target(EMPTY, EMPTY[:, 0].long(), EMPTY)], (64, 64)).shape == (0,)
    # two alike: each point learns the first
    twice = Target(boxes[[1, 1]], torch.zeros(2).long(), EMPTY)
    assert detector.unmatched([twice], (64, 64)).tolist() == [False, True]


def test_three_background_boxes_are_learned_for_each_matched_one() -> None:
    detector = ssd().train()
    targets = [target([20.0, 20, 50, 52], labels=[1])]
    outputs = detector(pixels(1), targets)
    logits = outputs.heads["cls_logits"].detach().requires_grad_()
    parts = values(detector.loss(outputs._replace(heads=outputs.heads | {"cls_logits": logits}), targets))
    parts["classes"].backward()
    taught = int((logits.grad.abs().sum(dim=2) > 0).sum())  # type: ignore[union-attr]
    assert taught == 4 * int(parts["positives"]) > 0


# ---- by name, and published weights ----------------------------------------------------------------------


def test_what_cannot_be_built_is_told() -> None:
    with pytest.raises(ConfigError, match=r"model.backbone: SSD looks at 2 or more feature maps, .* has 1"):
        Ssd(K, SIZE, Small(width=8))
    with pytest.raises(ConfigError, match=r"model.smallest: 0.9; expected more than 0 and less than"):
        Ssd(K, SIZE, Small(width=8, levels=2), smallest=0.9)
    with pytest.raises(ConfigError, match=r"model.name: ssd301_vgg16 is none .*did you mean 'ssd300_vgg16'"):
        TorchvisionDense("ssd301_vgg16", K)
    with pytest.raises(ConfigError, match=r"model.weights: COCO is not a set of .*; did you mean COCO_V1"):
        TorchvisionFasterRcnn("fasterrcnn_mobilenet_v3_large_320_fpn", K, weights="COCO")
