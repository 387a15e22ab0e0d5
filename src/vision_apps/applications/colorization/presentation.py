"""How a colorization is shown."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from vision_apps.applications.colorization import metrics as measures
from vision_apps.applications.colorization.types import ColorAnswer, ColorBatch, ColorInputs
from vision_apps.core.presentation import Drawn, Presentation, Row
from vision_apps.data.resizing import resize_and_center_crop


class ColorPresentation(Presentation[ColorBatch, ColorInputs, ColorAnswer]):
    """The picture in colour.

    Args:
        baselines: of a batch, by name: ``grey``, and where it is known ``best_l2`` of regression.
        bins: how many colours the network tells apart.
        resize: px that the short side of a file was scaled to before its middle was cut out; null: the side
            of that.
    """

    def __init__(
        self,
        baselines: Callable[[ColorBatch], dict[str, ColorAnswer]],
        bins: int,
        resize: int | None = None,
    ) -> None:
        self.baselines = baselines
        self.bins = bins
        self.resize = resize

    def draw_with_truth(self, batch: ColorBatch, answer: ColorAnswer) -> Drawn:
        if batch.files is not None and batch.sizes is not None:  # what was learned from, and that part of it
            frames = zip(answer.images, batch.sizes.tolist(), strict=True)
            side, middle = batch.images.shape[-1], self.resize
            cut = [resize_and_center_crop(image[:, :h, :w], side, middle) for image, (h, w) in frames]
            answer, batch = answer._replace(images=torch.stack(cut)), batch._replace(files=None)
        others = self.baselines(batch)
        columns = {"grey": others["grey"].images, "truth": batch.images, "answer": answer.images}
        if "best_l2" in others:
            columns["best L2"] = others["best_l2"].images
        return Drawn(list(torch.cat(list(columns.values()), dim=3)), tuple(columns))

    def draw_answer(self, inputs: ColorInputs, answer: ColorAnswer) -> list[Tensor]:
        return list(answer.images)

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        return {"ab_histogram": measures.draw_histogram(measured["ab_histogram"])}

    def describe(self, inputs: ColorInputs, answer: ColorAnswer) -> list[Row]:
        """Chroma is the mean distance from grey in ab; ``certainty`` is 1 where the network is sure of every
        pixel and 0 where it has no idea (only of networks with classes)."""
        rows: list[Row] = []
        for index, chroma in enumerate(answer.ab.square().sum(1).sqrt().mean((1, 2)).tolist()):
            row = {"chroma": round(chroma, 2)}
            row["colorfulness"] = round(measures.colorfulness(answer.images[index : index + 1]).item(), 2)
            if answer.entropy is not None:
                row["certainty"] = round(1 - answer.entropy[index].item() / math.log(self.bins), 4)
            rows.append(row)
        return rows
