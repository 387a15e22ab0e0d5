"""torchvision's Faster R-CNN as `detector.Detector`, without its own resizing and normalising."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.models.detection.rpn import concat_box_prediction_layers

from vision_apps.applications.detection import matching
from vision_apps.applications.detection.torchvision_dense import (
    Frame,
    TorchvisionDetector,
    as_detections,
    as_targets,
    in_ignored,
    inside,
    scaled,
)
from vision_apps.applications.detection.types import Detections, Target
from vision_apps.core.losses import Part

SMOOTH = 1 / 9  # beta of torchvision's smooth L1


class TwoStageOutputs(NamedTuple):
    objectness: Tensor  # float32 [B * N, 1], logits of the anchors
    deltas: Tensor  # float32 [B * N, 4]
    anchors: list[Tensor]  # of each picture, float32 [N, 4]
    regions: list[Tensor]  # of each picture, float32 [p, 4]
    logits: Tensor  # float32 [sum of p, K + 1], background first
    offsets: Tensor  # float32 [sum of p, 4 (K + 1)]
    frame: Frame
    chosen: bool  # whether the regions were sampled by the objects


class TwoStageDetector(TorchvisionDetector[TwoStageOutputs]):
    """A Faster R-CNN of torchvision. In training the objects choose the regions that are learned from, so
    ``forward`` needs them."""

    model: FasterRCNN

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> TwoStageOutputs:
        rpn, heads = self.model.rpn, self.model.roi_heads
        images, frame = inside(pixels, self.input_size, padded=True)
        maps = self.model.backbone(images.tensors)
        objectness, deltas = rpn.head(list(maps.values()))
        flat = [torch.empty_like(features, dtype=torch.float32) for features in maps.values()]
        anchors = rpn.anchor_generator(images, flat)
        per_level = [scores[0].numel() for scores in objectness]
        objectness, deltas = concat_box_prediction_layers(objectness, deltas)
        objectness, deltas = objectness.float(), deltas.float()
        with torch.no_grad():
            boxes = rpn.box_coder.decode(deltas, anchors).view(len(pixels), -1, 4)
            regions, _ = rpn.filter_proposals(boxes, objectness, images.image_sizes, per_level)
            if targets is not None:
                rows = as_targets(targets, frame, shift=1)
                regions = heads.add_gt_proposals(regions, [row["boxes"] for row in rows])
                _, labels = self._labelled(regions, targets, frame)
                chosen = self._chosen(labels, random=self.training)
                regions = [boxes[rows] for boxes, rows in zip(regions, chosen, strict=True)]
            # the coarsest anchor of a picture: nothing else is left of it, and every picture has an answer
            regions = [own if len(own) else first[-1:] for own, first in zip(regions, anchors, strict=True)]
        features = heads.box_head(heads.box_roi_pool(maps, regions, images.image_sizes))
        logits, offsets = heads.box_predictor(features)
        return TwoStageOutputs(
            objectness, deltas, anchors, regions, logits.float(), offsets.float(), frame, targets is not None
        )

    def _labelled(
        self, regions: list[Tensor], targets: list[Target], frame: Frame
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each picture's regions their object, and their class: 0 background, 1..K, -1 neither."""
        rows = as_targets(targets, frame, shift=1)
        heads = self.model.roi_heads
        owners, labels = heads.assign_targets_to_proposals(
            regions, [row["boxes"] for row in rows], [row["labels"] for row in rows]
        )
        for boxes, classes, target in zip(regions, labels, targets, strict=True):
            if len(target.ignored):
                excused = in_ignored(boxes, scaled(target.ignored, frame))
                classes[excused & (classes == 0)] = -1
        return owners, labels

    def loss(self, outputs: TwoStageOutputs, targets: list[Target]) -> dict[str, Part]:
        """torchvision's four: ``objectness`` and ``proposals`` (boxes) of the first stage, ``classes`` and
        ``boxes`` of the second. ``positives`` are the regions of a picture that show an object.

        What they are taken of is drawn in training, and evenly spread in an evaluation.
        """
        rpn, heads = self.model.rpn, self.model.roi_heads
        rows = as_targets(targets, outputs.frame, shift=1)
        kinds, nearest = rpn.assign_targets_to_anchors(outputs.anchors, rows)
        for kind, boxes, target in zip(kinds, outputs.anchors, targets, strict=True):
            if len(target.ignored):
                kind[in_ignored(boxes, scaled(target.ignored, outputs.frame)) & (kind == 0)] = -1
        pairs = _sampled(kinds, rpn.fg_bg_sampler, random=outputs.chosen)
        starts = [len(outputs.anchors[0]) * number for number in range(len(kinds))]
        found, background = (
            torch.cat([start + rows for start, rows in zip(starts, part, strict=True)])
            for part in zip(*pairs, strict=True)
        )
        sampled = torch.cat((found, background))
        kind, scores = torch.cat(kinds), outputs.objectness.flatten()
        objectness = F.binary_cross_entropy_with_logits(scores[sampled], kind[sampled], reduction="sum")
        wanted = torch.cat(rpn.box_coder.encode(nearest, outputs.anchors))
        proposals = F.smooth_l1_loss(outputs.deltas[found], wanted[found], reduction="sum", beta=SMOOTH)

        owners, labels = self._labelled(outputs.regions, targets, outputs.frame)
        every = [(classes >= 0).nonzero()[:, 0] for classes in labels]
        chosen = every if outputs.chosen else self._chosen(labels, random=False)
        truths, picked, first = [], [], 0
        for row, owner, those in zip(rows, owners, chosen, strict=True):
            objects = row["boxes"] if len(row["boxes"]) else row["boxes"].new_zeros(1, 4)
            truths.append(objects[owner[those]])
            picked.append(first + those)
            first += len(owner)
        regions = [found[those] for found, those in zip(outputs.regions, chosen, strict=True)]
        labels = [kinds[those] for kinds, those in zip(labels, chosen, strict=True)]
        wanted = heads.box_coder.encode(truths, regions)
        rows_of = torch.cat(picked)
        if len(rows_of):
            classes, boxes = fastrcnn_loss(outputs.logits[rows_of], outputs.offsets[rows_of], labels, wanted)
        else:  # all lie in ignored regions
            classes, boxes = outputs.logits.sum() * 0, outputs.offsets.sum() * 0
        return {
            "objectness": Part(objectness, len(sampled)),
            "proposals": Part(proposals, len(sampled)),
            "classes": Part(classes * len(rows_of), len(rows_of)),
            "boxes": Part(boxes * len(rows_of), len(rows_of)),
            "positives": Part(torch.cat(labels).gt(0).sum().float(), len(rows), weight=0),
        }

    def _chosen(self, labels: list[Tensor], random: bool) -> list[Tensor]:
        """The regions of each picture that are learned from, in their order."""
        pairs = _sampled(labels, self.model.roi_heads.fg_bg_sampler, random)
        return [torch.cat(pair).sort().values for pair in pairs]

    def detect(self, outputs: TwoStageOutputs) -> list[Detections]:
        sizes = [outputs.frame.size] * len(outputs.regions)
        found = self.model.roi_heads.postprocess_detections(
            outputs.logits, outputs.offsets, outputs.regions, sizes
        )
        names = ("boxes", "scores", "labels")
        rows = [dict(zip(names, row, strict=True)) for row in zip(*found, strict=True)]
        return as_detections(rows, outputs.frame, shift=1)


def _sampled(
    labels: list[Tensor], like: BalancedPositiveNegativeSampler, random: bool
) -> list[tuple[Tensor, Tensor]]:
    """What torchvision's sampler takes of each picture: the numbers of objects and of background. Each
    picture's are drawn for it alone, so that they do not depend on the batch that it is in.

    Args:
        labels: of each picture, 0 background, more for an object, -1 neither.
    """
    draws = matching.generators(len(labels), random)
    return [
        matching.sample(classes - 1, like.batch_size_per_image, like.positive_fraction, draw)
        for classes, draw in zip(labels, draws, strict=True)
    ]
