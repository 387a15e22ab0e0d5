"""R-CNN, Fast R-CNN and Faster R-CNN: one detector with two slots.

====================  ==========================  ==================================================
                      ``proposer``                ``regions``
====================  ==========================  ==================================================
R-CNN (2014)          ``External``, ``Windows``   ``Crops``: a network for each warped piece
Fast R-CNN (2015)     ``External``, ``Windows``   ``Pooled``: one pass, then a piece of its features
Faster R-CNN (2015)   ``Rpn``                     ``Pooled``
====================  ==========================  ==================================================
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import FeaturePyramidNetwork, box_iou, clip_boxes_to_image

from vision_apps.applications.detection import box_codec, matching
from vision_apps.applications.detection.detector import Detector
from vision_apps.applications.detection.proposers import Proposer, Rpn, RpnOutputs
from vision_apps.applications.detection.region_features import Crops, Pooled, as_rows
from vision_apps.applications.detection.region_head import Head, HeadOutputs
from vision_apps.applications.detection.suppression import suppress
from vision_apps.applications.detection.types import Detections, Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part
from vision_apps.networks.backbones import Backbone

WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the offsets: brings them to about unit variance
CHUNK = 1024  # pieces of pictures that go through the network together outside training


class RegionOutputs(NamedTuple):
    regions: list[Tensor]  # of each picture, float32 [p, 4]
    head: HeadOutputs  # of all regions, one picture after the other
    size: tuple[int, int]  # height and width of the pictures
    rpn: RpnOutputs | None


class RegionDetector(Detector[RegionOutputs]):
    """Proposes regions, classifies each, and moves its box.

    Args:
        num_classes: without background.
        backbone: see ``networks.backbones``; of several levels a feature pyramid is made (Lin et al. 2017).
        proposer: ``proposers.Windows``, ``External`` or ``Rpn``.
        regions: ``region_features.Crops`` or ``Pooled``.
        head: ``region_head.Head``.
        pyramid: channels of the feature pyramid.
        regions_per_image, positive_share: how many are trained on, and the largest share that are objects.
        positive_iou: overlap with an object from which a region shows it.
        background_iou: regions that overlap every object less are not trained on. 0.1 in Fast R-CNN's paper,
            where such easy ones are many; 0 leaves no background unseen.
        box_weight: of the smooth L1 part of the loss.
        score_threshold, iou_threshold, max_detections: of the suppression within each class.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: Backbone,
        proposer: Proposer,
        regions: Crops | Pooled,
        head: Head,
        pyramid: int = 64,
        regions_per_image: int = 64,
        positive_share: float = 0.25,
        positive_iou: float = 0.5,
        background_iou: float = 0.0,
        box_weight: float = 1.0,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.3,
        max_detections: int = 100,
    ) -> None:
        super().__init__()
        if not 0 <= background_iou < positive_iou:
            raise ConfigError(
                f"model.background_iou: {background_iou}, expected at least 0 and less than "
                f"model.positive_iou, {positive_iou}"
            )
        self.num_classes = num_classes
        self.channels, self.strides = list(backbone.channels), list(backbone.strides)
        if isinstance(proposer, Rpn) and isinstance(regions, Crops):
            raise ConfigError(
                "model.regions: Crops has no feature maps that model.proposer Rpn could look at; choose "
                "model.regions._target_=vision_apps.applications.detection.region_features.Pooled"
            )
        self.backbone, self.proposer, self.regions, self.head = backbone, proposer, regions, head
        self.pyramid: FeaturePyramidNetwork | None = None
        if isinstance(regions, Pooled):
            if len(self.channels) > 1:
                self.pyramid = FeaturePyramidNetwork(self.channels, pyramid)
            width, side = (pyramid if self.pyramid else self.channels[0]), regions.size
        else:
            width, side = self.channels[-1], -(-regions.size // self.strides[-1])
        self.side = side
        proposer.connect(width, self.strides)
        head.connect(width * side * side, num_classes)
        self.regions_per_image, self.positive_share = regions_per_image, positive_share
        self.positive_iou, self.background_iou = positive_iou, background_iou
        self.box_weight = box_weight
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.max_detections = max_detections

    def proposals_of(self, images: Tensor) -> list[Tensor] | None:
        return self.proposer.proposals_of(images)

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> RegionOutputs:
        maps = self.maps(pixels)
        boxes, rpn = self.propose(pixels, maps, proposals)
        if targets is not None:
            draws = matching.generators(len(boxes), self.training)
            boxes = [self._choose(*picture) for picture in zip(boxes, targets, draws, strict=True)]
        return RegionOutputs(boxes, self.look(pixels, maps, boxes), (pixels.shape[-2], pixels.shape[-1]), rpn)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Features of whole pictures, finest first; none where each region is looked at alone."""
        if isinstance(self.regions, Crops):
            return []
        maps = self.backbone(pixels)
        if self.pyramid is None:
            return maps
        return list(self.pyramid({str(level): features for level, features in enumerate(maps)}).values())

    def propose(
        self, pixels: Tensor, maps: list[Tensor], proposals: list[Tensor] | None
    ) -> tuple[list[Tensor], RpnOutputs | None]:
        """At least one region per picture, the whole if there is no other: every picture has an answer."""
        size = (pixels.shape[-2], pixels.shape[-1])
        boxes, rpn = self.proposer(maps, size, proposals)
        if boxes is None:
            boxes = [self.proposer.fixed(size, pixels.device)] * len(pixels)
        whole = torch.tensor([[0.0, 0.0, size[1], size[0]]], device=pixels.device)
        return [b if len(b) else whole for b in boxes], rpn

    def look(self, pixels: Tensor, maps: list[Tensor], boxes: list[Tensor]) -> HeadOutputs:
        """What the head says of the boxes [p, 4] of each picture, one picture after the other."""
        rows = as_rows(boxes)
        if isinstance(self.regions, Pooled):
            return self.head(self.regions(maps, self.strides, rows))
        chunks = [rows] if self.training else rows.split(CHUNK)
        found = []
        for chunk in chunks:
            features = self.backbone(self.regions(pixels, chunk))[-1]
            if features.shape[-1] != self.side:  # some networks of timm round their sizes differently
                features = F.adaptive_avg_pool2d(features, self.side)
            found.append(self.head(features))
        parts = zip(*found, strict=True)
        return HeadOutputs._make(None if part[0] is None else torch.cat(part) for part in parts)

    @torch.no_grad()
    def _choose(self, boxes: Tensor, target: Target, draw: torch.Generator | None) -> Tensor:
        """The regions of one picture that are trained on, its objects among them."""
        boxes = torch.cat([target.boxes, boxes])
        chosen = torch.cat(self._sample(self._match(boxes, target), draw))
        return boxes[chosen] if len(chosen) else boxes[:1]  # the loss leaves that one out

    def _match(self, boxes: Tensor, target: Target) -> Tensor:
        matched = matching.assign(boxes, target.boxes, target.ignored, self.positive_iou, self.positive_iou)
        if self.background_iou and len(boxes):
            best = F.pad(box_iou(boxes, target.boxes), (0, 1)).amax(dim=1)  # 0 without an object
            matched[(best < self.background_iou) & (matched == matching.BACKGROUND)] = matching.BETWEEN
        return matched

    def _sample(self, matched: Tensor, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
        return matching.sample(matched, self.regions_per_image, self.positive_share, draw)

    def loss(self, outputs: RegionOutputs, targets: list[Target]) -> dict[str, Part]:
        """``classes``: mean cross-entropy over the sampled regions; ``boxes``: their summed smooth L1 over
        the same number (Girshick 2015, section 2.3); the proposer's parts; ``positives``: how many regions
        of a picture show an object.

        Regions are matched anew. What `forward` sampled for training is its own sample; outside training
        it is drawn from all regions, evenly.
        """
        logits, deltas = outputs.head.logits, outputs.head.deltas
        first, chosen, labels, objects, truths = 0, [], [], [], []
        for boxes, target in zip(outputs.regions, targets, strict=True):
            matched = self._match(boxes, target)
            positive, negative = self._sample(matched, None)
            owner = matched[positive]
            chosen += [first + positive, first + negative]
            labels += [target.labels[owner], torch.full_like(negative, self.num_classes)]
            objects.append(first + positive)
            truths.append(box_codec.encode(target.boxes[owner], boxes[positive], WEIGHTS))
            first += len(boxes)
        rows, wanted, positives = torch.cat(chosen), torch.cat(labels), torch.cat(objects)
        parts = {"classes": Part(F.cross_entropy(logits[rows], wanted, reduction="sum"), len(rows))}
        if deltas is not None:
            own = deltas[positives, wanted[wanted < self.num_classes]]
            total = F.smooth_l1_loss(own, torch.cat(truths), reduction="sum")
            parts["boxes"] = Part(total, len(rows), self.box_weight)
        if outputs.rpn is not None:
            parts |= self.proposer.loss(outputs.rpn, targets)
        return {**parts, "positives": Part(logits.new_tensor(len(positives)), len(targets), weight=0)}

    def detect(self, outputs: RegionOutputs) -> list[Detections]:
        scores, deltas = self.head.decide(outputs.head)
        boxes = torch.cat(outputs.regions)
        if deltas is not None:
            boxes = box_codec.decode(deltas, boxes[:, None], WEIGHTS)
        boxes = clip_boxes_to_image(boxes, outputs.size)
        lengths = [len(regions) for regions in outputs.regions]
        limits = (self.score_threshold, self.iou_threshold, self.max_detections)
        pictures = zip(boxes.split(lengths), scores.split(lengths), strict=True)
        return [suppress(picture, marks, *limits) for picture, marks in pictures]

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        """Which of the objects no anchor learns, and no window shows as a positive does; none where the
        proposals come with the data. bool [n]."""
        fixed = self.proposer.fixed(size, targets[0].boxes.device)
        if fixed is None:
            return super().unmatched(targets, size)
        if isinstance(self.proposer, Rpn):
            rpn = self.proposer
            return torch.cat([_without(rpn.match(fixed, target), len(target.boxes)) for target in targets])
        boxes = torch.cat([target.boxes for target in targets])
        return box_iou(boxes, fixed).amax(dim=1) < self.positive_iou

    def sides(self, size: tuple[int, int]) -> tuple[float, float]:
        """Of anchors from half the smallest to twice the largest; windows are held against each object."""
        if not isinstance(self.proposer, Rpn):
            return super().sides(size)
        scales = self.proposer.scales
        return min(scales) * min(self.strides) / 2, max(scales) * max(self.strides) * 2

    def measured(self, roots: Tensor, size: tuple[int, int]) -> str | None:
        """Anchors from those of the data, where there is one level."""
        if not isinstance(self.proposer, Rpn) or len(self.strides) > 1:
            return None
        shares = torch.linspace(0.1, 0.9, len(self.proposer.scales))
        scales = roots.float().quantile(shares.to(roots.device)) / self.strides[0]
        return f"model.proposer.scales=[{','.join(f'{scale:.1f}' for scale in scales.tolist())}] fits them"


def _without(matched: Tensor, objects: int) -> Tensor:
    """Which of so many objects nothing was matched to: bool [objects]."""
    return torch.bincount(matched[matched >= 0], minlength=objects) == 0
