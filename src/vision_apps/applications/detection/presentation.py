"""How a detection is shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.detection import curves, pictures
from vision_apps.applications.detection.errors import split_errors
from vision_apps.applications.detection.metrics import tables_of
from vision_apps.applications.detection.overlaps import pick
from vision_apps.applications.detection.types import (
    DetectionAnswer,
    DetectionBatch,
    DetectionInputs,
    Detections,
)
from vision_apps.core import figures
from vision_apps.core.marks import marked
from vision_apps.core.presentation import Drawn, Presentation, Row, class_rows, exact
from vision_apps.data.boxes.coco import to_json
from vision_apps.data.boxes.voc import to_xml


class ObjectPresentation(Presentation[DetectionBatch, DetectionInputs, DetectionAnswer]):
    """Boxes with classes and scores.

    Args:
        score_threshold: least score of what is shown.
    """

    def __init__(self, class_names: Sequence[str], score_threshold: float) -> None:
        self.class_names = list(class_names)
        self.score_threshold = score_threshold

    def draw_with_truth(self, batch: DetectionBatch, answer: DetectionAnswer) -> Drawn:
        found, truths = tables_of(answer, batch)
        rows = []
        for number, image in enumerate(batch.images):
            of_image = pick(found, found.images == number)
            objects = pick(truths, truths.images == number)
            split = split_errors(of_image, objects, len(self.class_names), self.score_threshold)
            columns = (
                pictures.truth_marks(split, pick(objects, objects.ignored), self.class_names),
                pictures.answer_marks(split, self.class_names),
            )
            rows.append(pictures.beside(*(marked(image, marks) for marks in columns)))
        return Drawn(rows, ("truth", "answer"))

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        class_ap, confusion, names = measured["class_ap"], measured["confusion"], self.class_names
        return {
            "precision_recall": curves.precision_recall(measured["precision_curve"], class_ap[1], names),
            "classes": curves.class_table(class_ap[0], class_ap[1], confusion[:-1].sum(1), names),
            "confusion": figures.confusion(
                confusion,
                names,
                f"IoU 0.5, score {self.score_threshold:g} and above",
                others=("background", "missed"),
                numbers="counts",
            ),
        }

    def tables(self, measured: Mapping[str, Any]) -> dict[str, list[Row]]:
        """``classes``: AP over IoU .5 to .95 and at .5, and how many objects the truth has."""
        objects = measured["confusion"][:-1].sum(1)
        ap, ap50 = measured["class_ap"]
        return {"classes": class_rows(self.class_names, objects=objects, ap=ap, ap50=ap50)}

    def _shown(self, answer: DetectionAnswer) -> list[Detections]:
        """What reaches the score threshold, picture by picture, best first."""
        keep = (answer.labels >= 0) & (answer.scores >= self.score_threshold)
        rows = zip(answer.boxes.float().cpu(), answer.scores.float().cpu(), answer.labels.cpu(), strict=True)
        return [Detections(*(field[k] for field in row)) for row, k in zip(rows, keep.cpu(), strict=True)]

    def draw_answer(self, inputs: DetectionInputs, answer: DetectionAnswer) -> list[Tensor]:
        drawn = []
        for image, found in zip(inputs.images, self._shown(answer), strict=True):
            marks = pictures.found_marks(found, self.class_names)
            drawn.append(marked(image, marks, "" if marks else "nothing found"))
        return drawn

    def describe(self, inputs: DetectionInputs, answer: DetectionAnswer) -> list[Row]:
        """``objects``, best first: class, score and box (x1, y1, x2, y2 in pixels of the picture)."""
        return [{"objects": self._objects(found)} for found in self._shown(answer)]

    def _objects(self, found: Detections) -> list[dict[str, Any]]:
        rows = zip(exact(found.boxes), exact(found.scores), found.labels.tolist(), strict=True)
        return [{"class": self.class_names[label], "score": score, "box": box} for box, score, label in rows]

    def files(
        self, inputs: DetectionInputs, answer: DetectionAnswer, name: str, file: str
    ) -> dict[str, bytes]:
        """A VOC annotation file, in the folder where VOC has it."""
        (objects,) = (self._objects(found) for found in self._shown(answer))
        height, width = inputs.images.shape[-2:]
        return {f"Annotations/{name}.xml": to_xml(file, width, height, objects)}

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """A COCO annotation file about all pictures, with scores."""
        return {"annotations.json": to_json(rows, self.class_names)}
