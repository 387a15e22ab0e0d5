"""How sets of labels are shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.applications.classification import curves, per_class
from vision_apps.applications.classification.pictures import (
    BACKGROUND,
    FAINT,
    INK,
    NEUTRAL,
    RIGHT,
    SIDE,
    WRONG,
    fitted,
)
from vision_apps.applications.classification.types import MultiLabelAnswer, MultiLabelBatch
from vision_apps.core.fields import ImageInputs
from vision_apps.core.pictures import from_pil, shortened
from vision_apps.core.presentation import Drawn, Presentation, Row

LINES = 4  # classes beside a picture


class MultiLabelPresentation(Presentation[MultiLabelBatch, ImageInputs, MultiLabelAnswer]):
    """The picture beside its labels."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = list(class_names)

    def draw_with_truth(self, batch: MultiLabelBatch, answer: MultiLabelAnswer) -> Drawn:
        return Drawn(self._pictures(batch.images, answer, list(batch.multi_hot.cpu())), ("image", "answer"))

    def draw_answer(self, inputs: ImageInputs, answer: MultiLabelAnswer) -> list[Tensor]:
        return self._pictures(inputs.images, answer, [None] * len(inputs.images))

    def _pictures(
        self, images: Tensor, answer: MultiLabelAnswer, truths: Sequence[Tensor | None]
    ) -> list[Tensor]:
        rows = zip(images.cpu(), answer.probabilities.cpu(), answer.present.cpu(), truths, strict=True)
        return [sample(*row, self.class_names) for row in rows]

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        return curves.of(measured, self.class_names)

    def tables(self, measured: Mapping[str, Any]) -> dict[str, list[Row]]:
        return per_class.tables(measured, self.class_names)

    def describe(self, inputs: ImageInputs, answer: MultiLabelAnswer) -> list[Row]:
        """The labels, most likely first, and the probability of each class."""
        return [
            self._row(probabilities, present)
            for probabilities, present in zip(*(field.tolist() for field in answer), strict=True)
        ]

    def _row(self, probabilities: Sequence[float], present: Sequence[bool]) -> Row:
        said = [k for k, is_there in enumerate(present) if is_there]
        labels = [
            {"class": self.class_names[k], "probability": probabilities[k]}
            for k in sorted(said, key=lambda k: -probabilities[k])
        ]
        return {"labels": labels, "probabilities": dict(zip(self.class_names, probabilities, strict=True))}


def sample(
    image: Tensor, probabilities: Tensor, present: Tensor, truth: Tensor | None, class_names: Sequence[str]
) -> Tensor:
    """An image beside up to four classes: uint8 [3, 160, 320]. Those that are said or true come first, then
    the most likely ones.

    Args:
        image: uint8 [3, H, W].
        probabilities, present: float and bool [K].
        truth: [K], not 0 where the class is there, if known: ``+`` or ``-`` says it, and a bar is green where
            it is rightly said, red where it is wrongly said or missed.
    """
    page = Image.new("RGB", (2 * SIDE, SIDE), BACKGROUND)
    page.paste(fitted(image), (0, 0))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=13)
    left, widest = SIDE + 10, SIDE - 20
    there = present if truth is None else present | (truth != 0)
    ranked = sorted(range(len(class_names)), key=lambda k: (not there[k], -float(probabilities[k])))
    for line, k in enumerate(ranked[:LINES]):
        value, said = float(probabilities[k]), bool(present[k])
        top = 8 + 37 * line
        mark, color = "", NEUTRAL if said else INK
        if truth is not None:
            true = bool(truth[k])
            mark = "+ " if true else "- "
            color = WRONG if said != true else RIGHT if true else NEUTRAL
        share = f"{value:.0%}"
        room = widest - draw.textlength(share, font) - 6
        draw.text((left, top), shortened(mark + class_names[k], font, room), INK, font)
        draw.text((left + widest, top), share, INK, font, anchor="ra")
        draw.rectangle((left, top + 19, left + widest, top + 25), FAINT)
        if value > 0:
            draw.rectangle((left, top + 19, left + round(value * widest), top + 25), color)
    return from_pil(page)
