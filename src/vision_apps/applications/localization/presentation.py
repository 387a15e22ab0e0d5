"""How a localization is shown."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.localization import pictures
from vision_apps.applications.localization.types import LocalizationAnswer, LocalizationBatch, main_object
from vision_apps.core.fields import ImageInputs
from vision_apps.core.presentation import Drawn, Presentation, Row, exact
from vision_apps.data.boxes.coco import to_json
from vision_apps.data.boxes.voc import to_xml
from vision_apps.networks.boxes import iou


class BoxPresentation(Presentation[LocalizationBatch, ImageInputs, LocalizationAnswer]):
    """One box with its class, or that there is none."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = list(class_names)

    def draw_with_truth(self, batch: LocalizationBatch, answer: LocalizationAnswer) -> Drawn:
        truth = main_object(batch.boxes.cpu(), batch.box_labels.cpu())
        overlaps = iou(answer.boxes.cpu(), truth.boxes).tolist()
        names = [self.class_names[k] if k >= 0 else None for k in truth.labels.tolist()]
        found = self.describe(ImageInputs(batch.images), answer)
        rows = zip(batch.images.cpu(), found, truth.boxes.tolist(), names, overlaps, strict=True)
        return Drawn([pictures.beside_truth(*row) for row in rows], ("picture", "truth and answer"))

    def draw_answer(self, inputs: ImageInputs, answer: LocalizationAnswer) -> list[Tensor]:
        return list(map(pictures.answered, inputs.images.cpu(), self.describe(inputs, answer)))

    def describe(self, inputs: ImageInputs, answer: LocalizationAnswer) -> list[Row]:
        """``object`` says whether there is one; class and box are what it would be in any case, the box x1,
        y1, x2, y2 in pixels; ``vector`` is the label vector."""
        values, classes = answer.probabilities.max(dim=1)
        columns = (*map(exact, (answer.presence, values, answer.boxes, answer.vector)), classes.tolist())
        return [
            {
                "object": presence >= 0.5,
                "presence": presence,
                "class": self.class_names[k],
                "probability": probability,
                "box": box,
                "vector": vector,
            }
            for presence, probability, box, vector, k in zip(*columns, strict=True)
        ]

    def files(
        self, inputs: ImageInputs, answer: LocalizationAnswer, name: str, file: str
    ) -> dict[str, bytes]:
        """A VOC annotation file, in the folder where VOC has it; without an object where there is none."""
        (row,) = self.describe(inputs, answer)
        height, width = inputs.images.shape[-2:]
        return {f"Annotations/{name}.xml": to_xml(file, width, height, _objects(row))}

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """A COCO annotation file about all pictures, with scores."""
        with_objects = (row | {"objects": _objects(row)} for row in rows)
        return {"annotations.json": to_json(with_objects, self.class_names)}


def _objects(row: Row) -> list[dict[str, Any]]:
    """The row of one picture as a list of what is in it, scored by the probability that it is there and of
    that class."""
    if not row["object"]:
        return []
    score = row["presence"] * row["probability"]
    return [{"class": row["class"], "box": row["box"], "score": score}]
