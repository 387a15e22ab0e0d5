"""What the fields of a batch are, said once beside each of them and read by padding, augmentation, prediction
and export::

    class QuestionBatch(NamedTuple):
        images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W]
        questions: Annotated[Tensor, Text()]  # int64 [B, L]
        answers: Annotated[Tensor, Label()]  # int64 [B]
"""

import functools
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from vision_apps.core.errors import DataError


@dataclass(frozen=True)
class Kind:
    """How a field behaves.

    ``padding`` is what stands past the end of samples that are shorter than the longest of their batch; none
    where all have one shape.
    """

    padding: ClassVar[float | None] = None


@dataclass(frozen=True)
class Pixels(Kind):
    """A picture, uint8 [B, 3, H, W], sRGB."""


@dataclass(frozen=True)
class Mask(Kind):
    """A class for every pixel [B, H, W], which does not depend on colours; ``void`` is that of pixels from
    outside of the picture."""

    void: int = 255


@dataclass(frozen=True)
class PixelTruth(Kind):
    """What is true of every pixel [B, ..., H, W] as it is: it follows pixels that move as a whole, and is
    lost where pixels are blended, recoloured or come from nowhere."""


@dataclass(frozen=True)
class Boxes(Kind):
    """Boxes x1, y1, x2, y2 in pixels [B, M, 4], y down, the second corner exclusive.

    Args:
        present: the field [B, M] whose values of 0 and more say which rows are objects; without one, those
            with an area are.
        ignored: the field bool [B, M], if any, of objects that do not count.
    """

    present: str | None = None
    ignored: str | None = None
    padding: ClassVar[float | None] = 0


@dataclass(frozen=True)
class RowsOf(Kind):
    """Values of the rows of a field of boxes [B, M, ...]: they go where those go, and are no places in the
    picture (points, outlines), which would have to move with it.

    Args:
        boxes: the field of boxes.
        empty: the value of rows that are none.
    """

    boxes: str = "boxes"
    empty: int = -1

    @property
    def padding(self) -> float | None:  # type: ignore[override]
        return self.empty


@dataclass(frozen=True)
class Links(Kind):
    """Rows that point to boxes by their number, int64 [B, R, C]: renumbered when boxes change their place,
    and dropped with a box that they point to. Rows of -1 are none.

    Args:
        boxes: the field of boxes.
        columns: which hold numbers of boxes; others (a predicate) stay.
        directional: they say where things lie (``left of``): no longer true when the picture is mirrored or
            turned.
    """

    boxes: str = "boxes"
    columns: tuple[int, ...] = (0, 1)
    directional: bool = False
    padding: ClassVar[float | None] = -1


@dataclass(frozen=True)
class Text(Kind):
    """Numbers of words, int64 [B, ..., L].

    Args:
        empty: the number past the end.
        directional: it may say where things lie (``left of``): no longer true when the picture is mirrored or
            turned.
    """

    empty: int = 0
    directional: bool = True

    @property
    def padding(self) -> float | None:  # type: ignore[override]
        return self.empty


@dataclass(frozen=True)
class Label(Kind):
    """The class of the whole picture, int64 [B], or how much of each it is, float [B, K]. If ``directional``,
    some classes say left or right: no longer true when the picture is mirrored or turned."""

    directional: bool = False


@dataclass(frozen=True)
class MultiHot(Label):
    """Which of K classes are in the picture, any number of them: uint8 [B, K], 0 or 1, or how much of each,
    float [B, K]."""


@dataclass(frozen=True)
class Stays(Kind):
    """Values that no change of the pixels touches, such as the size of the file.

    Args:
        empty: the value past the end of samples that have fewer than the longest of their batch; none: all
            have one shape.
    """

    empty: int | None = None

    @property
    def padding(self) -> float | None:  # type: ignore[override]
        return self.empty


@dataclass(frozen=True)
class OfFile(Stays):
    """What is true of the file before it was fitted to one size, [B, ..., h, w]: no change of the fitted
    picture touches it.

    Args:
        empty: the value past the end of files that are smaller than the largest of their batch.
        classes: whether its values are numbers of classes.
    """

    empty: int | None = 0
    classes: bool = False


class Fields(Protocol):
    """A NamedTuple whose fields are tensors over a batch, or None: batches, inputs, answers."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def _asdict(self) -> dict[str, Any]: ...


FieldsT = TypeVar("FieldsT", bound=Fields)
BatchT = TypeVar("BatchT", bound=Fields)
InputsT = TypeVar("InputsT", bound=Fields)
AnswerT = TypeVar("AnswerT", bound=Fields)


class ImageInputs(NamedTuple):
    """What a user gives where pictures are all that is needed."""

    images: typing.Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB


@functools.cache
def kinds(fields: type) -> dict[str, Kind]:
    """The kind of each field of a NamedTuple class that says one."""
    found: dict[str, Kind] = {}
    for name, hint in typing.get_type_hints(fields, include_extras=True).items():
        # `Annotated[Tensor, Text()] | None` says it one level below
        for part in (hint, *typing.get_args(hint)):
            for note in getattr(part, "__metadata__", ()):
                if isinstance(note, Kind):
                    found[name] = note
    return found


def required(fields: type) -> set[str]:
    """The fields of a NamedTuple class that have no default."""
    names: tuple[str, ...] = fields._fields  # type: ignore[attr-defined]
    return set(names) - set(fields._field_defaults)  # type: ignore[attr-defined]


def padded(values: Sequence[Tensor], name: str, kind: Kind | None) -> list[Tensor]:
    """Tensors of one number of dimensions, each filled up to the largest of all; `DataError` where their
    shapes differ and their kind does not say what to fill with."""
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) == 1:
        return list(values)
    if kind is None or kind.padding is None or len({len(shape) for shape in shapes}) > 1:
        raise DataError(
            f"data: samples of one batch differ in the shape of {name!r}: "
            f"{', '.join(str(list(shape)) for shape in sorted(shapes)[:3])}; expected one shape, or a field "
            "whose kind can be filled up (Text, Boxes, RowsOf, Links, Stays(empty=...)), said beside it in "
            "the batch's class"
        )
    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]

    def fill(value: Tensor) -> Tensor:
        # the last dimension comes first
        missing = [
            n for full, size in zip(largest[::-1], value.shape[::-1], strict=True) for n in (0, full - size)
        ]
        return pad(value, missing, value=kind.padding)

    return [fill(value) for value in values]


def without_padding(value: Tensor, kind: Kind | None) -> Tensor:
    """One sample's values without what only fills them up, at the end of each dimension."""
    if kind is None or kind.padding is None or not value.dim():
        return value
    there = (value != kind.padding).nonzero()
    ends = (there.amax(0) + 1).tolist() if len(there) else [0] * value.dim()
    return value[tuple(slice(end) for end in ends)]


def with_fields(fields: FieldsT, values: Mapping[str, Tensor]) -> FieldsT:
    """The same with some fields replaced."""
    return type(fields)(**{**fields._asdict(), **values})


def replaced(fields: FieldsT, change: Callable[[Tensor], Tensor]) -> FieldsT:
    """Every tensor changed; what is None stays so."""
    values = fields._asdict()
    return type(fields)(**{name: None if v is None else change(v) for name, v in values.items()})


def row(fields: FieldsT, index: int) -> FieldsT:
    """One sample as a batch of one: views, no copies."""
    return replaced(fields, lambda value: value[index : index + 1])


def one_by_one(fields: FieldsT) -> list[FieldsT]:
    """Each sample as a batch of one."""
    count = next(len(value) for value in fields._asdict().values() if value is not None)
    return [row(fields, index) for index in range(count)]


def together(samples: Sequence[FieldsT]) -> FieldsT:
    """Batches of one as one batch, filled up by the kinds of their fields; `DataError` where these do not say
    how, or some lack a field that others have."""
    first = samples[0]
    known = kinds(type(first))
    joined: dict[str, Tensor | None] = {}
    for name in first._fields:
        values = [getattr(sample, name) for sample in samples]
        there = [value for value in values if value is not None]
        if there and len(there) < len(values):
            raise DataError(f"data: {len(values) - len(there)} of {len(values)} samples have no {name!r}")
        joined[name] = torch.cat(padded(there, name, known.get(name))) if there else None
    return type(first)(**joined)
