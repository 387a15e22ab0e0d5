"""Where a region detector looks: windows of every picture, proposals of the data, or a network that
proposes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

from vision_apps.applications.detection import box_codec, matching
from vision_apps.applications.detection.anchors import anchors
from vision_apps.applications.detection.types import Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part
from vision_apps.data.boxes.proposals import Mode, dense_windows, selective_search

UNIT = (1.0, 1.0, 1.0, 1.0)
SMOOTH = 1 / 9  # where smooth L1 turns from square to straight, in the code of Faster R-CNN
SMALLEST = 1.0  # side of a proposal, pixels


class RpnOutputs(NamedTuple):
    objectness: Tensor  # logits, float32 [B, A]
    deltas: Tensor  # float32 [B, A, 4], as ``box_codec`` encodes with unit weights
    anchors: Tensor  # float32 [A, 4], finest level first


# boxes [p, 4] of each picture, or none where the same ``fixed`` ones serve all; and what the loss is taken of
Proposed = tuple[list[Tensor] | None, RpnOutputs | None]


class Proposer(nn.Module):
    """The common face; by itself it proposes nothing."""

    def connect(self, channels: int, strides: Sequence[int]) -> None:
        """Build what depends on the feature maps: all have ``channels``."""

    def forward(self, maps: list[Tensor], size: tuple[int, int], proposals: list[Tensor] | None) -> Proposed:
        raise NotImplementedError

    def fixed(self, size: tuple[int, int], device: torch.device | None = None) -> Tensor | None:
        """The boxes [a, 4] that are all it can start from, whatever the picture shows; None if unknown."""
        return None

    def proposals_of(self, images: Tensor) -> list[Tensor] | None:
        """The boxes [p, 4] of each of the uint8 pictures [B, 3, H, W] that should have come with boxes; none
        where no boxes have to come."""
        return None

    def loss(self, outputs: RpnOutputs, targets: list[Target]) -> dict[str, Part]:
        return {}


class Windows(Proposer):
    """Dense windows, the same on every picture: needs no other package, and no picture is without proposals.

    The defaults make 381 windows of a square picture, whatever its size. Of random boxes whose sides are 0.15
    to 0.8 of the picture's, up to twice as long as high or high as long, 99.9 % overlap a window by half and
    27 % by 0.7; smaller objects need more shares, or other proposals.

    Args:
        shares: square roots of the windows' areas as shares of the picture's shorter side.
        aspects: height / width.
        overlap: of neighbours, as a share of their side.
    """

    def __init__(
        self,
        shares: Sequence[float] = (0.17, 0.25, 0.37, 0.55, 0.8),
        aspects: Sequence[float] = (1.0,),
        overlap: float = 0.65,
    ) -> None:
        super().__init__()
        if not 0 <= overlap < 1:
            raise ConfigError(
                f"model.proposer.overlap: {overlap}, expected a share of at least 0 and below 1"
            )
        self.shares, self.aspects, self.overlap = tuple(shares), tuple(aspects), overlap

    def forward(self, maps: list[Tensor], size: tuple[int, int], proposals: list[Tensor] | None) -> Proposed:
        return None, None

    def fixed(self, size: tuple[int, int], device: torch.device | None = None) -> Tensor:
        sides = [share * min(size) for share in self.shares]
        return dense_windows(*size, sides, [1 / aspect for aspect in self.aspects], self.overlap).to(device)


class External(Proposer):
    """The proposals that the data carry, computed before training (``data.proposals``).

    Args:
        proposals: their method, a fact of the data; null where the data has none.
        limit: at most so many per picture, the first ones.
    """

    def __init__(self, proposals: Mode | None = None, limit: int = 2000) -> None:
        super().__init__()
        if proposals is None:
            raise ConfigError(
                "model.proposer: External takes its regions from the data, and these data have none; compute "
                "them with data.proposals=fast, or choose "
                "model.proposer._target_=vision_apps.applications.detection.proposers.Windows"
            )
        self.method, self.limit = proposals, limit

    def forward(self, maps: list[Tensor], size: tuple[int, int], proposals: list[Tensor] | None) -> Proposed:
        if proposals is None:
            raise ConfigError(
                "model.proposer: External was given a batch without proposals; compute them with "
                "data.proposals=fast"
            )
        solid = [boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)] for boxes in proposals]
        return [boxes[: self.limit].float() for boxes in solid], None

    def proposals_of(self, images: Tensor) -> list[Tensor]:
        return [selective_search(image.cpu(), self.method, self.limit).to(images.device) for image in images]


class Rpn(Proposer):
    """Region proposal network: Ren et al., "Faster R-CNN", NIPS 2015, section 3.1.

    The same small head slides over every level; anchors beyond the border are kept, because in small
    pictures there are few others. Its proposals are constants to the detector (approximate joint training).

    Args:
        scales: square roots of the anchors' areas, in strides of the level.
        aspects: height / width.
        low, high: IoU below which an anchor is background and from which it is an object.
        count, positive_share: anchors per picture in the loss.
        before, after, training_after: most proposals of a level before suppression and of a picture after it.
        iou_threshold: of the suppression.
        box_weight: of the smooth L1 part of its loss.
    """

    def __init__(
        self,
        scales: Sequence[float] = (1.5, 2.5, 4.0, 7.0),
        aspects: Sequence[float] = (0.5, 1.0, 2.0),
        low: float = 0.3,
        high: float = 0.7,
        count: int = 256,
        positive_share: float = 0.5,
        before: int = 500,
        after: int = 100,
        training_after: int = 300,
        iou_threshold: float = 0.7,
        box_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < low <= high <= 1:
            raise ConfigError(f"model.proposer: low={low} and high={high}, expected 0 < low <= high <= 1")
        self.scales, self.aspects = tuple(scales), tuple(aspects)
        self.low, self.high = low, high
        self.count, self.positive_share = count, positive_share
        self.before, self.after, self.training_after = before, after, training_after
        self.iou_threshold = iou_threshold
        self.box_weight = box_weight
        self.strides: list[int] = []

    def connect(self, channels: int, strides: Sequence[int]) -> None:
        self.strides = list(strides)
        each = len(self.scales) * len(self.aspects)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, each, 1)
        self.deltas = nn.Conv2d(channels, 4 * each, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int], proposals: list[Tensor] | None) -> Proposed:
        scores, deltas, boxes = [], [], []
        for features, stride in zip(maps, self.strides, strict=True):
            hidden = F.relu(self.conv(features))
            scores.append(_rows(self.objectness(hidden), 1).squeeze(-1))
            deltas.append(_rows(self.deltas(hidden), 4))
            shape = (features.shape[-2], features.shape[-1])
            boxes.append(anchors(shape, stride, self.scales, self.aspects, features.device))
        outputs = RpnOutputs(torch.cat(scores, dim=1), torch.cat(deltas, dim=1), torch.cat(boxes))
        return self._propose(outputs, [len(level) for level in boxes], size), outputs

    @torch.no_grad()
    def _propose(self, outputs: RpnOutputs, lengths: list[int], size: tuple[int, int]) -> list[Tensor]:
        decoded = clip_boxes_to_image(box_codec.decode(outputs.deltas, outputs.anchors, UNIT), size)
        scores, boxes, levels = [], [], []
        parts = zip(outputs.objectness.split(lengths, 1), decoded.split(lengths, 1), strict=True)
        for number, (level_scores, level_boxes) in enumerate(parts):
            best, index = level_scores.topk(min(self.before, level_scores.shape[1]), dim=1)
            scores.append(best)
            boxes.append(level_boxes.gather(1, index[..., None].expand(-1, -1, 4)))
            levels.append(torch.full_like(index, number))
        kept = []
        limit = self.training_after if self.training else self.after
        for picture in zip(torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(levels, 1), strict=True):
            score, box, level = picture
            large = (box[:, 2:] - box[:, :2] >= SMALLEST).all(dim=1)
            score, box, level = score[large], box[large], level[large]
            kept.append(box[batched_nms(box, score, level, self.iou_threshold)[:limit]])
        return kept

    def match(self, boxes: Tensor, target: Target) -> Tensor:
        """Which object each anchor [a, 4] learns, see `matching.assign`: every object has its best one."""
        return matching.assign(boxes, target.boxes, target.ignored, self.low, self.high, best_of_each=True)

    def loss(self, outputs: RpnOutputs, targets: list[Target]) -> dict[str, Part]:
        """``rpn_objectness``, ``rpn_boxes``: means over the sampled anchors, and ``rpn_positives``, how many
        of a picture show an object."""
        pictures, chosen, positive, wanted = [], [], [], []
        draws = matching.generators(len(targets), self.training)
        for number, (target, draw) in enumerate(zip(targets, draws, strict=True)):
            matched = self.match(outputs.anchors, target)
            objects, background = matching.sample(matched, self.count, self.positive_share, draw)
            index = torch.cat([objects, background])
            chosen.append(index)
            pictures.append(torch.full_like(index, number))
            positive.append(matched[index] >= 0)
            wanted.append(box_codec.encode(target.boxes[matched[objects]], outputs.anchors[objects], UNIT))
        picture, anchor, is_object = torch.cat(pictures), torch.cat(chosen), torch.cat(positive)
        scores = outputs.objectness[picture, anchor]
        deltas = outputs.deltas[picture[is_object], anchor[is_object]]
        objectness = F.binary_cross_entropy_with_logits(scores, is_object.float(), reduction="sum")
        boxes = F.smooth_l1_loss(deltas, torch.cat(wanted), reduction="sum", beta=SMOOTH)
        return {
            "rpn_objectness": Part(objectness, len(anchor)),
            "rpn_boxes": Part(boxes, len(anchor), self.box_weight),
            "rpn_positives": Part(is_object.sum().float(), len(targets), weight=0),
        }

    def fixed(self, size: tuple[int, int], device: torch.device | None = None) -> Tensor:
        shapes = [(math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for stride in self.strides]
        levels = zip(shapes, self.strides, strict=True)
        return torch.cat([anchors(*level, self.scales, self.aspects, device) for level in levels])


def _rows(maps: Tensor, each: int) -> Tensor:
    """[B, A * each, h, w] -> float32 [B, h * w * A, each], in the order of ``anchors``."""
    batch, channels, height, width = maps.shape
    split = maps.float().reshape(batch, channels // each, each, height, width)
    return split.permute(0, 3, 4, 1, 2).reshape(batch, -1, each)
