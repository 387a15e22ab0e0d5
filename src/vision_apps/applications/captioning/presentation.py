"""How captions are shown."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from torch import Tensor

from vision_apps.applications.captioning import pictures
from vision_apps.applications.captioning.metrics import truths
from vision_apps.applications.captioning.types import CaptionAnswer, CaptionBatch, CaptionInputs
from vision_apps.core.presentation import Drawn, Presentation, Row, exact
from vision_apps.data.captions.words import END, decoded, sentence
from vision_apps.data.resizing import ResizeMode

TRUTH, FOUND = (43, 160, 80), (235, 94, 40)


class CaptionPresentation(Presentation[CaptionBatch, CaptionInputs, CaptionAnswer]):
    """The best captions, and a map for each word of the first.

    Args:
        size, mode: what pictures are brought to before the network sees them, and how.
    """

    def __init__(self, vocabulary: Sequence[str], size: tuple[int, int], mode: ResizeMode) -> None:
        self.vocabulary = list(vocabulary)
        self.size = size
        self.mode: ResizeMode = mode

    def draw_with_truth(self, batch: CaptionBatch, answer: CaptionAnswer) -> Drawn:
        found = self.describe(CaptionInputs(batch.images), answer)
        rows = zip(batch.images.cpu(), found, truths(batch, self.vocabulary), strict=True)
        texts = [
            (image, [(row["caption"], FOUND), *((text, TRUTH) for text in references)])
            for image, row, references in rows
        ]
        return Drawn(
            self._pages(texts, answer), ("the picture, where each word was looked for, and the truth",)
        )

    def draw_answer(self, inputs: CaptionInputs, answer: CaptionAnswer) -> list[Tensor]:
        texts = [
            (image, [(f"{one['caption']}   {one['log_probability']:.2f}", FOUND) for one in row["captions"]])
            for image, row in zip(inputs.images.cpu(), self.describe(inputs, answer), strict=True)
        ]
        return self._pages(texts, answer)

    def _pages(
        self, texts: Sequence[tuple[Tensor, list[tuple[str, pictures.Color]]]], answer: CaptionAnswer
    ) -> list[Tensor]:
        pages = []
        for row, (image, lines) in enumerate(texts):
            said = decoded(answer.words[row, 0].tolist(), self.vocabulary)
            own = answer.maps[row, 0, : len(said)].float().cpu()
            weights = pictures.over(own, image.shape[-2:], self.size, self.mode) if said else own
            regions = None
            if answer.region_boxes is not None and answer.region_weights is not None:
                of_words = answer.region_weights[row, 0, : len(said)].float().cpu()
                regions = pictures.Weighed(answer.region_boxes[row].cpu(), of_words)
            pages.append(pictures.page(image, said, weights, lines, regions))
        return pages

    def describe(self, inputs: CaptionInputs, answer: CaptionAnswer) -> list[Row]:
        """``caption``, the best; ``captions``: all, with their log-probability (nat) and whether they ended
        by themselves."""
        rows = []
        for words, values in zip(answer.words.tolist(), exact(answer.log_probabilities), strict=True):
            captions = [
                {"caption": sentence(said), "log_probability": value, "ended": END in own}
                for own, value in zip(words, values, strict=True)
                if (said := decoded(own, self.vocabulary))
            ]
            rows.append({"caption": captions[0]["caption"] if captions else "", "captions": captions})
        return rows

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """``captions.json`` as COCO's evaluation reads results, with the number of each picture that is named
        as COCO's are, and the name of any other."""
        said = {row["file"]: row["caption"] for row in rows}
        numbers = {file: _image_id(file) for file in said}
        times = Counter(numbers.values())
        results = [
            {"image_id": numbers[file] if times[numbers[file]] == 1 else file, "caption": caption}
            for file, caption in said.items()
        ]
        return {"captions.json": json.dumps(results, ensure_ascii=False).encode()}


def _image_id(file: str) -> int | str:
    """The number in a name such as ``COCO_val2014_000000000042.jpg`` or ``000000000042.jpg``, else the name
    without its ending."""
    stem = PurePath(file).stem
    number = re.fullmatch(r"(?:COCO_[a-z]+[0-9]+_)?([0-9]+)", stem)
    return int(number[1]) if number else stem
