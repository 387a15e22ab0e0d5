"""How a segmentation is shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.segmentation import pictures
from vision_apps.applications.segmentation.types import SegmentationAnswer, SegmentationBatch
from vision_apps.core import figures
from vision_apps.core.fields import ImageInputs
from vision_apps.core.presentation import Drawn, Presentation, Row
from vision_apps.data.masks.coding import encode_palette_png


class MaskPresentation(Presentation[SegmentationBatch, ImageInputs, SegmentationAnswer]):
    """Masks in the colours of their classes.

    Args:
        palette: red, green, blue in 0..255 of every class.
    """

    def __init__(self, class_names: Sequence[str], palette: Sequence[Sequence[int]]) -> None:
        self.class_names = list(class_names)
        self.palette = [list(color) for color in palette]

    def draw_with_truth(self, batch: SegmentationBatch, answer: SegmentationAnswer) -> Drawn:
        rows = zip(batch.images, batch.masks, answer.masks, strict=True)
        drawn = [pictures.comparison(image, truth, mask, self.palette) for image, truth, mask in rows]
        return Drawn(drawn, ("image", "truth", "answer", "errors"))

    def draw_answer(self, inputs: ImageInputs, answer: SegmentationAnswer) -> list[Tensor]:
        rows = zip(inputs.images, answer.masks, strict=True)
        return [pictures.legible(image, mask, self.palette, self.class_names) for image, mask in rows]

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        counts = measured["confusion"].cpu()
        return {
            "ious": pictures.iou_bars(counts, self.class_names, self.palette),
            "confusion": figures.confusion(counts, self.class_names, f"{int(counts.sum()):,} pixels"),
        }

    def describe(self, inputs: ImageInputs, answer: SegmentationAnswer) -> list[Row]:
        """The share of the picture of each class that is in it, the largest first."""
        return [{"shares": pictures.shares(mask, self.class_names)} for mask in answer.masks]

    def files(self, inputs: ImageInputs, answer: SegmentationAnswer, name: str) -> dict[str, bytes]:
        """``masks/<name>.png``, a palette PNG whose values are the classes, and ``overlays/<name>.png``."""
        mask = answer.masks[0]
        return {
            f"masks/{name}.png": encode_palette_png(mask, self.palette),
            f"overlays/{name}.png": pictures.overlay_png(inputs.images[0], mask, self.palette),
        }
