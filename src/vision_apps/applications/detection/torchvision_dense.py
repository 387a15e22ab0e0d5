"""torchvision's detectors that look once as `detector.Detector`: SSD, RetinaNet and FCOS.

Their own resizing and normalising (`GeneralizedRCNNTransform`) is not used: pixels come as the network shall
see them. Losses come out in training and in evaluation. Where torchvision counts the background as class 0,
the shift happens here and nowhere else.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.models.detection.fcos import FCOS
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from vision_apps.applications.detection.detector import Detector, Outputs
from vision_apps.applications.detection.objects import within
from vision_apps.applications.detection.types import Detections, Target
from vision_apps.core.conventions import height_width
from vision_apps.core.losses import Part, ratio
from vision_apps.networks.boxes import area

EXCUSED = 1e4  # a logit whose loss and gradient are exactly 0
PADDED = 32  # px: pyramids expect sides that this divides


class Frame(NamedTuple):
    """How the pixels that are given relate to those inside the network."""

    size: tuple[int, int]  # height and width inside, without padding
    scale: tuple[float, float]  # pixels inside to one given, along x and y


class DenseOutputs(NamedTuple):
    """Of N anchors (or points, as boxes around them), finest level first."""

    # float32: cls_logits [B, N, classes], bbox_regression [B, N, 4]; of FCOS bbox_ctrness [B, N, 1], logits
    heads: dict[str, Tensor]
    anchors: Tensor  # float32 [N, 4], in pixels inside
    levels: list[int]  # anchors of each level
    frame: Frame


def inside(pixels: Tensor, input_size: int | Sequence[int] | None, padded: bool) -> tuple[ImageList, Frame]:
    """Pixels [B, 3, H, W] as the network sees them: scaled to ``input_size`` if that is given, and
    ``padded`` at the right and below to a multiple of 32 with zeros, the mean colour."""
    given = (pixels.shape[-2], pixels.shape[-1])
    size = given if input_size is None else height_width(input_size, "model.input_size")
    if size != given:
        pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
    if padded:
        pixels = F.pad(pixels, (0, -size[1] % PADDED, 0, -size[0] % PADDED))
    frame = Frame(size, (size[1] / given[1], size[0] / given[0]))
    return ImageList(pixels, [size] * len(pixels)), frame


def scaled(boxes: Tensor, frame: Frame) -> Tensor:
    """Boxes [n, 4] in given pixels to pixels inside."""
    return boxes.float() * boxes.new_tensor(frame.scale * 2, dtype=torch.float32)


def as_targets(targets: list[Target], frame: Frame, shift: int) -> list[dict[str, Tensor]]:
    """As torchvision takes them, in pixels inside; what has no area is left out."""
    found = []
    for target in targets:
        boxes = scaled(target.boxes, frame)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        found.append({"boxes": boxes[solid], "labels": target.labels[solid] + shift})
    return found


def as_detections(rows: list[dict[str, Tensor]], frame: Frame, shift: int) -> list[Detections]:
    """From torchvision's, best first, in given pixels; what has no area after clipping is left out."""
    found = []
    for row in rows:
        boxes = row["boxes"].float()
        solid = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        boxes = boxes / boxes.new_tensor(frame.scale * 2)
        found.append(Detections(boxes[solid], row["scores"].float()[solid], row["labels"][solid] - shift))
    return found


def in_ignored(boxes: Tensor, ignored: Tensor) -> Tensor:
    """Which boxes [n, 4] have their centre in one of the regions [m, 4]: bool [n]."""
    return within((boxes[:, :2] + boxes[:, 2:]) / 2, ignored).any(dim=0)


class TorchvisionDetector(Detector[Outputs]):
    """A ``model`` of torchvision for ``num_classes`` classes.

    Args:
        model: for ``num_classes`` + 1 classes if its class 0 is the background, as that of an SSD or a
            Faster R-CNN, and for ``num_classes`` otherwise.
        input_size: side in pixels, or height and width, that pictures are brought to inside; null: as they
            come.
        score_threshold, nms_iou, max_detections: of the detections; null: as torchvision has it.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        input_size: int | Sequence[int] | None = None,
        score_threshold: float | None = None,
        nms_iou: float | None = None,
        max_detections: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.num_classes = num_classes
        self.input_size = input_size
        given = {
            "score_thresh": score_threshold,
            "nms_thresh": nms_iou,
            "detections_per_img": max_detections,
        }
        for name, value in given.items():
            if value is not None:
                setattr(getattr(model, "roi_heads", model), name, value)
        self.max_detections = cast(int, getattr(model, "roi_heads", model).detections_per_img)

    def scales(self, outputs: Outputs) -> tuple[float, float]:
        x, y = cast(Any, outputs).frame.scale
        return y, x


class DenseDetector(TorchvisionDetector[DenseOutputs]):
    """An SSD, RetinaNet or FCOS of torchvision."""

    model: SSD | RetinaNet | FCOS

    @property
    def shift(self) -> int:
        """Torchvision's class of our class 0."""
        return int(isinstance(self.model, SSD))

    @property
    def _padded(self) -> bool:
        return not isinstance(self.model, SSD)

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> DenseOutputs:
        model = self.model
        images, frame = inside(pixels, self.input_size, self._padded)
        maps = list(model.backbone(images.tensors).values())
        found = model.head(maps)
        anchors, levels = self._anchors(images, maps)
        return DenseOutputs({name: values.float() for name, values in found.items()}, anchors, levels, frame)

    def _anchors(self, images: ImageList, maps: list[Tensor]) -> tuple[Tensor, list[int]]:
        """Of one picture float32 [N, 4], in pixels inside, and how many each level has; of the maps only
        their shapes count."""
        model = self.model
        # anchors are of the features' type; in bfloat16 they would lie up to a pixel off
        flat = [images.tensors.new_empty(features.shape, dtype=torch.float32) for features in maps]
        anchors = model.anchor_generator(images, flat)[0]
        cells = [features.shape[-2] * features.shape[-1] for features in maps]
        if isinstance(model, SSD):
            of_cell = model.anchor_generator.num_anchors_per_location()
        else:
            of_cell = [len(anchors) // sum(cells)] * len(cells)
        return anchors, [number * count for number, count in zip(cells, of_cell, strict=True)]

    def loss(self, outputs: DenseOutputs, targets: list[Target]) -> dict[str, Part]:
        """torchvision's own. What lies in an ignored region and belongs to no object has no loss."""
        rows = as_targets(targets, outputs.frame, self.shift)
        matched = [self._match(outputs.anchors, outputs.levels, row["boxes"]) for row in rows]
        heads = outputs.heads
        if any(len(target.ignored) for target in targets):
            excused = torch.stack(
                [
                    in_ignored(outputs.anchors, scaled(target.ignored, outputs.frame)) & (owner < 0)
                    for target, owner in zip(targets, matched, strict=True)
                ]
            )
            silent = torch.full_like(heads["cls_logits"][0, 0], -EXCUSED)
            if self.shift:
                silent[0] = EXCUSED  # sure of the background
            logits = torch.where(excused[..., None], silent, heads["cls_logits"])
            heads = {**heads, "cls_logits": logits}
        anchors = [outputs.anchors] * len(rows)
        owner = self.model if isinstance(self.model, SSD) else self.model.head
        parts = owner.compute_loss(rows, heads, anchors, matched)
        names = {"classification": "classes", "bbox_regression": "boxes", "bbox_ctrness": "centredness"}
        positives = torch.stack([(indices >= 0).sum() for indices in matched]).sum().float()
        if isinstance(self.model, RetinaNet):  # each picture is divided by its own positives
            named = {names[name]: Part(value * len(rows), len(rows)) for name, value in parts.items()}
        else:  # all together, by 1 where there are none; taken back here, where other batches may have some
            divisor, least = positives.clamp(min=1), partial(ratio, least=1)
            named = {
                names[name]: Part(value * divisor, positives, value=least) for name, value in parts.items()
            }
        return {**named, "positives": Part(positives, len(rows), weight=0)}

    def _match(self, anchors: Tensor, levels: Sequence[int], boxes: Tensor) -> Tensor:
        """The object of each anchor: int64 [N], -1 for background, -2 for neither."""
        if not len(boxes):
            return torch.full_like(anchors[:, 0], -1, dtype=torch.int64)
        if isinstance(self.model, FCOS):
            return match_points(anchors, levels, boxes, self.model.center_sampling_radius)
        return self.model.proposal_matcher(box_iou(boxes, anchors))

    def detect(self, outputs: DenseOutputs) -> list[Detections]:
        model, heads = self.model, outputs.heads
        sizes = [outputs.frame.size] * len(heads["cls_logits"])
        if isinstance(model, SSD):
            rows = model.postprocess_detections(heads, [outputs.anchors] * len(sizes), sizes)
        else:  # the best of each level
            of_level = {name: list(value.split(outputs.levels, dim=1)) for name, value in heads.items()}
            anchors = list(outputs.anchors.split(outputs.levels))
            rows = model.postprocess_detections(of_level, [anchors] * len(sizes), sizes)
        return as_detections(rows, outputs.frame, self.shift)

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        """Objects that FCOS has no point for, or only such as learn a smaller one: bool [n]. The others give
        the best anchor to every object."""
        if not isinstance(self.model, FCOS):
            return super().unmatched(targets, size)
        anchors, levels, frame = self._looked_at(size, targets[0].boxes.device)
        lost = []
        for target in targets:
            owners = self._match(anchors, levels, scaled(target.boxes, frame))
            lost.append(torch.bincount(owners[owners >= 0], minlength=len(target.boxes)) == 0)
        return torch.cat(lost)

    def sides(self, size: tuple[int, int]) -> tuple[float, float]:
        """From half of the smallest anchor to twice the largest; of FCOS from half a cell of the finest
        level on."""
        anchors, _, frame = self._looked_at(size, torch.device("cpu"))
        roots = area(anchors).sqrt() / math.sqrt(frame.scale[0] * frame.scale[1])
        longest = math.inf if isinstance(self.model, FCOS) else 2 * float(roots.max())
        return float(roots.min()) / 2, longest

    def _looked_at(self, size: tuple[int, int], device: torch.device) -> tuple[Tensor, list[int], Frame]:
        """The anchors in a picture of this size, those of each level, and the frame. Nothing is computed of
        the picture: on the meta device tensors have only their shapes."""
        images, frame = inside(torch.zeros(1, 3, *size, device=device), self.input_size, self._padded)
        backbone = self.model.backbone
        shapes = {
            name: value.to("meta")
            for name, value in chain(backbone.named_parameters(), backbone.named_buffers())
        }
        training = backbone.training
        maps = functional_call(backbone.eval(), shapes, (images.tensors.to("meta"),))
        backbone.train(training)
        return *self._anchors(images, list(maps.values())), frame


def match_points(points: Tensor, levels: Sequence[int], boxes: Tensor, radius: float) -> Tensor:
    """The object that each point learns: int64 [N], -1 for none (Tian et al., "FCOS", ICCV 2019, section
    3.2; the sampling near the centre is of its later version, arXiv:1904.01355v5).

    A point must lie in the box and nearer than ``radius`` strides to its centre along x and y, and the
    farthest side of the box must suit the level: 4 to 8 strides away, from 0 on the finest and to any
    distance on the coarsest. Of several boxes the smallest wins.

    Args:
        points: as boxes [N, 4] of one stride around them.
        levels: points of each level, finest first.
        boxes: [M, 4], M at least 1.
    """
    centres, stride = (points[:, :2] + points[:, 2:]) / 2, points[:, 2] - points[:, 0]
    sides = torch.cat((centres[:, None] - boxes[:, :2], boxes[:, 2:] - centres[:, None]), dim=-1)  # [N, M, 4]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    near = (centres[:, None] - middle).abs().amax(dim=-1) < radius * stride[:, None]
    nearest, farthest = 4 * stride, 8 * stride
    nearest[: levels[0]] = 0
    farthest[len(points) - levels[-1] :] = torch.inf
    reach = sides.amax(dim=-1)
    suits = (reach > nearest[:, None]) & (reach < farthest[:, None])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    wanted = near & suits & (sides.amin(dim=-1) > 0)
    smallest, owner = torch.where(wanted, area, torch.inf).min(dim=1)
    return torch.where(smallest.isinf(), -1, owner)
