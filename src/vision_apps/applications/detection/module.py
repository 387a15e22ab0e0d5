"""The application: what is in the picture, and where."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchvision.ops import clip_boxes_to_image

from vision_apps.applications.detection import curves, pictures
from vision_apps.applications.detection.detector import Detector, ExportableDetector, Outputs
from vision_apps.applications.detection.errors import split_errors
from vision_apps.applications.detection.mean_boxes import answer_with, mean_boxes
from vision_apps.applications.detection.metrics import DetectionMetrics, panoptic_quality, tables_of
from vision_apps.applications.detection.overlaps import pick
from vision_apps.applications.detection.types import (
    Candidates,
    DetectionAnswer,
    DetectionBatch,
    Detections,
    Target,
)
from vision_apps.core import figures
from vision_apps.core.class_names import class_name_problems
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import ConfigError
from vision_apps.core.module import VisionModule
from vision_apps.data.boxes.coco import to_json
from vision_apps.data.boxes.voc import to_xml
from vision_apps.data.resizing import ResizeMode, resize_boxes, resize_picture, restore_boxes
from vision_apps.networks.pixels import PixelNormalization

__all__ = ["Detection", "DetectionAnswer", "DetectionBatch"]

log = logging.getLogger(__name__)

MEASURED = 1000  # training pictures that the mean boxes are taken of
PATIENCE = 50  # steps without one positive, after which the user is told


class Detection(VisionModule, Generic[Outputs]):
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

    batch_type = DetectionBatch
    graph_type = Candidates
    graph_notes: ClassVar = {
        "boxes": "x1, y1, x2, y2 in pixels of the input, y down",
        "scores": "0 to 1, of each class",
    }
    network: Detector[Outputs]
    outside_graph = ("score_threshold", "max_detections")
    column_titles = ("truth", "answer")
    headline = ("loss", "ap", "ap50", "ap75")
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
        if problems:
            raise ConfigError("\n".join(problems))
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.size = height_width(image_size, "module.image_size")
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

    def batch_inputs(self, batch: DetectionBatch) -> list[Tensor]:
        return [batch.images, batch.proposals] if batch.proposals.shape[1] else [batch.images]

    def outputs(self, images: Tensor, proposals: Tensor | None = None) -> Outputs:
        """The network's outputs for uint8 [B, 3, H, W] and, where there are any, proposals [B, P, 4] in their
        pixels."""
        pixels, regions = self.network_inputs(images, proposals)
        return self.network(pixels, proposals=regions)

    def training_outputs(self, batch: DetectionBatch) -> Outputs:
        """With the objects, for networks that choose the regions they learn from by them."""
        pixels, regions = self.network_inputs(*self.batch_inputs(batch))
        return self.network(pixels, targets=self.targets(batch), proposals=regions)

    def network_inputs(
        self, images: Tensor, proposals: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor] | None]:
        """Normalised pixels of the network's size, and of each picture its proposals in them, if it needs
        any."""
        fitted = self._fit(images)
        regions = None
        if proposals is not None and proposals.shape[1]:
            regions = [rows[(rows[:, 2:] > rows[:, :2]).all(1)] for rows in self._fitted(proposals, images)]
        else:
            regions = self.network.proposals_of(fitted)
        return self.normalize(fitted), regions

    def _fit(self, images: Tensor) -> Tensor:
        if tuple(images.shape[-2:]) == self.size:
            return images
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

    def answer(self, outputs: Outputs, images: Tensor) -> DetectionAnswer:
        return self._answer(self.network.detect(outputs), images)

    @property
    def graph_size(self) -> tuple[int, int]:
        return self.size

    def why_no_graph(self) -> str | None:
        if isinstance(self.network, ExportableDetector):
            return None
        return (
            f"{type(self.network).__name__} gives no fixed number of candidate boxes: what it looks at or "
            "keeps depends on the picture (model=yolo and model=yolo_v1 do not)"
        )

    def graph(self, images: Tensor) -> Candidates:
        """Of fitted pictures; what is left to do is the suppression."""
        return self._exportable().candidates(self.outputs(images))

    def answer_through(self, graph: Callable[[Tensor], Candidates], images: Tensor) -> DetectionAnswer:
        return self._answer(self._exportable().select(graph(self._fit(images))), images)

    def _exportable(self) -> ExportableDetector[Outputs]:
        assert isinstance(self.network, ExportableDetector), self.why_no_graph()
        return self.network

    def _answer(self, detections: list[Detections], images: Tensor) -> DetectionAnswer:
        most = self.max_detections
        boxes = images.new_zeros(len(images), most, 4, dtype=torch.float32)
        scores = images.new_zeros(len(images), most, dtype=torch.float32)
        labels = images.new_full((len(images), most), -1, dtype=torch.int64)
        for row, found in enumerate(detections):
            count = min(most, len(found.scores))
            boxes[row, :count] = found.boxes[:count].float()
            scores[row, :count] = found.scores[:count].float()
            labels[row, :count] = found.labels[:count]
        boxes = restore_boxes(boxes, self._sizes(images), self.size, self.resize_mode)
        height, width = images.shape[-2:]
        return DetectionAnswer(clip_boxes_to_image(boxes, (height, width)), scores, labels)

    def loss(self, outputs: Outputs, batch: DetectionBatch) -> dict[str, Tensor]:
        parts = self.network.loss(outputs, self.targets(batch))
        if self.training and "positives" in parts and not self._told:
            self._watch(parts["positives"].detach())
        return parts

    def _watch(self, positives: Tensor) -> None:
        """A loss without positives falls nicely and teaches nothing but silence. The count stays on the
        device: to look at it in every step would make each wait."""
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
    def prepare_images(self) -> int:
        return MEASURED

    def prepare_batch(self, batch: DetectionBatch) -> None:
        boxes, frequency = mean_boxes(batch, self.num_classes)
        self.mean_boxes.copy_(boxes)
        self.frequency.copy_(frequency)

    def baselines(self, batch: DetectionBatch) -> dict[str, DetectionAnswer]:
        """``mean_boxes``: in every picture the mean box of each class, with the share of the training
        pictures that show it as its score; nothing until that is measured."""
        return {"mean_boxes": answer_with(self.mean_boxes, self.frequency, batch.images)}

    def quality(self, answer: DetectionAnswer, batch: DetectionBatch) -> Tensor:
        found, truths = tables_of(answer, batch)
        split = split_errors(found, truths, self.num_classes, self.score_threshold)
        return panoptic_quality(split, len(batch.images))

    def check(self, batch: DetectionBatch) -> list[str]:
        targets = self.targets(batch)
        boxes = torch.cat([target.boxes for target in targets])
        lost = self.network.unmatched(boxes)
        if not lost.any():
            return []
        width, height = (boxes[lost][0, 2:] - boxes[lost][0, :2]).tolist()
        return [
            f"{int(lost.sum())} of {len(boxes)} objects ({float(lost.float().mean()):.0%}) can be matched to "
            f"nothing that {type(self.network).__name__} predicts with, such as one of {width:.0f} x "
            f"{height:.0f} px in its input: they are never learned; choose other anchors, levels or "
            "image_size"
        ]

    # ---- what is shown -------------------------------------------------------------------------------------

    def draw(self, batch: DetectionBatch, answer: DetectionAnswer) -> list[Tensor]:
        found, truths = tables_of(answer, batch)
        rows = []
        for number, image in enumerate(batch.images):
            of_image = pick(found, found.images == number)
            objects = pick(truths, truths.images == number)
            split = split_errors(of_image, objects, self.num_classes, self.score_threshold)
            columns = (
                pictures.truth_marks(split, pick(objects, objects.ignored), self.class_names),
                pictures.answer_marks(split, self.class_names),
            )
            rows.append(pictures.beside(*(pictures.marked(image, marks) for marks in columns)))
        return rows

    def figures(self, metrics: MetricCollection) -> dict[str, Tensor]:
        values = metrics.compute()
        class_ap, confusion, names = values["class_ap"], values["confusion"], self.class_names
        return {
            "precision_recall": curves.precision_recall(values["precision_curve"], class_ap[1], names),
            "classes": curves.class_table(class_ap[0], class_ap[1], confusion[:-1].sum(1), names),
            "confusion": figures.confusion(
                confusion,
                names,
                f"IoU 0.5, score {self.score_threshold:g} and above",
                others=("background", "missed"),
                numbers="counts",
            ),
        }

    def _shown(self, answer: DetectionAnswer) -> list[Detections]:
        """What reaches the score threshold, picture by picture, best first."""
        keep = (answer.labels >= 0) & (answer.scores >= self.score_threshold)
        fields = [[f[k].float().cpu() for f, k in zip(field, keep, strict=True)] for field in answer[:2]]
        labels = [f[k].cpu() for f, k in zip(answer.labels, keep, strict=True)]
        rows = zip(*fields, labels, strict=True)
        return [Detections(*row) for row in rows]

    def show(self, images: Tensor, answer: DetectionAnswer) -> list[Tensor]:
        drawn = []
        for image, found in zip(images, self._shown(answer), strict=True):
            marks = pictures.found_marks(found, self.class_names)
            drawn.append(pictures.marked(image, marks, "" if marks else "nothing found"))
        return drawn

    def describe(self, answer: DetectionAnswer) -> list[dict[str, Any]]:
        """``objects``, best first: class, score and box (x1, y1, x2, y2 in pixels of the picture)."""
        return [{"objects": self._objects(found)} for found in self._shown(answer)]

    def _objects(self, found: Detections) -> list[dict[str, Any]]:
        rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        return [
            {
                "class": self.class_names[label],
                "score": round(score, 4),
                "box": [round(value, 2) for value in box],
            }
            for box, score, label in rows
        ]

    def files(self, image: Tensor, answer: DetectionAnswer, name: str) -> dict[str, bytes]:
        """A VOC annotation file, in the folder where VOC has it."""
        (objects,) = (self._objects(found) for found in self._shown(answer))
        height, width = image.shape[-2:]
        return {f"Annotations/{name}.xml": to_xml(f"{name}.png", width, height, objects)}

    def closing_files(self, rows: Iterable[dict[str, Any]]) -> dict[str, bytes]:
        """A COCO annotation file about all pictures, with scores."""
        return {"annotations.json": to_json(rows, self.class_names)}

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
