"""Objects that a network cannot learn are told with their share and a setting that mends it, which does."""

import re

import pytest
import torch
from tests.applications.detection.test_region import fast, faster
from tests.applications.detection.test_torchvision_models import fcos, ssd
from tests.applications.detection.test_yolo import small
from torch import Tensor

from vision_apps.applications.detection.detector import Detector
from vision_apps.applications.detection.learnable import findings
from vision_apps.applications.detection.proposers import Rpn
from vision_apps.applications.detection.region import RegionDetector
from vision_apps.applications.detection.region_features import Pooled
from vision_apps.applications.detection.region_head import Head
from vision_apps.applications.detection.types import Target
from vision_apps.networks.backbones import Small


def squares(*sides: float, each: int = 1, at: float = 3) -> list[Target]:
    """A picture for each side, with ``each`` squares of it."""
    return [
        Target(
            torch.tensor([[at, at, at + side, at + side]] * each), torch.zeros(each).long(), torch.zeros(0, 4)
        )
        for side in sides
    ]


def lines(
    network: Detector, targets: list[Target], side: int, limits: dict[str, int] | None = None
) -> list[str]:
    return [*findings(network, targets, (side, side), limits or {})]


def test_objects_that_are_longer_than_the_distances_are_mended_by_smaller_pictures() -> None:
    network = small(reg_max=2)  # of one level of stride 8: 32 px at most
    (line,) = lines(network, squares(60, 60, 20, 20), 128)
    assert line.startswith("objects: 2 of 4 (50%) can be matched to nothing that Yolo predicts with")
    assert "60 x 60 px" in line
    (size,) = re.findall(r"data\.image_size=(\d+) mends that", line)
    assert int(size) < 128
    scale = int(size) / 128
    assert lines(network, squares(*[side * scale for side in (60, 60, 20, 20)]), int(size)) == []


def test_objects_that_no_size_mends_ask_for_another_network() -> None:
    """Windows are shares of the picture, whatever its size."""
    (line,) = lines(fast(), squares(3, 3), 64)
    assert "2 of 2 (100%)" in line and "model=yolo" in line and "image_size" not in line


def test_objects_between_the_points_of_fcos_are_mended_by_larger_pictures() -> None:
    (line,) = [line for line in lines(fcos(), squares(3, 3, 40), 64) if "matched to nothing" in line]
    assert "2 of 3 (67%)" in line and re.search(r"data\.image_size=(96|128) mends that", line)


@pytest.mark.parametrize(
    ("network", "targets", "told", "mends"),
    [
        (
            small(),
            squares(2, 2, 2),
            "3 of 3 (100%) are smaller than the 4 px",
            "data.image_size=640 mends that",
        ),
        (
            faster(),
            squares(300, 300),
            "2 of 2 (100%) are larger than the 112 px",
            "model.proposer.scales=[37.5,37.5,37.5,37.5] fits them",
        ),
        (
            ssd(),
            squares(4, 4, 300, at=0),
            "2 of 3 (67%) are smaller than",
            "model.smallest=0.01 model.largest=0.75 fits them",
        ),
    ],
    ids=["yolo", "anchors", "ssd"],
)
def test_objects_that_no_level_is_made_for(
    network: Detector, targets: list[Target], told: str, mends: str
) -> None:
    (line,) = [line for line in lines(network, targets, 320) if "levels of" in line]
    assert told in line
    assert line.endswith(mends)


def test_measured_anchors_fit() -> None:
    targets = squares(*range(200, 300, 5))
    (line,) = lines(faster(), targets, 320)
    (scales,) = re.findall(r"model\.proposer\.scales=\[(.*)\] fits", line)
    rpn = Rpn(scales=[float(scale) for scale in scales.split(",")])
    assert lines(RegionDetector(3, Small(16, 1), rpn, Pooled(4), Head(32)), targets, 320) == []


def test_more_objects_than_answers() -> None:
    limits = {"model.max_detections": 3, "module.max_detections": 100}
    targets = squares(20, each=5) + squares(20, 20, 20, each=3)
    (line,) = lines(Detector(), targets, 64, limits)
    assert "1 of 4 pictures (25%) have more than model.max_detections=3 answers, up to 5" in line
    assert line.endswith("; model.max_detections=5")
    assert lines(Detector(), targets, 64, {**limits, "model.max_detections": 5}) == []


def test_every_network_says_how_many_it_answers() -> None:
    assert [network.max_detections for network in (small(), fast(), fcos())] == [100, 100, 100]


@pytest.mark.parametrize(
    "network", [small(3), faster(2), fcos(), ssd(), fast()], ids=lambda one: type(one).__name__
)
def test_objects_of_the_usual_sizes_are_silent(network: Detector) -> None:
    assert lines(network, squares(16, 24, 32, 40), 64) == []
    assert lines(network, [Target(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0, 4))], 64) == []


def test_a_network_is_left_as_it_was() -> None:
    network = fcos().train()
    before: dict[str, Tensor] = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [part.training for part in network.modules()]
    lines(network, squares(3, 20), 64)
    assert [part.training for part in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
