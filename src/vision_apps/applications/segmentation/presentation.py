"""How a segmentation is shown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from vision_apps.applications.segmentation import pictures
from vision_apps.applications.segmentation.types import SegmentationAnswer, SegmentationBatch
from vision_apps.core import figures
from vision_apps.core.fields import ImageInputs
from vision_apps.core.presentation import Drawn, Presentation, Row, class_rows
from vision_apps.data.masks.coding import encode_palette_png
from vision_apps.data.resizing import ResizeMode, content_sizes


class MaskPresentation(Presentation[SegmentationBatch, ImageInputs, SegmentationAnswer]):
    """Masks in the colours of their classes.

    Args:
        palette: red, green, blue in 0..255 of every class.
        resize_mode: how the pictures of a batch were brought to their size.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        palette: Sequence[Sequence[int]],
        resize_mode: ResizeMode = "letterbox",
    ) -> None:
        self.class_names = list(class_names)
        self.palette = [list(color) for color in palette]
        self.resize_mode: ResizeMode = resize_mode

    def draw_with_truth(self, batch: SegmentationBatch, answer: SegmentationAnswer) -> Drawn:
        rows = list(self._fitted(batch, answer))
        drawn = [pictures.comparison(image, truth, mask, self.palette) for image, truth, mask in rows]
        there = {int(k) for _, *masks in rows for mask in masks for k in mask.unique()}
        legend = {
            name: (red, green, blue)
            for k, (name, (red, green, blue)) in enumerate(zip(self.class_names, self.palette, strict=True))
            if k in there
        }
        return Drawn(drawn, ("image", "truth", "answer", "errors"), legend)

    def _fitted(
        self, batch: SegmentationBatch, answer: SegmentationAnswer
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Each picture with its truth and answer at the size at which it was seen, without the letterbox's
        rest."""
        if batch.truths is None or batch.sizes is None:
            yield from zip(batch.images, batch.masks, answer.masks, strict=True)
            return
        content = content_sizes(batch.sizes, batch.images.shape[-2:], self.resize_mode)
        frames = zip(content.tolist(), batch.sizes.tolist(), strict=True)
        rows = zip(batch.images, batch.truths, answer.masks, strict=True)
        for (image, *masks), (shown, (height, width)) in zip(rows, frames, strict=True):
            truth, found = (
                interpolate(mask[None, None, :height, :width], shown, mode="nearest")[0, 0] for mask in masks
            )
            yield image[:, : shown[0], : shown[1]], truth, found

    def draw_answer(self, inputs: ImageInputs, answer: SegmentationAnswer) -> list[Tensor]:
        rows = zip(inputs.images, answer.masks, strict=True)
        return [pictures.legible(image, mask, self.palette, self.class_names) for image, mask in rows]

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        counts = measured["confusion"].cpu()
        return {
            "ious": pictures.iou_bars(counts, self.class_names, self.palette),
            "confusion": figures.confusion(counts, self.class_names, f"{int(counts.sum()):,} pixels"),
        }

    def tables(self, measured: Mapping[str, Any]) -> dict[str, list[Row]]:
        """``classes``: true pixels, precision, recall, Dice and IoU."""
        counts = measured["confusion"].cpu()
        right, of_answer, of_truth = counts.diagonal(), counts.sum(0), counts.sum(1)
        shares = {  # nothing of nothing is NaN
            "precision": right / of_answer,
            "recall": right / of_truth,
            "dice": 2 * right / (of_answer + of_truth),
            "iou": right / (of_answer + of_truth - right),
        }
        return {"classes": class_rows(self.class_names, pixels=of_truth, **shares)}

    def describe(self, inputs: ImageInputs, answer: SegmentationAnswer) -> list[Row]:
        """The share of the picture of each class that is in it, the largest first."""
        return [{"shares": pictures.shares(mask, self.class_names)} for mask in answer.masks]

    def files(
        self, inputs: ImageInputs, answer: SegmentationAnswer, name: str, file: str
    ) -> dict[str, bytes]:
        """``masks/<name>.png``, a palette PNG whose values are the classes, and ``overlays/<name>.png``."""
        mask = answer.masks[0]
        return {
            f"masks/{name}.png": encode_palette_png(mask, self.palette),
            f"overlays/{name}.png": pictures.overlay_png(inputs.images[0], mask, self.palette),
        }
