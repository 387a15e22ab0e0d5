"""One metric for everything that is said of detections, so that each picture is kept and matched once."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vision_apps.applications.detection.coco_ap import coco_figures
from vision_apps.applications.detection.errors import DROPPED, Split, split_errors
from vision_apps.applications.detection.overlaps import DetectionTable, GroundTruthTable, pairwise_overlap
from vision_apps.applications.detection.types import DetectionAnswer, DetectionBatch
from vision_apps.applications.detection.voc_ap import voc_figures
from vision_apps.core import ranks
from vision_apps.data.resizing import ResizeMode, restore_boxes
from vision_apps.networks.boxes import area


class DetectionMetrics(Metric):
    """Everything that is said of detections, by name, see `evaluate`.

    Args:
        score_threshold: least score of the detections that precision, recall, errors and confusion are about.
            The averages look at all.
        resize_mode: how the pictures were brought to their size. Objects are small or large in the
            pixels of their file.
    """

    full_state_update = False

    def __init__(
        self, num_classes: int, score_threshold: float = 0.3, resize_mode: ResizeMode = "letterbox"
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.score_threshold = score_threshold
        self.resize_mode: ResizeMode = resize_mode
        for name in ("boxes", "scores", "labels", "counts"):
            self.add_state(f"found_{name}", [], dist_reduce_fx="cat")
        for name in ("boxes", "labels", "ignored", "areas", "counts"):
            self.add_state(f"true_{name}", [], dist_reduce_fx="cat")
        self.places: list[Tensor]
        self.add_state("places", [], dist_reduce_fx="cat")  # of each picture, int64 [B, 3], see `update`

    def update(self, answer: DetectionAnswer, batch: DetectionBatch) -> None:
        """The answer's boxes in pixels of ``batch.images``."""
        found_boxes, true_boxes = (
            restore_boxes(boxes, batch.sizes, batch.images.shape[-2:], self.resize_mode)
            for boxes in (answer.boxes.float(), batch.boxes.float())
        )
        columns = _columns(answer._replace(boxes=found_boxes), batch._replace(boxes=true_boxes))
        for name, column in columns.items():
            getattr(self, name).append(column)
        # processes share each batch in turns: so the pictures of all are in the order of the data
        rows = torch.arange(len(batch.images), device=batch.images.device)
        number, rank = torch.full_like(rows, self._update_count), torch.full_like(rows, ranks.rank())
        self.places.append(torch.stack((number, rows, rank), dim=1))

    def tables(self) -> tuple[DetectionTable, GroundTruthTable]:
        """What was gathered so far, on the CPU, in the order of the pictures in the data: equal scores follow
        it, whichever process saw a picture."""
        return _tables({name: _gathered(state) for name, state in self.metric_state.items()})

    def compute(self) -> dict[str, Tensor]:
        values = evaluate(*self.tables(), self.num_classes, self.score_threshold)
        return {
            name: value if isinstance(value, Tensor) else torch.tensor(value, device=self.device)
            for name, value in values.items()
        }


def tables_of(answer: DetectionAnswer, batch: DetectionBatch) -> tuple[DetectionTable, GroundTruthTable]:
    """The rows of one batch on the CPU, in pixels of its pictures."""
    return _tables(_columns(answer, batch))


def _columns(answer: DetectionAnswer, batch: DetectionBatch) -> dict[str, Tensor]:
    """The rows of all pictures one after the other, and how many each picture has."""
    found, true = answer.labels >= 0, batch.box_labels >= 0
    return {
        "found_boxes": answer.boxes[found].float(),
        "found_scores": answer.scores[found].float(),
        "found_labels": answer.labels[found],
        "found_counts": found.sum(1),
        "true_boxes": batch.boxes[true].float(),
        "true_labels": batch.box_labels[true],
        "true_ignored": batch.ignored[true],
        "true_areas": area(batch.boxes[true].float()) if batch.areas is None else batch.areas[true].float(),
        "true_counts": true.sum(1),
    }


def _tables(columns: Mapping[str, Tensor]) -> tuple[DetectionTable, GroundTruthTable]:
    places = columns.get("places", torch.empty(0)).tolist()

    def table(prefix: str, *names: str) -> list[Tensor]:
        counts = columns[f"{prefix}_counts"].cpu().long()
        numbers = torch.arange(len(counts))
        if places:
            numbers[sorted(numbers.tolist(), key=places.__getitem__)] = numbers.clone()
        images, order = numbers.repeat_interleave(counts).sort(stable=True)
        return [*(columns[f"{prefix}_{name}"].cpu()[order] for name in names), images]

    boxes, scores, labels, images = table("found", "boxes", "scores", "labels")
    found = DetectionTable(boxes.reshape(-1, 4), scores, labels.long(), images)
    boxes, labels, ignored, areas, images = table("true", "boxes", "labels", "ignored", "areas")
    return found, GroundTruthTable(boxes.reshape(-1, 4), labels.long(), ignored.bool(), images, areas)


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
    return dim_zero_cat(state)
