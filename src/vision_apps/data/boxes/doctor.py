"""What looks wrong in a data set with boxes, from its annotations alone.

Every suspicion compares what the numbers would mean if they had been written another way: it is told where
the reading that is in use fails for many boxes and the other one fails for none, or nearly none.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from vision_apps.core.class_names import absent
from vision_apps.core.data import Split
from vision_apps.core.errors import some
from vision_apps.data.boxes.annotation import ROUNDING, Annotation, clean

_MANY, NEARLY_NONE = 0.1, 0.01  # shares of the boxes
_FEWEST = 5  # boxes, below which shares say nothing
_NAMED = 3  # pictures in a line
_LISTED = 20  # boxes that get a line of their own
_TINY = 3.0  # px, a side after resizing
_STEP = 32  # px, between sizes that are proposed
_SAME = 0.005  # of the picture's side: boxes that differ by less are one


def findings(
    splits: Mapping[Split, Sequence[Annotation]],
    raw: Sequence[Annotation],
    class_names: Sequence[str],
    longest: float,
    more: Callable[[Split, bool], str],
) -> Iterator[str]:
    """Counts of each split, then everything that is suspicious, a line each.

    Args:
        splits: what is trained on.
        raw: all pictures, boxes as they stand in the files.
        longest: longer side in px of the size that pictures are brought to.
        more: as for `obstacles`.
    """
    for split, items in splits.items():
        yield counts(split, items)
        yield histogram(split, items, class_names)
    yield from coordinates(raw)
    yield from label_offset(raw, class_names)
    yield from unusable(raw)
    yield from duplicates(raw)
    yield from twice(splits)
    yield from empty_pictures(splits)
    yield from vanishing(raw, longest)
    yield from obstacles(splits, class_names, more)


def obstacles(
    splits: Mapping[Split, Sequence[Annotation]],
    class_names: Sequence[str],
    more: Callable[[Split, bool], str],
) -> Iterator[str]:
    """What training cannot learn from these boxes.

    Args:
        more: what gives a split objects that it has not, told whether another has some.
    """
    counts: dict[Split, list[int]] = {
        split: _of_classes(items, len(class_names)) for split, items in splits.items()
    }
    for split, items in splits.items():
        if items and not any(counts[split]):
            yield (
                f"labels: none of the {len(items)} pictures of {split} has an object, so that precision and "
                f"recall are not defined there; {more(split, True)}"
            )
    yield from absent(counts, class_names, "objects", more)
    yield from one_place(splits["train"])


def counts(split: str, items: Sequence[Annotation]) -> str:
    """How many pictures and objects a split has, as a line."""
    per_picture = [len(item.labels) for item in items]
    ignored = sum(int(item.ignored.sum()) for item in items)
    return (
        f"{split}: {len(items)} pictures, {sum(per_picture)} objects, at most {max(per_picture, default=0)} "
        f"in one" + (f", {ignored} of them ignored" if ignored else "")
    )


def histogram(split: str, items: Iterable[Annotation], class_names: Sequence[str]) -> str:
    """How many objects of each class a split has, as a line."""
    found = Counter(label for item in items for label in item.labels.tolist())
    listed = ", ".join(f"{name} {found[label]}" for label, name in enumerate(class_names))
    return f"{split}: objects of each class: {listed}"


def coordinates(items: Sequence[Annotation]) -> Iterator[str]:
    """Boxes that make sense if their four numbers mean something else."""
    boxes, frames = _together(items)
    if len(boxes) < _FEWEST:
        return
    wrong = _wrong(boxes, frames).mean()
    first, second = boxes[:, :2], boxes[:, 2:]
    if (boxes >= 0).all() and (boxes <= 1).all():
        yield (
            "coordinates: all lie between 0 and 1: they look like shares of the picture's sides; boxes are "
            "read in pixels"
        )
        return
    if wrong < _MANY:
        return
    readings = {
        "x, y, width, height where two corners x1, y1, x2, y2 are read": np.hstack([first, first + second]),
        "two corners x1, y1, x2, y2 where x, y, width, height are read": np.hstack([first, second - first]),
        "y before x (y1, x1, y2, x2)": boxes[:, [1, 0, 3, 2]],
        "centre, width, height where two corners are read": np.hstack(
            [first - second / 2, first + second / 2]
        ),
    }
    for name, other in readings.items():
        if _wrong(other, frames).mean() <= NEARLY_NONE:
            yield (
                f"coordinates: {wrong:.0%} of the boxes are reversed or stand out of their pictures; nearly "
                f"all would fit if the files have {name}"
            )
            return


def label_offset(items: Iterable[Annotation], class_names: Sequence[str]) -> Iterator[str]:
    """The first class never occurs and the last one does: numbers that count from 1 where 0 is meant."""
    found = {label for item in items for label in item.labels.tolist()}
    last = len(class_names) - 1
    if last >= 1 and found and 0 not in found and last in found:
        yield (
            f"labels: no object is of the first class, {class_names[0]!r}: the labels may count from 1, or "
            "the first class stands for the background; both shift every class by one"
        )


def one_place(items: Sequence[Annotation]) -> Iterator[str]:
    """Boxes that are all the same part of their pictures: where an object is cannot be learned from them."""
    boxes, frames = _together(items)
    if len(boxes) < _FEWEST:
        return
    shares = boxes / np.hstack([frames, frames])
    if (np.ptp(shares, axis=0) < _SAME).all():
        corners = ", ".join(f"{share:.2f}" for share in shares.mean(0))
        yield (
            f"boxes: all {len(boxes)} of train (100%) are the same part of their pictures ({corners}): where "
            "an object is cannot be learned from them; draw boxes that fit, or learn only what is there: "
            "task=classification"
        )


def unusable(items: Iterable[Annotation]) -> Iterator[str]:
    """Boxes without area, reversed, outside of their picture or standing out of it."""
    texts = {
        "empty": "has no size and is left out",
        "cut": f"stands out of its picture by more than {ROUNDING:g} px and is cut",
        "outside": "lies outside its picture and is left out",
        "reversed": "has its second corner before the first and is left out",
        "not finite": "is no number and is left out",
    }
    found = [box for item in items for box in clean(item)[1]]
    for box in found[:_LISTED]:
        yield f"box: {box} {texts[box.kind]}"
    if len(found) > _LISTED:
        yield f"box: {len(found) - _LISTED} further boxes are like that"


def duplicates(items: Iterable[Annotation]) -> Iterator[str]:
    """The same box of the same class twice in one picture."""
    found = []
    for item in items:
        rows = np.column_stack([item.boxes, item.labels])
        if more := len(rows) - len(np.unique(rows, axis=0)):
            found.append((item.source, more))
    if found:
        named = some([source for source, _ in found], _NAMED)
        yield f"boxes: {sum(more for _, more in found)} stand twice with the same class: {named}"


def twice(splits: Mapping[Split, Sequence[Annotation]]) -> Iterator[str]:
    """The same picture more than once in one split."""
    for split, items in splits.items():
        found = [path for path, times in Counter(item.path for item in items).items() if times > 1]
        if found:
            yield f"pictures: {len(found)} are listed more than once in {split}: {some(found, _NAMED)}"


def empty_pictures(splits: Mapping[Split, Sequence[Annotation]]) -> Iterator[str]:
    for split, items in splits.items():
        if found := [item.path for item in items if not len(item.labels)]:
            named = some(found, _NAMED)
            yield f"pictures: {len(found)} of {split} have no object and train as empty: {named}"


def vanishing(items: Sequence[Annotation], longest: float, least: float = 0) -> Iterator[str]:
    """Objects that resizing makes too small to be seen, where they are more than the share ``least``."""
    boxes, frames = _together(items)
    if not len(boxes):
        return
    sides = (boxes[:, 2:] - boxes[:, :2]).min(1) * longest / frames.max(1)
    small = (sides > 0) & (sides < _TINY)
    if small.any() and small.mean() > least:
        # of which all but that share are wide enough
        needed = longest * _TINY / np.quantile(sides[sides > 0], least, method="higher")
        yield (
            f"boxes: {small.sum()} of {len(boxes)} ({small.mean():.0%}) are narrower than {_TINY:g} px once "
            f"pictures are resized; data.image_size={_STEP * math.ceil(needed / _STEP)} keeps them"
        )


def _of_classes(items: Iterable[Annotation], count: int) -> list[int]:
    """How many objects of each class there are."""
    return np.bincount([label for item in items for label in item.labels.tolist()], minlength=count).tolist()


def _together(items: Sequence[Annotation]) -> tuple[np.ndarray, np.ndarray]:
    """All boxes [T, 4] and the widths and heights of their pictures [T, 2]."""
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(item.boxes for item in items)])
    frames = np.array([[item.width, item.height] for item in items], np.float32).reshape(-1, 2)
    return boxes, np.repeat(frames, [len(item.boxes) for item in items], axis=0)


def _wrong(boxes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """bool [T]: reversed, or out of the picture by more than rounding."""
    corners = np.hstack([boxes[:, 2:] < boxes[:, :2], boxes[:, :2] < -ROUNDING])
    bad: np.ndarray = np.any(np.hstack([corners, boxes[:, 2:] > frames + ROUNDING]), axis=1)
    return bad
