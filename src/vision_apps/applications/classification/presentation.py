"""How a classification is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.classification import curves, per_class, pictures
from vision_apps.applications.classification.types import ClassAnswer, LabelBatch, hard
from vision_apps.core import figures
from vision_apps.core.fields import ImageInputs
from vision_apps.core.presentation import Drawn, Presentation, Row


class ClassPresentation(Presentation[LabelBatch, ImageInputs, ClassAnswer]):
    """The picture beside its most likely classes."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = list(class_names)

    def draw_with_truth(self, batch: LabelBatch, answer: ClassAnswer) -> Drawn:
        truths = hard(batch.labels).tolist()
        return Drawn(self._pictures(batch.images, answer, truths), ("image", "answer"))

    def draw_answer(self, inputs: ImageInputs, answer: ClassAnswer) -> list[Tensor]:
        return self._pictures(inputs.images, answer, [None] * len(inputs.images))

    def _pictures(self, images: Tensor, answer: ClassAnswer, truths: Sequence[int | None]) -> list[Tensor]:
        rows = zip(images.cpu(), answer.probabilities.cpu(), truths, strict=True)
        return [pictures.sample(image, row, self.class_names, truth) for image, row, truth in rows]

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        drawn = {}
        if "confusion" in measured:
            counts = measured["confusion"].cpu()
            recall = (counts.diagonal() / counts.sum(1))[counts.sum(1) > 0].mean().nan_to_num()
            title = f"{int(counts.sum()):,} images, mean recall {recall:.1%}"
            drawn["confusion"] = figures.confusion(counts, self.class_names, title)
        return drawn | curves.of(measured, self.class_names)

    def tables(self, measured: Mapping[str, Any]) -> dict[str, list[Row]]:
        return per_class.tables(measured, self.class_names)

    def describe(self, inputs: ImageInputs, answer: ClassAnswer) -> list[Row]:
        """The five most likely classes, most likely first."""
        values, indices = answer.probabilities.cpu().topk(min(5, len(self.class_names)), dim=1)
        rows: list[Row] = []
        for row, numbers in zip(values.tolist(), indices.tolist(), strict=True):
            ranked = [
                {"class": self.class_names[k], "probability": p} for k, p in zip(numbers, row, strict=True)
            ]
            rows.append({**ranked[0], "top5": ranked})
        return rows
