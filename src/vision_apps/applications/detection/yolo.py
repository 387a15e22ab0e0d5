"""A detector without anchors: every point of the feature maps tells a class and the distances to four sides.

The parts have their papers: decoupled head (Ge et al., "YOLOX", arXiv:2107.08430, 2021, section 2.1),
task-aligned assignment and soft targets (Feng et al., "TOOD", arXiv:2108.07755, 2021), distances as
distributions (Li et al., "Generalized focal loss", arXiv:2006.04388, 2020) and complete IoU (Zheng et al.,
"Distance-IoU loss", arXiv:1911.08287, 2020).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image, complete_box_iou_loss

from vision_apps.applications.detection.anchors import centres
from vision_apps.applications.detection.detector import ExportableDetector
from vision_apps.applications.detection.dfl import distribution_focal_loss, expectation
from vision_apps.applications.detection.objects import Objects, excused, pad
from vision_apps.applications.detection.pan import PathAggregation, convolution
from vision_apps.applications.detection.task_aligned import Assignment, assign
from vision_apps.applications.detection.types import Candidates, Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part, ratio
from vision_apps.networks.backbones import Backbone

PRIOR = 0.01  # the score of every class at every point before training (Lin et al. 2017, section 3.3)
NARROWEST = 1e-3  # of a stride: two sides at the same place have no aspect ratio, and so no gradient


class PointOutputs(NamedTuple):
    """Of N points, finest level first."""

    logits: Tensor  # float32 [B, N, K]
    # left, top, right, bottom: float32 [B, N, 4, n + 1], logits of whole distances, or [B, N, 4]
    sides: Tensor
    points: Tensor  # float32 [N, 2], x and y, pixels
    strides: Tensor  # float32 [N], pixels
    size: tuple[int, int]  # height and width of the pictures


class Yolo(ExportableDetector[PointOutputs]):
    """Works on pictures of any size.

    Args:
        backbone: 1 to 3 levels, or more; with several a path aggregation network joins them.
        width: channels of neck and head.
        depth: 3 x 3 convolutions of each branch of the head.
        dfl: distances as distributions; otherwise as plain numbers.
        reg_max: largest distance that ``dfl`` can tell, in strides.
        top_k, alpha, beta: of the assignment (`task_aligned.assign`).
        class_weight, box_weight, dfl_weight: of the three losses.
        nms: remove what overlaps a better detection of its class by more than ``nms_iou``.
        score_threshold: less certain detections are left out.

    Raises:
        ConfigError: a ``reg_max`` or ``top_k`` below 1.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        width: int = 64,
        depth: int = 2,
        dfl: bool = True,
        reg_max: int = 16,
        top_k: int = 10,
        alpha: float = 1.0,
        beta: float = 6.0,
        class_weight: float = 0.5,
        box_weight: float = 7.5,
        dfl_weight: float = 1.5,
        nms: bool = True,
        nms_iou: float = 0.6,
        score_threshold: float = 0.01,
        max_detections: int = 100,
    ) -> None:
        super().__init__(score_threshold, nms_iou if nms else 1.0, max_detections)
        for name, value in (("reg_max", reg_max), ("top_k", top_k)):
            if value < 1:
                raise ConfigError(f"model.{name}: expected at least 1, got {value}; say model.{name}=10")
        self.num_classes = num_classes
        self.backbone = backbone
        self.strides: Sequence[int] = list(backbone.strides)
        self.dfl = dfl
        self.reg_max = reg_max
        self.top_k, self.alpha, self.beta = top_k, alpha, beta
        self.weights = {"classes": class_weight, "boxes": box_weight, "distances": dfl_weight}
        several = len(backbone.channels) > 1
        self.neck = PathAggregation(backbone.channels, width) if several else None
        channels = [width] * len(backbone.channels) if several else backbone.channels
        outputs = 4 * (reg_max + 1) if dfl else 4
        self.heads = nn.ModuleList(_Head(inputs, width, depth, num_classes, outputs) for inputs in channels)

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> PointOutputs:
        maps: list[Tensor] = self.backbone(pixels)
        if self.neck is not None:
            maps = self.neck(maps)
        told = [head(features) for head, features in zip(self.heads, maps, strict=True)]
        logits, sides = zip(*told, strict=True)
        points, strides = grid([(m.shape[-2], m.shape[-1]) for m in maps], self.strides, pixels.device)
        together = torch.cat(sides, dim=1).float()
        return PointOutputs(
            torch.cat(logits, dim=1).float(),
            together.unflatten(-1, (4, -1)) if self.dfl else together,
            points,
            strides,
            (pixels.shape[-2], pixels.shape[-1]),
        )

    def boxes(self, sides: Tensor, points: Tensor, strides: Tensor) -> Tensor:
        """Pixels, [..., N, 4], of the network's ``sides`` at points [N, 2] with strides [N]."""
        distances = expectation(sides) if self.dfl else F.softplus(sides)
        return boxes_at(points, strides, distances.clamp(min=NARROWEST))

    def loss(self, outputs: PointOutputs, targets: list[Target]) -> dict[str, Part]:
        """Each part is divided by the sum of the soft targets over the batch, as its paper has it."""
        objects = pad(targets)
        with torch.no_grad():
            found = assign(
                outputs.logits.sigmoid(),
                self.boxes(outputs.sides, outputs.points, outputs.strides),
                outputs.points,
                objects,
                top_k=self.top_k,
                alpha=self.alpha,
                beta=self.beta,
                smallest=float(min(self.strides)),
            )
        image, point = found.positive.nonzero(as_tuple=True)
        owner = found.owners[image, point]
        truth, weight = objects.boxes[image, owner], found.quality[image, point]
        # once more, of these few: gradients of all the others would be 0
        sides, points, strides = outputs.sides[image, point], outputs.points[point], outputs.strides[point]
        predicted = self.boxes(sides, points, strides)

        sums = {
            "classes": class_loss(outputs, objects, found),
            "boxes": (complete_box_iou_loss(predicted, truth) * weight).sum(),
        }
        if self.dfl:
            each = distribution_focal_loss(sides, sides_from(points, strides, truth))
            sums["distances"] = (each.mean(dim=-1) * weight).sum()
        count, at_least_one = found.quality.sum(), partial(ratio, least=1)
        parts = {name: Part(total, count, self.weights[name], at_least_one) for name, total in sums.items()}
        return {**parts, "positives": Part(found.positive.sum().float(), len(targets), weight=0)}

    def candidates(self, outputs: PointOutputs) -> Candidates:
        boxes = self.boxes(outputs.sides, outputs.points, outputs.strides)
        return Candidates(clip_boxes_to_image(boxes, outputs.size), outputs.logits.sigmoid())

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        """Objects that no box covers by half, so much longer are they than the distances of the coarsest
        level can tell: bool [n]. Each object has a point, however small it is."""
        if not self.dfl:
            return super().unmatched(targets, size)
        boxes = torch.cat([target.boxes for target in targets])
        sides = boxes[:, 2:] - boxes[:, :2]
        longest = 2 * self.reg_max * max(self.strides)
        return (sides.clamp(max=longest) / sides).prod(dim=1) < 0.5

    def sides(self, size: tuple[int, int]) -> tuple[float, float]:
        """From half a cell of the finest level on; what is too long is `unmatched`."""
        return min(self.strides) / 2, math.inf


class _Head(nn.Module):
    """Two branches that share nothing but the map: what is it, and where are its sides."""

    def __init__(self, inputs: int, width: int, depth: int, num_classes: int, outputs: int) -> None:
        super().__init__()
        self.stem = convolution(inputs, width, 1)
        self.of_classes, self.of_sides = (
            nn.Sequential(*(convolution(width, width) for _ in range(depth)), nn.Conv2d(width, count, 1))
            for count in (num_classes, outputs)
        )
        nn.init.constant_(self.of_classes[-1].bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, h, w] to [B, h w, K] and [B, h w, outputs]."""
        features = self.stem(features)
        of_classes, of_sides = self.of_classes(features), self.of_sides(features)
        # in this order a channels-last map is not copied
        return of_classes.permute(0, 2, 3, 1).flatten(1, 2), of_sides.permute(0, 2, 3, 1).flatten(1, 2)


def grid(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Centres of the cells of maps of these heights and widths, row by row, and their strides: [N, 2] x and
    y in pixels, [N] pixels."""
    points = [centres(shape, stride, device) for shape, stride in zip(shapes, strides, strict=True)]
    sizes = [level.new_full(level.shape[:1], stride) for level, stride in zip(points, strides, strict=True)]
    return torch.cat(points), torch.cat(sizes)


def boxes_at(points: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    """Points [N, 2] and distances [..., N, 4] in strides to boxes [..., N, 4] in pixels."""
    before, after = (distances * strides.unsqueeze(-1)).chunk(2, dim=-1)
    return torch.cat([points - before, points + after], dim=-1)


def sides_from(points: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """The inverse of `boxes_at`: negative where a point lies outside its box."""
    distances = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=-1)
    return distances / strides.unsqueeze(-1)


def class_loss(outputs: PointOutputs, objects: Objects, found: Assignment) -> Tensor:
    """Sum of the binary cross-entropies of all points and classes.

    A point's own class should score its quality, every other class 0. A point in an ignored region that
    learns no object is left out.
    """
    labels = objects.labels.gather(1, found.owners)
    wanted = torch.zeros_like(outputs.logits).scatter_(2, labels.unsqueeze(-1), found.quality.unsqueeze(-1))
    each = F.binary_cross_entropy_with_logits(outputs.logits, wanted, reduction="none").sum(dim=-1)
    left_out = excused(outputs.points, objects.ignored) & ~found.positive
    return each.masked_fill(left_out, 0).sum()
