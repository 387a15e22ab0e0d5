"""The application: what is in the picture, and where."""

import logging
from collections.abc import Callable, Sequence
from typing import Generic

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchvision.ops import clip_boxes_to_image

from vision_apps.applications.detection.coco_ap import NAMES
from vision_apps.applications.detection.detector import Detector, ExportableDetector, Outputs
from vision_apps.applications.detection.errors import split_errors
from vision_apps.applications.detection.learnable import findings
from vision_apps.applications.detection.mean_boxes import answer_with, mean_boxes
from vision_apps.applications.detection.metrics import DetectionMetrics, panoptic_quality, tables_of
from vision_apps.applications.detection.presentation import ObjectPresentation
from vision_apps.applications.detection.types import (
    Candidates,
    DetectionAnswer,
    DetectionBatch,
    DetectionInputs,
    Detections,
    Target,
)
from vision_apps.core.class_names import class_name_problems
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import require_no
from vision_apps.core.explaining import Explained
from vision_apps.core.exportable import Exportable
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.resizing import (
    ResizeMode,
    content_sizes,
    resize_boxes,
    resize_picture,
    restore_boxes,
)
from vision_apps.networks.pixels import PixelNormalization

log = logging.getLogger(__name__)

MEASURED = 1000  # training pictures that the mean boxes are taken of
EXPLAINED = 5  # boxes of a picture whose evidence is looked for
PATIENCE = 50  # steps without one positive, after which the user is told


class Detection(VisionModule[DetectionBatch, DetectionInputs, Outputs, DetectionAnswer], Generic[Outputs]):
    """Boxes with classes and scores, by a `detector.Detector`.

    Pictures of any size are fitted to the network's; answers are in pixels of the picture that was given.

    Args:
        network: it, or its ``backbone``, may carry ``mean`` and ``std``, which go before the data's.
        image_size: of the network's input in pixels, one side of a square or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        max_detections: rows of an answer.
        score_threshold: least score of what is drawn and described, and of what precision, recall, errors and
            confusion are about. Average precision looks at all.
    """

    network: Detector[Outputs]
    backbone_share = 0.5  # where things are is not what ImageNet's classes have taught it
    headline = ("loss", "ap", "ap50", "ap75")
    conditional = (*NAMES, "voc07_ap", "voc_ap", "recall")  # on objects, of a size
    mean_boxes: Tensor
    frequency: Tensor

    def __init__(
        self,
        network: Detector[Outputs],
        num_classes: int,
        class_names: Sequence[str],
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        resize_mode: ResizeMode = "letterbox",
        max_detections: int = 100,
        score_threshold: float = 0.3,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = class_name_problems(num_classes, class_names, least=1)
        if max_detections < 1:
            problems.append(f"module.max_detections: {max_detections}; expected at least 1, such as 100")
        if not 0 <= score_threshold <= 1:
            problems.append(f"module.score_threshold: {score_threshold}; expected 0 to 1, such as 0.3")
        require_no(problems)
        self.presentation = ObjectPresentation(class_names, score_threshold)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.size = height_width(image_size, "module.image_size")
        self.exportable = DetectorExport(self)
        self.resize_mode: ResizeMode = resize_mode
        self.max_detections = max_detections
        self.score_threshold = score_threshold
        self.normalize = PixelNormalization(network, mean, std)
        self.register_buffer("mean_boxes", torch.zeros(num_classes, 4))
        self.register_buffer("frequency", torch.zeros(num_classes))
        self._steps = 0
        self._without: Tensor | int = 0  # steps in a row without a positive
        self._told = False

    # ---- the network ---------------------------------------------------------------------------------------

    def inputs(self, batch: DetectionBatch) -> DetectionInputs:
        return DetectionInputs(batch.images, batch.proposals if batch.proposals.shape[1] else None)

    def outputs(self, inputs: DetectionInputs) -> Outputs:
        pixels, regions = self.network_inputs(inputs)
        return self.network(pixels, proposals=regions)

    def training_outputs(self, batch: DetectionBatch) -> Outputs:
        """With the objects, for networks that choose the regions they learn from by them."""
        pixels, regions = self.network_inputs(self.inputs(batch))
        return self.network(pixels, targets=self.targets(batch), proposals=regions)

    def network_inputs(self, inputs: DetectionInputs) -> tuple[Tensor, list[Tensor] | None]:
        """Normalised pixels of the network's size, and of each picture its proposals in them, if it needs
        any."""
        images, proposals = inputs
        fitted = self.resized(images)
        if proposals is not None and proposals.shape[1]:
            boxes = self._fitted(proposals, images)
            regions: list[Tensor] | None = [rows[(rows[:, 2:] > rows[:, :2]).all(1)] for rows in boxes]
        else:
            regions = self.network.proposals_of(fitted)
        return self.normalize(fitted), regions

    def resized(self, images: Tensor) -> Tensor:
        """Pictures uint8 [B, 3, H, W] at the size of the network."""
        return resize_picture(images, self.size, self.resize_mode)[0]

    def _fitted(self, boxes: Tensor, images: Tensor) -> Tensor:
        """Boxes [B, n, 4] in pixels of ``images`` to those of the network's input."""
        return resize_boxes(boxes, self._sizes(images), self.size, self.resize_mode)

    def _sizes(self, images: Tensor) -> Tensor:
        return torch.tensor([images.shape[-2:]] * len(images), device=images.device)

    def targets(self, batch: DetectionBatch) -> list[Target]:
        """The objects of each picture in pixels of the network's input, without padding."""
        present = batch.box_labels >= 0
        rows = zip(
            self._fitted(batch.boxes.float(), batch.images),
            batch.box_labels,
            present & ~batch.ignored,
            present & batch.ignored,
            strict=True,
        )
        return [
            Target(boxes[counted], labels[counted], boxes[ignored])
            for boxes, labels, counted, ignored in rows
        ]

    @torch.no_grad()
    def answer(self, outputs: Outputs, inputs: DetectionInputs) -> DetectionAnswer:
        return self.collect(self.network.detect(outputs), inputs.images, self._sizes(inputs.images))

    @torch.no_grad()
    def measured_answer(self, outputs: Outputs, batch: DetectionBatch) -> DetectionAnswer:
        """Without what lies beside the file's picture, in the letterbox's grey."""
        return self.collect(self.network.detect(outputs), batch.images, self._content(batch))

    def explained(self, inputs: DetectionInputs) -> Explained:
        """Of the five surest boxes of each picture that are shown."""
        outputs = self.outputs(inputs)
        found = self.network.detect(outputs)
        shown = (rows.scores[rows.scores >= self.score_threshold][:EXPLAINED] for rows in found)
        scores = torch.stack([torch.logit(best.float(), eps=1e-6).sum() for best in shown])
        content = content_sizes(self._sizes(inputs.images), self.size, self.resize_mode)
        return Explained(
            scores, content * torch.tensor(self.network.scales(outputs), device=content.device), local=True
        )

    def _content(self, batch: DetectionBatch) -> Tensor:
        """Height and width of the files' pictures within those of the batch: int64 [B, 2]."""
        return content_sizes(batch.sizes, batch.images.shape[-2:], self.resize_mode)

    def collect(self, detections: list[Detections], images: Tensor, content: Tensor) -> DetectionAnswer:
        """The answer to pictures [B, 3, H, W] from what was found in each at the network's size: boxes in
        pixels of ``images``, cut to their ``content`` (height and width, int64 [B, 2]); what lies beside it
        is left out."""
        most = self.max_detections
        boxes = images.new_zeros(len(images), most, 4, dtype=torch.float32)
        scores = images.new_zeros(len(images), most, dtype=torch.float32)
        labels = images.new_full((len(images), most), -1, dtype=torch.int64)
        size = torch.tensor(images.shape[-2:], device=images.device)
        for row, (found, frame) in enumerate(zip(detections, content.tolist(), strict=True)):
            restored = restore_boxes(found.boxes.float(), size, self.size, self.resize_mode)
            cut = clip_boxes_to_image(restored, tuple(frame))
            kept = (cut[:, 2:] > cut[:, :2]).all(1).nonzero()[:most, 0]
            boxes[row, : len(kept)] = cut[kept]
            scores[row, : len(kept)] = found.scores[kept].float()
            labels[row, : len(kept)] = found.labels[kept]
        return DetectionAnswer(boxes, scores, labels)

    def loss(self, outputs: Outputs, batch: DetectionBatch) -> dict[str, Part]:
        return self.network.loss(outputs, self.targets(batch))

    def on_after_backward(self) -> None:
        """A loss without positives falls nicely and teaches nothing but silence. The count stays on the
        device: to look at it in every step would make each wait."""
        positives = self.losses.latest.get("positives")
        if positives is None or self._told:
            return
        self._steps += 1
        self._without = torch.where(
            positives > 0, 0, torch.as_tensor(self._without, device=positives.device) + 1
        )
        if self._steps % PATIENCE == 0 and int(self._without) >= PATIENCE:
            self._told = True
            log.warning(
                "no object was matched to any anchor, cell or region in the last %d steps: the network "
                "learns only what is background. Look at the boxes and at what they can be matched to: "
                "vision-apps data check data=... model=...",
                int(self._without),
            )

    # ---- what is measured ----------------------------------------------------------------------------------

    def build_metrics(self) -> MetricCollection:
        return MetricCollection(
            {"detection": DetectionMetrics(self.num_classes, self.score_threshold, self.resize_mode)}
        )

    def score(self, metrics: MetricCollection, answer: DetectionAnswer, batch: DetectionBatch) -> None:
        metrics.update(answer, batch)

    @property
    def prepare_samples(self) -> int:
        return MEASURED

    def prepare(self, batch: DetectionBatch) -> None:
        boxes, frequency = mean_boxes(batch, self._content(batch), self.num_classes)
        self.mean_boxes.copy_(boxes)
        self.frequency.copy_(frequency)

    def baselines(self, batch: DetectionBatch) -> dict[str, DetectionAnswer]:
        """``mean_boxes``: in every picture the mean box of each class, with the share of the training
        pictures that show it as its score; nothing until that is measured."""
        return {"mean_boxes": answer_with(self.mean_boxes, self.frequency, self._content(batch))}

    def quality(self, answer: DetectionAnswer, batch: DetectionBatch) -> Tensor:
        found, truths = tables_of(answer, batch)
        split = split_errors(found, truths, self.num_classes, self.score_threshold)
        return panoptic_quality(split, len(batch.images))

    def check(self, batch: DetectionBatch) -> list[str]:
        limits = {
            "model.max_detections": self.network.max_detections,
            "module.max_detections": self.max_detections,
        }
        return [*findings(self.network, self.targets(batch), self.size, limits)]

    def example(self) -> DetectionBatch:
        """Two pictures of noise, an object in the first, none in the second."""
        generator = torch.Generator().manual_seed(0)
        height, width = self.size
        boxes = torch.zeros(2, 2, 4)
        boxes[0, 0] = torch.tensor([0.2 * width, 0.25 * height, 0.7 * width, 0.6 * height])
        labels = torch.full((2, 2), -1)
        labels[0, 0] = 0
        return DetectionBatch(
            torch.randint(256, (2, 3, height, width), generator=generator, dtype=torch.uint8),
            boxes,
            labels,
            torch.zeros(2, 2, dtype=torch.bool),
            torch.tensor([[height, width]] * 2),
            torch.zeros(2, 0, 4),
        )


class DetectorExport(Exportable[DetectionInputs, DetectionAnswer], Generic[Outputs]):
    """The candidates of pictures of the network's size; what is left to do is the suppression."""

    def __init__(self, module: Detection[Outputs]) -> None:
        notes = {
            "boxes": "x1, y1, x2, y2 in pixels of the input, y down",
            "scores": "0 to 1, of each class",
        }
        outside = ("score_threshold", "max_detections")
        super().__init__(module.forward, Candidates, notes, outside, module.size)
        self.module = module

    def refusal(self) -> str | None:
        network = self.module.network
        if isinstance(network, ExportableDetector):
            return None
        return (
            f"{type(network).__name__} gives no fixed number of candidate boxes: what it looks at or keeps "
            "depends on the picture (model=yolo and model=yolo_v1 do not)"
        )

    def outputs(self, inputs: DetectionInputs) -> Candidates:
        return self._detector().candidates(self.module.outputs(inputs))

    def answer(
        self, graph: Callable[[DetectionInputs], Candidates], inputs: DetectionInputs
    ) -> DetectionAnswer:
        found = graph(DetectionInputs(self.module.resized(inputs.images)))
        whole = self.module._sizes(inputs.images)
        return self.module.collect(self._detector().select(found), inputs.images, whole)

    def _detector(self) -> ExportableDetector[Outputs]:
        network = self.module.network
        assert isinstance(network, ExportableDetector), self.refusal()
        return network
