"""YOLO as it was first written: one grid, boxes and classes by regression. Redmon et al., "You only look
once: unified, real-time object detection", arXiv:1506.02640, 2016."""

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, clip_boxes_to_image

from vision_apps.applications.detection.anchors import centres
from vision_apps.applications.detection.detector import ExportableDetector
from vision_apps.applications.detection.objects import Objects, excused, pad
from vision_apps.applications.detection.types import Candidates, Target
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import ConfigError
from vision_apps.core.losses import Part
from vision_apps.networks.backbones import Backbone
from vision_apps.networks.boxes import iou

Confidence = Literal["iou", "one"]


class GridOutputs(NamedTuple):
    """What the C = rows x columns cells predict, row by row."""

    boxes: Tensor  # float32 [B, C, N, 4]: centre, 1 = the cell; roots of width and height, 1 = the picture
    confidences: Tensor  # float32 [B, C, N]
    classes: Tensor  # float32 [B, C, K]
    shape: tuple[int, int]  # rows and columns
    size: tuple[int, int]  # height and width of the pictures, pixels


class YoloV1(ExportableDetector[GridOutputs]):
    """The coarsest map of the backbone is the grid: 448 pixels at stride 64 are the paper's 7 x 7.

    Args:
        image_size: side, or height and width, of the pictures; only ``head=fc`` is bound to it.
        head: conv: convolutions over the grid. fc: two fully connected layers over the whole map as in the
            paper, which want a pretrained backbone.
        width: channels of the convolutions that stand before either head.
        hidden: units between the two fully connected layers; the paper has 4096.
        boxes: that each cell predicts.
        coordinate_weight, no_object_weight: the paper's lambdas.
        confidence: what a responsible box should be confident of: its IoU as in the paper, or 1.
        dropout: between the fully connected layers.
        nms_iou: what overlaps a better detection of its class by more is removed.
        score_threshold: less certain detections are left out.

    Raises:
        ConfigError: pictures of another size than ``image_size`` with ``head=fc``.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int | list[int],
        backbone: Backbone,
        head: Literal["conv", "fc"] = "conv",
        width: int = 64,
        hidden: int = 4096,
        boxes: int = 2,
        coordinate_weight: float = 5.0,
        no_object_weight: float = 0.5,
        confidence: Confidence = "iou",
        dropout: float = 0.5,
        nms_iou: float = 0.5,
        score_threshold: float = 0.01,
        max_detections: int = 100,
    ) -> None:
        super().__init__(score_threshold, nms_iou, max_detections)
        if boxes < 1:
            raise ConfigError(
                f"model.boxes: expected at least 1 box per cell, got {boxes}; say model.boxes=2"
            )
        self.num_classes = num_classes
        self.backbone = backbone
        self.stride: int = backbone.strides[-1]
        self.boxes = boxes
        self.weighing = coordinate_weight, no_object_weight, confidence
        height, side = height_width(image_size)
        self.fixed_size = (height, side) if head == "fc" else None
        outputs = boxes * 5 + num_classes
        leaky = partial(nn.LeakyReLU, negative_slope=0.1)
        self.convolutions = nn.Sequential(
            Conv2dNormActivation(backbone.channels[-1], width, activation_layer=leaky),
            Conv2dNormActivation(width, width, activation_layer=leaky),
        )
        self.head: nn.Module
        if head == "conv":
            last: nn.Conv2d | nn.Linear = nn.Conv2d(width, outputs, 1)
            self.head = last
        else:
            rows, columns = -(-height // self.stride), -(-side // self.stride)
            last = nn.Linear(hidden, rows * columns * outputs)
            self.head = nn.Sequential(
                nn.Flatten(),
                nn.Linear(rows * columns * width, hidden),
                nn.LeakyReLU(0.1, inplace=True),
                nn.Dropout(dropout),
                last,
                nn.Unflatten(1, (outputs, rows, columns)),
            )
        self._start(last)

    @torch.no_grad()
    def _start(self, last: nn.Conv2d | nn.Linear) -> None:
        """Small weights, and boxes in the middle of their cells, each of another size: as good as equal boxes
        would all be outdone by the first."""
        nn.init.normal_(last.weight, std=0.01)
        bias = torch.zeros(self.boxes * 5 + self.num_classes)
        of_boxes = bias[: self.boxes * 5].reshape(self.boxes, 5)
        of_boxes[:, :2] = 0.5
        of_boxes[:, 2:4] = (torch.arange(1, self.boxes + 1) / (self.boxes + 1)).unsqueeze(1)
        bias[self.boxes * 5 :] = 1 / self.num_classes
        assert last.bias is not None
        last.bias.copy_(bias.repeat_interleave(last.bias.numel() // bias.numel()))

    def forward(
        self, pixels: Tensor, targets: list[Target] | None = None, proposals: list[Tensor] | None = None
    ) -> GridOutputs:
        size = (pixels.shape[-2], pixels.shape[-1])
        if self.fixed_size not in (None, size):
            raise ConfigError(
                f"model.head: fc was built for pictures of {self.fixed_size} pixels (height, width) and got "
                f"{size}; say data.image_size for this size, or model.head=conv, which takes any"
            )
        features = self.convolutions(self.backbone(pixels)[-1])
        cells = self.head(features).float().permute(0, 2, 3, 1)
        batch, rows, columns, _ = cells.shape
        of_boxes = cells[..., : self.boxes * 5].reshape(batch, rows * columns, self.boxes, 5)
        return GridOutputs(
            of_boxes[..., :4],
            of_boxes[..., 4],
            cells[..., self.boxes * 5 :].flatten(1, 2),
            (rows, columns),
            size,
        )

    def loss(self, outputs: GridOutputs, targets: list[Target]) -> dict[str, Part]:
        return sum_squared_loss(outputs, pad(targets), self.stride, *self.weighing)

    def candidates(self, outputs: GridOutputs) -> Candidates:
        boxes = clip_boxes_to_image(decode(outputs, self.stride), outputs.size).flatten(1, 2)
        # equation 1: class probability times confidence; regression keeps neither within 0 and 1
        scores = outputs.confidences.clamp(0, 1).unsqueeze(-1) * outputs.classes.clamp(0, 1).unsqueeze(2)
        return Candidates(boxes, scores.flatten(1, 2))

    def unmatched(self, targets: list[Target], size: tuple[int, int]) -> Tensor:
        """Objects whose cell belongs to a larger one: a cell learns one object. bool [n]."""
        rows, columns = (-(-side // self.stride) for side in size)
        objects = pad(targets)
        occupied, owners = cells_of(objects.boxes, objects.present, (rows, columns), self.stride)
        picture, _ = occupied.nonzero(as_tuple=True)
        matched = torch.zeros_like(objects.present)
        matched[picture, owners[occupied]] = True
        return torch.cat([~row[: len(target.boxes)] for row, target in zip(matched, targets, strict=True)])


def decode(outputs: GridOutputs, stride: int) -> Tensor:
    """Boxes in pixels, [B, C, N, 4]. A negative square root counts as 0."""
    corners = centres(outputs.shape, stride, outputs.boxes.device) - stride / 2
    height, width = outputs.size
    middle = corners.unsqueeze(1) + outputs.boxes[..., :2] * stride
    sides = outputs.boxes[..., 2:].clamp(min=0).square() * middle.new_tensor([width, height])
    return torch.cat([middle - sides / 2, middle + sides / 2], dim=-1)


def cells_of(boxes: Tensor, present: Tensor, shape: tuple[int, int], stride: int) -> tuple[Tensor, Tensor]:
    """Which cells hold an object's centre, and whose: bool [B, C] and int64 [B, C], 0..M-1.

    A cell with several centres belongs to the largest object, of equal ones to the first.

    Args:
        boxes: [B, M, 4], pixels.
        present: bool [B, M].
        shape: rows and columns of the grid.
    """
    rows, columns = shape
    batch, number = present.shape
    column, row = ((boxes[..., :2] + boxes[..., 2:]) / 2 / stride).long().unbind(-1)
    cell = row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1).masked_fill(~present, -1.0)
    largest = area.new_full((batch, rows * columns), -1.0).scatter_reduce_(1, cell, area, "amax")
    candidate = present & (area == largest.gather(1, cell))
    index = torch.arange(number, device=boxes.device).expand(batch, -1).masked_fill(~candidate, number)
    owners = index.new_full((batch, rows * columns), number).scatter_reduce_(1, cell, index, "amin")
    return owners < number, owners.clamp(max=number - 1)


def sum_squared_loss(
    outputs: GridOutputs,
    objects: Objects,
    stride: int,
    coordinate_weight: float = 5.0,
    no_object_weight: float = 0.5,
    confidence: Confidence = "iou",
) -> dict[str, Part]:
    """Equation 3 of the paper, as a mean over the pictures.

    Of a cell that holds an object's centre the box with the largest IoU is responsible, of equal ones (none
    overlaps at first) the one with the smallest error of the coordinates. Cells whose centre lies in an
    ignored region are not told that there is nothing.

    Returns:
        The parts ``coordinates``, ``objects`` (confidence where there are some),
        ``no_objects`` and ``classes``; and ``positives``, the responsible boxes, per picture.
    """
    occupied, owners = cells_of(objects.boxes, objects.present, outputs.shape, stride)
    truth = objects.boxes.gather(1, owners.unsqueeze(-1).expand(-1, -1, 4))  # [B, C, 4]
    labels = objects.labels.gather(1, owners)

    middles = centres(outputs.shape, stride, truth.device)
    height, width = outputs.size
    in_cell = ((truth[..., :2] + truth[..., 2:]) / 2 - (middles - stride / 2)) / stride
    roots = ((truth[..., 2:] - truth[..., :2]) / truth.new_tensor([width, height])).clamp(min=0).sqrt()
    error = (outputs.boxes - torch.cat([in_cell, roots], dim=-1).unsqueeze(2)).square().sum(dim=-1)

    with torch.no_grad():
        overlaps = iou(decode(outputs, stride), truth.unsqueeze(2))  # [B, C, N]
        best = overlaps == overlaps.amax(dim=-1, keepdim=True)
        first = torch.where(best, error, torch.inf).argmin(dim=-1, keepdim=True)
        responsible = torch.zeros_like(best).scatter_(-1, first, True) & occupied.unsqueeze(-1)
        wanted = overlaps if confidence == "iou" else torch.ones_like(overlaps)
        empty = ~responsible & ~excused(middles, objects.ignored).unsqueeze(-1)
        one_hot = torch.zeros_like(outputs.classes).scatter_(-1, labels.unsqueeze(-1), 1.0)

    def part(squares: Tensor, chosen: Tensor, weight: float = 1.0) -> Part:
        return Part(squares.masked_fill(~chosen, 0).sum(), len(truth), weight)

    return {
        "coordinates": part(error, responsible, coordinate_weight),
        "objects": part((outputs.confidences - wanted).square(), responsible),
        "no_objects": part(outputs.confidences.square(), empty, no_object_weight),
        "classes": part((outputs.classes - one_hot).square().sum(dim=-1), occupied),
        "positives": Part(responsible.sum().float(), len(truth), weight=0),
    }
