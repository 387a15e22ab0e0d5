"""How answers are shown: to a person as pictures, to other programs as rows and files."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, NamedTuple

from torch import Tensor

from vision_apps.core.fields import AnswerT, BatchT, InputsT
from vision_apps.core.pictures import Color, sheet

Row = dict[str, Any]  # JSON-able


def exact(values: Tensor) -> list[Any]:
    """Nested lists of the shortest decimals that are these float32 values: what is read back is what was
    measured."""
    decimals: list[Any] = values.detach().float().cpu().numpy().astype(str).astype(float).tolist()
    return decimals


def class_rows(class_names: Sequence[str], **columns: Tensor) -> list[Row]:
    """A row for each class of what ``columns`` say of it, [K] each: floats to six decimals, None for NaN."""
    values = {"class": list(class_names), **{name: _cells(column) for name, column in columns.items()}}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _cells(column: Tensor) -> list[Any]:
    told = [value if isinstance(value, int) else round(value, 6) for value in column.tolist()]
    return [value if value == value else None for value in told]


class Drawn(NamedTuple):
    """Samples drawn below each other."""

    rows: list[Tensor]  # one picture a sample, uint8 [3, h, w]
    titles: tuple[str, ...] = ()  # of the columns that each row has side by side
    legend: Mapping[str, Color] = MappingProxyType({})  # what the colours in these rows stand for

    @property
    def sheet(self) -> Tensor:
        """All of it in one picture."""
        return sheet(self.rows, self.titles, legend=self.legend)


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Of one kind, below each other, on the CPU."""
    legend = {name: color for part in parts for name, color in part.legend.items()}
    titles = parts[0].titles if parts else ()
    return Drawn([row.cpu() for part in parts for row in part.rows], titles, legend)


class Presentation(Generic[BatchT, InputsT, AnswerT]):
    """The part of an application that shows its answers. As it stands it shows the pictures that came in and
    describes an answer by the numbers in it, which suits any application with pictures; an application
    replaces what it can show better.
    """

    def draw_with_truth(self, batch: BatchT, answer: AnswerT) -> Drawn:
        """Each sample of a batch with its truth and its answer, beside each other."""
        return Drawn(list(batch._asdict()["images"].cpu()), ("picture",))

    def draw_answer(self, inputs: InputsT, answer: AnswerT) -> list[Tensor]:
        """One picture for each input, without truth, uint8 [3, h, w]: what ``predict`` writes. None where
        there is nothing to draw."""
        images: Tensor | None = inputs._asdict().get("images")
        return [] if images is None else list(images.cpu())

    def describe(self, inputs: InputsT, answer: AnswerT) -> list[Row]:
        """One row of JSON-able values for each input: what ``predict`` writes as JSON lines."""
        fields = {name: value.tolist() for name, value in answer._asdict().items() if value is not None}
        return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]

    def files(self, inputs: InputsT, answer: AnswerT, name: str, file: str) -> dict[str, bytes]:
        """What ``predict`` writes for one input beside its drawing: content by the path below its folder.

        Args:
            inputs, answer: batches of one.
            name: of what is written, without an extension.
            file: the picture, as it was given.
        """
        return {}

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """What ``predict`` writes about all pictures: content by the path below its folder; none where these
        rows give no such file, so that one of an earlier call does not stand beside them. ``rows``: as
        `describe` gives them, with ``file``, ``width`` and ``height`` in px. They can be gone through once,
        and are read as they are asked for: there may be a million."""
        return {}

    def figures(self, measured: Mapping[str, Any]) -> dict[str, Tensor]:
        """Pictures of a whole evaluation by name, uint8 [3, h, w], of what the metrics computed, by name;
        scalars are logged anyway."""
        return {}

    def tables(self, measured: Mapping[str, Any]) -> dict[str, list[Row]]:
        """Tables of a whole evaluation by name, such as ``classes`` with a row for each; a test's are written
        as CSV. Rows have the same keys, and None where the data do not define a figure."""
        return {}
