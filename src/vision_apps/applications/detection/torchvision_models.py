"""Detectors of torchvision by name, with or without their published weights, and its SSD on any backbone."""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD as TorchvisionSsd  # noqa: N811 - its name there

from vision_apps.applications.detection.detector import Outputs
from vision_apps.applications.detection.torchvision_dense import (
    DenseDetector,
    DenseOutputs,
    TorchvisionDetector,
)
from vision_apps.applications.detection.torchvision_regions import TwoStageDetector, TwoStageOutputs
from vision_apps.core.config.suggest import nearest
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import ConfigError
from vision_apps.core.published import RANDOM
from vision_apps.networks.backbones import Backbone, Features
from vision_apps.networks.published import chosen, download, told

log = logging.getLogger(__name__)

DENSE = (
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
)
TWO_STAGE = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
)
# What a published value of another number of classes is shaped by: the last layers.
_LAST = re.compile(
    r"^roi_heads\.box_predictor\.|^head\.classification_head\.(cls_logits|module_list\.\d+(\.1)?)\.(weight|bias)$"
)


class Ssd(DenseDetector):
    """SSD (Liu et al., ECCV 2016) of torchvision on any backbone: default boxes on each of its levels,
    matched where IoU is at least 0.5 and once to every object, and three background boxes learned from for
    each matched one, those with the largest loss.

    Args:
        backbone: with at least 2 levels.
        smallest, largest: side of the default boxes on the finest and the coarsest level, relative to the
            picture; evenly spaced in between (section 2.2; there 0.2 and 0.9).
        aspects: further aspect ratios of the boxes, each both ways.
        matched_iou: from which a default box shows an object.
        negatives: background boxes for each matched one.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int | Sequence[int],
        backbone: Backbone,
        smallest: float = 0.15,
        largest: float = 0.9,
        aspects: Sequence[float] = (2, 3),
        matched_iou: float = 0.5,
        negatives: float = 3.0,
        score_threshold: float = 0.01,
        nms_iou: float = 0.45,
        max_detections: int = 100,
    ) -> None:
        levels = len(backbone.channels)
        if levels < 2:
            raise ConfigError(
                f"model.backbone: SSD looks at 2 or more feature maps, this backbone has {levels}; try "
                "model.backbone.levels=3"
            )
        if not 0 < smallest < largest:
            raise ConfigError(
                f"model.smallest: {smallest}; expected more than 0 and less than model.largest ({largest})"
            )
        boxes = DefaultBoxGenerator(
            cast(list[list[int]], [list(aspects)] * levels), smallest, largest, steps=list(backbone.strides)
        )
        model = TorchvisionSsd(
            _Named(backbone),
            boxes,
            height_width(image_size),
            num_classes + 1,
            iou_thresh=matched_iou,
            positive_fraction=1 / (1 + negatives),
        )
        super().__init__(model, num_classes, None, score_threshold, nms_iou, max_detections)
        _keep_normalisation(self, backbone)

    @property
    def backbone(self) -> nn.Module:
        return cast(_Named, self.model.backbone).backbone

    def measured(self, roots: Tensor, size: tuple[int, int]) -> str:
        """Default boxes from those of the data."""
        shares = roots.float().cpu().quantile(torch.tensor([0.1, 0.9])) / math.sqrt(size[0] * size[1])
        smallest = max(0.01, float(shares[0]))
        return (
            f"model.smallest={smallest:.2f} model.largest={max(2 * smallest, float(shares[1])):.2f} fits them"
        )


class _Published(TorchvisionDetector[Outputs]):
    """A detector of torchvision by name.

    Batches of detection are too small for statistics of their own: where published ones are there
    (``frozen``, kept in checkpoints), they stay as they are.
    """

    names: ClassVar[Sequence[str]]
    frozen: Tensor

    def __init__(
        self,
        name: str,
        num_classes: int,
        class_names: Sequence[str] = (),
        weights: str | None = None,
        weights_backbone: str | None = None,
        input_size: int | Sequence[int] | None = None,
        score_threshold: float | None = None,
        nms_iou: float | None = None,
        max_detections: int | None = None,
    ) -> None:
        if name not in self.names:
            raise ConfigError(
                f"model.name: {name} is none of {', '.join(self.names)}{nearest(name, self.names)}"
            )
        shift = int(name.startswith(("ssd", "fasterrcnn")))
        model, published, self.starts_from = _build(
            name, num_classes, shift, class_names, weights, weights_backbone
        )
        super().__init__(model, num_classes, input_size, score_threshold, nms_iou, max_detections)
        self.register_buffer("frozen", torch.tensor(published is not None))
        _keep_normalisation(self, published)

    @property
    def backbone(self) -> nn.Module:
        """What a classifier of the same name is, without its head."""
        features = self.model.get_submodule("backbone")
        return Features(getattr(features, "body", features))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if bool(self.frozen):
            for part in self.model.get_submodule("backbone").modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        return self


class TorchvisionDense(_Published[DenseOutputs], DenseDetector):
    """SSD300, SSDlite, RetinaNet or FCOS of torchvision. `ConfigError` where there is no such model or
    weights; `RunError` where the weights cannot be downloaded.

    Args:
        name: one of `DENSE`.
        class_names: with ``weights``, a class that has the name of a published one starts from it.
        weights: null, DEFAULT or a named set of weights for COCO.
        weights_backbone: null, DEFAULT or a named set of weights of the backbone for ImageNet.
        input_size: side in pixels, or height and width, that pictures are brought to inside; null: as they
            come. The two SSDs were made for 300 and 320 pixels.
        score_threshold, nms_iou, max_detections: of the detections; null: as torchvision has it.
    """

    names = DENSE


class TorchvisionFasterRcnn(_Published[TwoStageOutputs], TwoStageDetector):
    """Faster R-CNN of torchvision. `ConfigError` where there is no such model or weights; `RunError` where
    the weights cannot be downloaded.

    Args:
        name: one of `TWO_STAGE`.
        class_names: with ``weights``, a class that has the name of a published one starts from it.
        weights: null, DEFAULT or a named set of weights for COCO.
        weights_backbone: null, DEFAULT or a named set of weights of the backbone for ImageNet.
        input_size: side in pixels, or height and width, that pictures are brought to inside; null: as they
            come.
        score_threshold, nms_iou, max_detections: of the detections; null: as torchvision has it.
    """

    names = TWO_STAGE


class _Named(nn.Module):
    """A backbone whose maps have names, as torchvision takes them."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.out_channels = list(backbone.channels)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {str(level): maps for level, maps in enumerate(self.backbone(pixels))}


def _build(
    name: str,
    num_classes: int,
    shift: int,
    class_names: Sequence[str],
    weights: str | None,
    weights_backbone: str | None,
) -> tuple[nn.Module, nn.Module | None, str]:
    """The model, the published one that it starts from, and that in words.

    It is the same model with and without weights, so that a checkpoint fits where nothing is downloaded: all
    its batch norms are ordinary ones, into which torchvision's frozen ones are written.
    """
    outputs = num_classes + shift
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=outputs)
    if weights is None and weights_backbone is None:
        return model, None, RANDOM
    entry = of_backbone = None
    if weights is not None:
        entry = chosen("model.weights", weights, models.get_model_weights(name), name)
        download(entry, "model.weights", name)  # to be read below from where it lies
        starts_from = told(entry, name)
    else:
        assert weights_backbone is not None
        part = next(part for part in ("vgg16", "mobilenet_v3_large", "resnet50") if part in name)
        of_backbone = chosen("model.weights_backbone", weights_backbone, models.get_model_weights(part), part)
        download(of_backbone, "model.weights_backbone", part)
        starts_from = told(of_backbone, part)
    names = entry.meta["categories"] if entry else []
    published = models.get_model(
        name, weights=entry, weights_backbone=of_backbone, num_classes=len(names) or outputs, progress=False
    )
    pairs = _pairs(class_names, names, shift)
    _take_over(model, published, pairs, outputs, len(names))
    if entry:
        log.info("%d of %d classes start from published ones", len(pairs) - shift, num_classes)
    return model, published, starts_from


def _take_over(
    model: nn.Module, published: nn.Module, pairs: Mapping[int, int], outputs: int, classes: int
) -> None:
    """Write what is published into the model: of its last layers, which give ``classes`` and shall give
    ``outputs``, the rows of ``pairs``; without ``classes`` the published detector has not learned any."""
    state = published.state_dict()
    for name, part in published.named_modules():  # frozen norms have an epsilon of their own, some of 0
        if type(part).__name__ == "FrozenBatchNorm2d":
            state[f"{name}.running_var"] = state[f"{name}.running_var"] + part.eps - nn.BatchNorm2d(1).eps
    for key, value in model.state_dict().items():
        found = state.get(key)
        if found is None:
            continue
        if classes and _LAST.search(key):
            by_class = "bbox_pred" in key  # else anchor by anchor
            rows, their_rows = (
                values.unflatten(0, (count, -1) if by_class else (-1, count)).movedim(0 if by_class else 1, 0)
                for values, count in ((value, outputs), (found, classes))
            )
            for own, other in pairs.items():  # views: what is written is written into ``value``
                rows[own] = their_rows[other]
        elif found.shape == value.shape:
            value.copy_(found)


def _pairs(class_names: Sequence[str], names: Sequence[str], shift: int) -> dict[int, int]:
    """Rows of ours to rows of theirs."""
    theirs = {name.casefold(): row for row, name in reversed(list(enumerate(names)))}
    pairs = {
        row + shift: theirs[name.casefold()]
        for row, name in enumerate(class_names)
        if name.casefold() in theirs
    }
    return pairs | {0: 0} if shift else pairs  # the background


def _keep_normalisation(detector: TorchvisionDetector[Outputs], published: nn.Module | None) -> None:
    """What the weights were trained with, as ``mean`` and ``std`` in [0, 1] units."""
    transform = getattr(published, "transform", None)
    if transform is not None:
        detector.mean, detector.std = list(transform.image_mean), list(transform.image_std)
    elif isinstance(published, Backbone) and hasattr(published, "mean"):
        detector.mean, detector.std = list(published.mean), list(published.std)
