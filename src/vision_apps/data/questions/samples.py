"""From questions to samples: a picture brought to one size, all its questions, padded to one number."""

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Size
from vision_apps.data.images import Levels, read_image
from vision_apps.data.resizing import ResizeMode, resize_picture


class QuestionTable(NamedTuple):
    """The pictures of a split as few arrays: a list of many objects gets copied into every worker."""

    files: np.ndarray  # encoded paths [N]
    starts: Tensor  # int64 [N + 1]: where a picture's questions begin
    questions: Tensor  # int64 [T, L]: of all pictures
    answers: Tensor  # int64 [T], -1 where the list has it not
    types: Tensor  # int64 [T]
    human_answers: Tensor  # int64 [T, P], likewise


@dataclass
class QuestionSamples:
    """Reads and resizes one picture at a time; run in loader workers, or by threads."""

    table: QuestionTable
    fields: tuple[str, ...]
    size: Size
    mode: ResizeMode
    rows: int  # of questions per picture, in all splits alike; those past a picture's questions are empty
    max_pixels: int
    levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.table.files)

    def picture(self, index: int) -> Tensor:
        """The picture with this number, resized: uint8 [3, H, W]. `CorruptSample` where the file cannot be
        decoded."""
        image = read_image(os.fsdecode(self.table.files[index]), self.max_pixels, self.levels)
        return resize_picture(image, self.size, self.mode)[0]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        own = slice(*self.table.starts[index : index + 2].tolist())
        sample: dict[str, Tensor] = {}
        if "images" in self.fields:
            sample["images"] = self.picture(index)
        if "other_images" in self.fields:
            sample["other_images"] = self.picture((index + 1) % len(self))
        of_questions = {
            "questions": (self.table.questions, 0),
            "answers": (self.table.answers, -1),
            "question_types": (self.table.types, -1),
            "human_answers": (self.table.human_answers, -1),
        }
        for name, (values, empty) in of_questions.items():
            if name in self.fields:
                whole = torch.full((self.rows, *values.shape[1:]), empty)
                whole[: own.stop - own.start] = values[own]
                sample[name] = whole
        return sample
