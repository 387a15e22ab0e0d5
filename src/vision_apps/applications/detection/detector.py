"""What a detection network is, and what one that can be exported is besides."""

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor, nn

from vision_apps.applications.detection.suppression import suppress
from vision_apps.applications.detection.types import Candidates, Detections, Target
from vision_apps.core.losses import Part

Outputs = TypeVar("Outputs")  # a NamedTuple, the network's own


class Detector(nn.Module, Generic[Outputs]):
    """Normalised pixels of any size to detections.

    ``loss`` and ``detect`` read the same ``Outputs``, so that both come out of training and evaluation alike.
    """

    mean: Sequence[float]  # set where published weights were trained with them: RGB in [0, 1]
    std: Sequence[float]
    max_detections: int = sys.maxsize  # of a picture

    if TYPE_CHECKING:  # so that calls are checked as well

        def __call__(
            self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
        ) -> Outputs: ...

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> Outputs:
        """What is told of pixels [B, 3, H, W].

        Args:
            targets: of each picture, while it trains, for detectors that choose their regions by them.
            proposals: float32 [p, 4] of each picture, where the data has some.
        """
        raise NotImplementedError

    def loss(self, outputs: Outputs, targets: list[Target]) -> dict[str, Part]:
        """The parts of the loss, and without a weight ``positives``, what learns an object, per picture. In
        training and evaluation."""
        raise NotImplementedError

    def detect(self, outputs: Outputs) -> list[Detections]:
        """Decoded, clipped to the picture, suppressed, at most ``max_detections`` of each picture; scores
        with gradients where the outputs have some."""
        raise NotImplementedError

    def proposals_of(self, images: Tensor) -> list[Tensor] | None:
        """Proposals float32 [p, 4] of each of the uint8 pictures [B, 3, H, W] that come without; none where
        the detector needs none."""
        return None

    def scales(self, outputs: Outputs) -> tuple[float, float]:
        """Pixels of what the backbone was given to one of the network's input, along y and x."""
        return 1, 1

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        """Which of the n objects of all pictures of ``size`` (height, width) training matches to nothing, so
        that they are not learned: bool [n]."""
        count = sum(len(target.boxes) for target in targets)
        return torch.zeros(count, dtype=torch.bool, device=targets[0].boxes.device)

    def sides(self, size: tuple[int, int]) -> tuple[float, float]:
        """The shortest and the longest object that its levels are made for in pictures of ``size``: roots of
        areas, px."""
        return 0, math.inf

    def measured(self, roots: Tensor, size: tuple[int, int]) -> str | None:
        """The settings, as they are typed, with which the levels are made for objects of these roots of areas
        [n], px, in pictures of ``size``; none where other settings have to be found by hand."""
        return None


class ExportableDetector(Detector[Outputs]):
    """Looks at a fixed number of places, whatever the picture shows: all but the suppression is a graph.

    Args:
        score_threshold: less certain detections are left out.
        nms_iou: what overlaps a better detection of its class by more is removed.
        max_detections: of a picture.
    """

    def __init__(self, score_threshold: float, nms_iou: float, max_detections: int) -> None:
        super().__init__()
        self.score_threshold = score_threshold
        self.nms_iou = nms_iou
        self.max_detections = max_detections

    def candidates(self, outputs: Outputs) -> Candidates:
        """All that is told of every place."""
        raise NotImplementedError

    def select(self, candidates: Candidates) -> list[Detections]:
        """The detections of each picture among its candidates."""
        return [
            suppress(*row, self.score_threshold, self.nms_iou, self.max_detections)
            for row in zip(*candidates, strict=True)
        ]

    def detect(self, outputs: Outputs) -> list[Detections]:
        return self.select(self.candidates(outputs))
