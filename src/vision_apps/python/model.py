"""A trained run that answers in the process of whoever asks."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from vision_apps.core.config.allowing import allow_targets
from vision_apps.core.errors import ConfigError, DataError, some
from vision_apps.core.module import VisionModule
from vision_apps.prediction import inputs, reading
from vision_apps.prediction.batching import Answerer, answered
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.outputs import described
from vision_apps.prediction.predict import ready
from vision_apps.prediction.takes import Takes
from vision_apps.python.answer import Answer
from vision_apps.python.pictures import pixels
from vision_apps.trained import evaluate

Picture = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor

_NAMED = 3  # inputs that an error names


class Model:
    """What ``vision-apps predict`` asks, for one process that asks many times.

    Attributes:
        takes: what it can be asked about, in words.
        module: the trained `VisionModule`, on the device that answers.
        facts: what the run knows of its data, such as ``class_names``.
        levels: what it reads pictures of more than 8 bits with, as `data.images.read_image` takes them.
    """

    def __init__(self, run: str | os.PathLike[str], *changes: str) -> None:
        self.run = os.fspath(run)
        trained = evaluate.load(self.run)
        self._predictor = ready(trained, allow_targets(changes))
        self._takes = Takes.of(self._predictor.module)
        self.levels = trained.levels
        self._answerers: dict[int | None, Answerer] = {}  # which remember how many at once are fast
        self.facts: Mapping[str, Any] = trained.checkpoint.get("facts") or {}

    @property
    def module(self) -> VisionModule:
        return self._predictor.module

    @property
    def takes(self) -> str:
        return self._takes.told()

    @property
    def words(self) -> Mapping[str, str]:
        """What can be said beside a picture or instead of it, and what it means."""
        return self._takes.words

    @property
    def pictures(self) -> bool:
        """Whether it takes any."""
        return self._takes.pictures

    def __repr__(self) -> str:
        return f"<{type(self.module).__name__} of {self.run}: takes {self.takes}>"

    def predict(
        self,
        *pictures: Picture | list[Any] | tuple[Any, ...],
        batch: int | None = None,
        strict: bool = True,
        **words: object,
    ) -> list[Answer]:
        """The answers in order, the same as ``vision-apps predict`` writes. All are held in memory, with
        their pictures; for more than fit, that command writes them to a folder.

        Args:
            pictures: what the command takes as INPUT (files, folders, patterns, videos, rows), PIL images,
                arrays uint8 [H, W], [H, W, 3] or [H, W, 4], sRGB, tensors uint8 [3, H, W], or lists of these.
            batch: at once; None finds the number.
            strict: of inputs that cannot be read or understood nothing is answered; otherwise their answers
                have ``failed``.
            words: what the run takes beside or instead of a picture, for all that have none of their own, as
                in ``question="how many?"``.

        Raises:
            ConfigError: the run does not take what is given, or takes pictures and none is given.
            DataError: one of the inputs is not there, or cannot be read or understood.
        """
        return self.answers(pictures, words, batch, strict)

    def answers(
        self,
        pictures: Sequence[Any],
        words: Mapping[str, object],
        batch: int | None = None,
        strict: bool = True,
    ) -> list[Answer]:
        """As `predict`, with words of any name."""
        given = {name: inputs.as_text(value) for name, value in words.items()}
        self._takes.require(given, "")
        if self._takes.needed and not pictures:
            example = ", ".join(['"photo.jpg"', *(f'{word}="..."' for word in self._takes.words)])
            raise ConfigError(f"predict: which pictures? As in predict({example})")
        found = list(self._found(list(pictures), given))
        if not pictures:
            found = inputs.find([], self._takes, given)
        if batch not in self._answerers:
            self._answerers[batch] = Answerer(self._predictor.answer, self.module.device, batch)
        answers = []
        with closing(reading.read(found, self.module.encode, levels=self.levels)) as items:
            for item, answer in answered(items, self._answerers[batch]):
                row = described(self.module.presentation, found[item.source], item, answer)
                answers.append(Answer(row, self.module.presentation, item.inputs, answer))
        wrong = [f"{a.row.get('file', 'input')}: {a.row['error']}" for a in answers if a.failed]
        if wrong and strict:
            raise DataError(f"{len(wrong)} of {len(answers)} inputs: {some(wrong, _NAMED)}")
        return answers

    def _found(self, pictures: list[Any], given: Mapping[str, str]) -> Iterator[Input]:
        for picture in pictures:
            if isinstance(picture, list | tuple) or getattr(picture, "ndim", 0) == 4:
                yield from self._found(list(picture), given)
            elif isinstance(picture, str | os.PathLike):
                yield from inputs.find([os.fspath(picture)], self._takes, given)
            elif not self._takes.pictures:
                raise DataError(f"{type(picture).__name__}: this run takes {self.takes}")
            else:
                yield Input(type(picture).__name__, "picture", given, image=pixels(picture, self.levels))
