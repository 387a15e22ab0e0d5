"""One answer as a plain object."""

import io
from os import PathLike
from typing import Any

import torch
from PIL import Image

from vision_apps.core.errors import DataError
from vision_apps.core.fields import Fields
from vision_apps.core.pictures import to_pil
from vision_apps.core.presentation import Presentation, Row

_SHOWN = 300  # characters of its row


class Answer:
    """What a run says about one input. ``answer["boxes"]`` is a value of its ``row``, which is what
    ``vision-apps predict`` writes to ``predictions.jsonl``.

    Attributes:
        row: JSON-able values by name.
        tensors: the same as the application's NamedTuple, a batch of one.
    """

    def __init__(
        self,
        row: Row,
        presentation: Presentation[Fields, Fields, Fields],
        inputs: Fields | None,
        answer: Fields | str,
    ) -> None:
        self.row = row
        self.tensors: Any = answer
        self._presentation, self._inputs = presentation, inputs

    @property
    def failed(self) -> bool:
        """There is no answer, and the row says why."""
        return "error" in self.row

    def __getitem__(self, name: str) -> Any:
        if name not in self.row:
            raise KeyError(f"{name!r}; the answer has {', '.join(self.row)}")
        return self.row[name]

    def draw(self) -> Image.Image:
        """As ``vision-apps predict`` draws it. `DataError` where there is nothing to draw."""
        drawn = []
        if self._inputs is not None and not self.failed:
            with torch.inference_mode():
                drawn = self._presentation.draw_answer(self._inputs, self.tensors)
        if not drawn:
            raise DataError(f"there is nothing to draw of this answer; it says {self}")
        return to_pil(drawn[0])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the drawing, in the format that the name ends with."""
        self.draw().save(path)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        try:
            drawn = self.draw()
        except DataError:
            return None
        content = io.BytesIO()
        drawn.save(content, "PNG")
        return content.getvalue()

    def __repr__(self) -> str:
        text = str(self.row)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
