"""One metric for everything that is said of detections, so that each picture is kept and matched once."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vision_apps.applications.detection.coco_ap import coco_figures
from vision_apps.applications.detection.errors import DROPPED, Split, split_errors
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable, pairwise_overlap
from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch
from vision_apps.applications.detection.voc_ap import voc_figures
from vision_apps.core.errors import ConfigError
from vision_apps.data.resizing import ResizeMode, restore_boxes


class DetectionMetrics(Metric):
    """Everything that is said of detections, by name, see `evaluate`.

    Args:
        score_threshold: least score of the detections that precision, recall, errors and confusion are about.
            The averages look at all.
        resize_mode: how the pictures were brought to their size. Objects are small or large in the
            pixels of their file.
    """

    full_state_update = False
    higher_is_better = True
    found_boxes: list[Tensor]
    found_scores: list[Tensor]
    found_labels: list[Tensor]
    found_counts: list[Tensor]
    true_boxes: list[Tensor]
    true_labels: list[Tensor]
    true_ignored: list[Tensor]
    true_counts: list[Tensor]

    def __init__(
        self, num_classes: int, score_threshold: float = 0.3, resize_mode: ResizeMode = "letterbox"
    ) -> None:
        super().__init__()
        if not 0 <= score_threshold <= 1:
            raise ConfigError(f"module.score_threshold: {score_threshold}; expected 0 to 1")
        self.num_classes = num_classes
        self.score_threshold = score_threshold
        self.resize_mode: ResizeMode = resize_mode
        # rows of all pictures one after the other, and how many each picture has
        for name in ("boxes", "scores", "labels", "counts"):
            self.add_state(f"found_{name}", [], dist_reduce_fx="cat")
        for name in ("boxes", "labels", "ignored", "counts"):
            self.add_state(f"true_{name}", [], dist_reduce_fx="cat")

    def update(self, answer: DetectionAnswer, batch: DetectionBatch) -> None:
        """The answer's boxes in pixels of ``batch.images``."""
        found, true = answer.labels >= 0, batch.box_labels >= 0
        found_boxes, true_boxes = (
            restore_boxes(boxes, batch.sizes, batch.images.shape[-2:], self.resize_mode)
            for boxes in (answer.boxes.float(), batch.boxes.float())
        )
        self.found_boxes.append(found_boxes[found])
        self.found_scores.append(answer.scores[found].float())
        self.found_labels.append(answer.labels[found])
        self.found_counts.append(found.sum(1))
        self.true_boxes.append(true_boxes[true])
        self.true_labels.append(batch.box_labels[true])
        self.true_ignored.append(batch.ignored[true])
        self.true_counts.append(true.sum(1))

    def tables(self) -> tuple[DetectionTable, GroundTruthTable]:
        """What was gathered so far, on the CPU."""

        def table(prefix: str, *names: str) -> list[Tensor]:
            counts = _gathered(getattr(self, f"{prefix}_counts")).long()
            columns = [_gathered(getattr(self, f"{prefix}_{name}")) for name in names]
            return [*columns, torch.arange(len(counts)).repeat_interleave(counts)]

        boxes, scores, labels, images = table("found", "boxes", "scores", "labels")
        found = DetectionTable(boxes.reshape(-1, 4), scores, labels.long(), images)
        boxes, labels, ignored, images = table("true", "boxes", "labels", "ignored")
        return found, GroundTruthTable(boxes.reshape(-1, 4), labels.long(), ignored.bool(), images)

    def compute(self) -> dict[str, Tensor]:
        values = evaluate(*self.tables(), self.num_classes, self.score_threshold)
        return {
            name: value if isinstance(value, Tensor) else torch.tensor(value, device=self.device)
            for name, value in values.items()
        }


def tables_of(answer: DetectionAnswer, batch: DetectionBatch) -> tuple[DetectionTable, GroundTruthTable]:
    """The rows of one batch on the CPU, in pixels of its pictures."""
    found, true = answer.labels >= 0, batch.box_labels >= 0
    return (
        DetectionTable(
            answer.boxes[found].float().cpu(),
            answer.scores[found].float().cpu(),
            answer.labels[found].cpu(),
            found.nonzero()[:, 0].cpu(),
        ),
        GroundTruthTable(
            batch.boxes[true].float().cpu(),
            batch.box_labels[true].cpu(),
            batch.ignored[true].cpu(),
            true.nonzero()[:, 0].cpu(),
        ),
    )


def panoptic_quality(split: Split, images: int) -> Tensor:
    """The quality of each picture in 0..1, float64 [B]: the summed IoU of what is right, over the mean number
    of objects and answers (Kirillov et al. 2019, section 4.1, with boxes); 1 where there is nothing and
    nothing was found."""

    def per_image(rows: Tensor, weights: Tensor | None = None) -> Tensor:
        return torch.bincount(rows, weights, minlength=images).double()

    right = split.matched >= 0
    overlap = pairwise_overlap(split.found.boxes[right], split.truths.boxes[split.matched[right]])
    counted = split.found.images[split.kinds != DROPPED]
    total = (per_image(counted) + per_image(split.truths.images)) / 2
    found = per_image(split.found.images[right], overlap)
    return torch.where(total > 0, found / total.clamp_min(0.5), 1.0)


def evaluate(
    found: DetectionTable, truths: GroundTruthTable, num_classes: int, score_threshold: float
) -> dict[str, float | Tensor]:
    """What is said of all pictures together, by name.

    Numbers: COCO's twelve figures (``ap`` to ``ar_large``), ``voc07_ap`` (11 points), ``voc_ap`` (all
    points), ``precision`` and ``recall`` at the score threshold, and ``errors_<kind>``, how often each kind
    of error occurs there. What the data do not define, such as ``ap_large`` without a large object, is left
    out.

    Tensors on the CPU: ``class_ap``, float64 [2, K], the AP of each class over IoU .5 to .95 and at .5, NaN
    without an object; ``precision_curve``, float64 [101, K], precision at IoU .5 for recall 0, .01, ..., 1;
    ``confusion``, int64 [K + 1, K + 1] at the score threshold, rows are the truth, columns the answers, the
    last of each is background.
    """
    coco = coco_figures(found, truths, num_classes)
    split = split_errors(found, truths, num_classes, score_threshold)
    precision, recall = split.precision_recall()
    figures = {**coco.figures, **voc_figures(found, truths, num_classes).means()}
    figures |= {"precision": precision, "recall": recall}
    figures |= {f"errors_{kind}": float(count) for kind, count in split.counts().items()}
    return {
        **{name: value for name, value in figures.items() if value == value},
        "class_ap": torch.stack((coco.class_ap, coco.class_ap50)),
        "precision_curve": coco.curve,
        "confusion": split.confusion,
    }


def _gathered(state: Tensor | list[Tensor]) -> Tensor:
    """A list of tensors, or what is left of it after the processes were joined."""
    if isinstance(state, list) and not state:
        return torch.empty(0)
    return dim_zero_cat(state).cpu()
