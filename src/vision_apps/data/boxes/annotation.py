"""What an annotation file says of one picture, whatever its format, and which of its boxes can be used."""

import logging
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some

log = logging.getLogger(__name__)

OnBadBox = Literal["refuse", "drop"]
ROUNDING = 1.0  # px that a box may stand out of its picture without being told of: tools round differently

_NAMED = 3  # boxes in a warning; all of them are listed by the doctor
_WRONG = {  # kinds that cannot be meant as they stand
    "not finite": "is not a number",
    "reversed": "has its second corner before the first",
    "outside": "lies outside its picture",
}
MOST_BOXES = 20_000  # of a picture; what compares each with each needs the square of it
NO_RELATIONS = np.zeros((0, 3), np.int64)


class Annotation(NamedTuple):
    """One picture with its objects, in pixels of the file."""

    path: str
    height: int  # 0 until it is known, for formats that do not say
    width: int
    boxes: np.ndarray  # float32 [n, 4]: x1, y1, x2, y2
    labels: np.ndarray  # int64 [n]: 0..K-1
    ignored: np.ndarray  # bool [n]
    areas: np.ndarray  # float32 [n], px: of what is in the box; NaN where the format does not say
    image_id: str | int  # what the format calls the picture
    source: str  # the file, and where there are many the place in it, that says so
    relations: np.ndarray = NO_RELATIONS  # int64 [r, 3]: subject, object (numbers of boxes), predicate

    def sized(self, height: int, width: int) -> "Annotation":
        """The same of a picture of this size."""
        return self._replace(height=height, width=width)


class Annotations(list[Annotation]):
    """The pictures of a split."""

    each_validates = False  # what chooses among a run's checkpoints needs not every class

    @property
    def pictures(self) -> list[str]:
        return [item.path for item in self]

    @property
    def classes(self) -> None:
        """A picture has several."""

    @property
    def class_sets(self) -> list[set[int]]:
        """Of each picture the classes of what is learned from in it."""
        return [set(item.labels[~item.ignored].tolist()) for item in self]

    def joined(self, more: "Annotations") -> "Annotations":
        """These pictures and, after them, those."""
        return Annotations([*self, *more])

    def take(self, rows: Tensor) -> "Annotations":
        """Those with these numbers, int64 [n], in their order."""
        return Annotations(self[row] for row in rows.tolist())


class Annotated(NamedTuple):
    """A whole data set. A split that is missing is held out of the training pictures."""

    class_names: list[str]
    splits: dict[Split, list[Annotation]]


class BadBox(NamedTuple):
    """A box that cannot be used as it stands."""

    source: str
    number: int  # in its picture, from 0
    box: tuple[float, ...]
    size: tuple[int, int]  # width and height of the picture
    kind: str

    def __str__(self) -> str:
        corners = ", ".join(f"{value:g}" for value in self.box)
        return (
            f"{self.source}, box {self.number}: ({corners}) in a picture of {self.size[0]} x {self.size[1]}"
        )


def annotation(
    path: object,
    size: tuple[int, int],
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    ignored: Sequence[bool] | None = None,
    areas: Sequence[float] | None = None,
    *,
    image_id: str | int,
    source: object,
) -> Annotation:
    """One picture of plain lists.

    Args:
        size: height and width, px.
        boxes: x1, y1, x2, y2 in px.
        ignored: by default none.
        areas: in px; by default unknown.

    Raises:
        DataError: there are more than `MOST_BOXES`.
    """
    if len(boxes) > MOST_BOXES:
        raise DataError(
            f"{source}: {len(boxes):,} boxes in one picture; expected at most {MOST_BOXES:,}: cut it into "
            "parts"
        )
    return Annotation(
        str(path),
        *size,
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(labels, np.int64),
        np.zeros(len(labels), bool) if ignored is None else np.asarray(ignored, bool),
        np.full(len(labels), np.nan, np.float32) if areas is None else np.asarray(areas, np.float32),
        image_id,
        str(source),
    )


def label_of(name: str, class_names: Sequence[str], source: object) -> int:
    """The number of the class called ``name``. `DataError`, which says where it stands, where it is not among
    them."""
    if name not in class_names:
        raise DataError(
            f"{source}: class {name!r} is not among {', '.join(class_names)}; "
            "add it to data.classes, or leave data.classes null to take all that occur"
        )
    return class_names.index(name)


def kinds(item: Annotation) -> list[str]:
    """Of each box, what is wrong with it: nothing (empty text), ``cut`` (it stands out of its picture by more
    than rounding), ``empty`` (no area), ``outside``, ``reversed`` or ``not finite``."""
    x1, y1, x2, y2 = item.boxes.T
    with np.errstate(invalid="ignore"):
        over = np.max([-x1, -y1, x2 - item.width, y2 - item.height], axis=0)
        outside = (x2 <= 0) | (y2 <= 0) | (x1 >= item.width) | (y1 >= item.height)
        found = np.select(
            [
                ~np.isfinite(item.boxes).all(1),
                (x2 < x1) | (y2 < y1),
                (x2 == x1) | (y2 == y1),
                outside,
                over > ROUNDING,
            ],
            ["not finite", "reversed", "empty", "outside", "cut"],
            "",
        )
    return [str(kind) for kind in found]


def clean(item: Annotation) -> tuple[Annotation, list[BadBox]]:
    """The picture with its usable boxes, clipped to it, and a list of all boxes that are no good as they
    stand: those that were cut by more than rounding, and those that are left out."""
    if not len(item.boxes):
        return item, []
    found = kinds(item)
    keep = np.array([kind in ("", "cut") for kind in found])
    frame = np.array([item.width, item.height] * 2, np.float32)
    kept = item._replace(
        boxes=np.clip(item.boxes, 0, frame)[keep],
        labels=item.labels[keep],
        ignored=item.ignored[keep],
        areas=item.areas[keep],
        relations=_renumbered(item.relations, keep),
    )
    bad = [
        BadBox(item.source, number, tuple(item.boxes[number].tolist()), (item.width, item.height), kind)
        for number, kind in enumerate(found)
        if kind
    ]
    return kept, bad


def _renumbered(relations: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Those between boxes that are kept, with their numbers among these; none that names a box which there
    is not."""
    named = relations[:, :2]
    relations = relations[((named >= 0) & (named < len(keep))).all(1)]
    numbers = np.where(keep, keep.cumsum() - 1, -1)
    ends = numbers[relations[:, :2]]
    return np.column_stack([ends, relations[:, 2]])[(ends >= 0).all(1)]


def clean_all(items: Iterable[Annotation], on_bad_box: OnBadBox) -> tuple[list[Annotation], list[BadBox]]:
    """Every picture with its usable boxes; what was cut or left out is counted, named and logged.

    A picture is left out with its boxes where none is left and one of them had an object in it: it is not
    known where, and to train it as empty would be wrong. `DataError` where there is a box that cannot be
    meant (no number, reversed, outside) and ``on_bad_box`` is ``refuse``.
    """
    kept: list[Annotation] = []
    bad: list[BadBox] = []
    lost: list[Annotation] = []
    unrelated = 0
    for item in items:
        usable, problems = clean(item)
        unrelated += len(item.relations) - len(usable.relations)
        hidden = not len(usable.labels) and any(box.kind != "outside" for box in problems)
        (lost if hidden else kept).append(usable)
        bad += problems
    wrong = [box for box in bad if box.kind in _WRONG]
    if wrong and on_bad_box == "refuse":
        others = "" if len(wrong) == 1 else f" ({len(wrong)} boxes cannot be used)"
        raise DataError(
            f"data: {wrong[0]} {_WRONG[wrong[0].kind]}{others}\n"
            "  Mend the annotation, or leave such boxes out and count them: data.on_bad_box=drop"
        )
    _warn("left out {} of no size", [box for box in bad if box.kind == "empty"])
    _warn("left out {} that cannot be meant", wrong)
    _warn("cut {} to the picture", [box for box in bad if box.kind == "cut"])
    if unrelated:
        log.warning("left out %d relations of such boxes", unrelated)
    if lost:
        pictures = "1 picture" if len(lost) == 1 else f"{len(lost)} pictures"
        log.warning("left out %s without a usable box, such as %s", pictures, lost[0].path)
    return kept, bad


def _warn(text: str, bad: Sequence[BadBox]) -> None:
    if bad:
        count = "1 box" if len(bad) == 1 else f"{len(bad)} boxes"
        log.warning("%s: %s", text.format(count), some(bad, _NAMED, "; "))
