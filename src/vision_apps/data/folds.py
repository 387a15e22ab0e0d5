"""Cross-validation: of K runs each holds one of K parts of the samples out, so that every one is measured."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

from vision_apps.core.data import Split
from vision_apps.core.spelling import alike
from vision_apps.data.splits import place

Class = TypeVar("Class")


def folds(names: Sequence[str], count: int, seed: int, classes: Sequence[Class] | None = None) -> list[int]:
    """The fold of each sample, 0 to ``count`` - 1.

    The samples of each class, in the order of their places, are cut into ``count`` pieces whose sizes differ
    by at most one, as with scikit-learn's ``StratifiedKFold``; the class and the seed draw which are larger.
    A new sample shifts each cut of its own class by at most one sample and no cut of another: at most
    ``count`` - 1 others move, each to the fold beside it.

    Args:
        names: of the samples, all different.
        classes: of the samples; one for all by default.
    """
    found = [0] * len(names)
    for own, rows in _by_class(range(len(names)), classes).items():
        rows.sort(key=lambda row: (place(names[row], seed), names[row]))
        first = int(place(str(own), seed) * count)
        sizes = [len(range((fold - first) % count, len(rows), count)) for fold in range(count)]
        for fold, end in enumerate(accumulate(sizes)):
            for row in rows[end - sizes[fold] : end]:
                found[row] = fold
    return found


def hold_out(
    names: Sequence[str],
    fold: int,
    count: int,
    seed: int,
    *,
    held: Split = "test",
    val_fraction: float = 0.0,
    classes: Sequence[Class] | None = None,
    known: Mapping[str, Split] | None = None,
) -> list[Split]:
    """The split of each sample in the run that holds one of ``count`` folds out.

    Args:
        held: what the fold is to that run.
        val_fraction: of each class of the other folds, rounded and at least one of several, is validated on:
            another draw in each run.
        known: splits that the run has drawn before, by `alike` names; those samples stay where they were.
    """
    found: list[Split] = [held if own == fold else "train" for own in folds(names, count, seed, classes)]
    if val_fraction:
        rest = [row for row, split in enumerate(found) if split == "train"]
        for rows in _by_class(rest, classes if classes and len(rest) > 1 else None).values():
            rows.sort(key=lambda row: place(f"{names[row]}\0{fold}", seed))
            for row in rows[: max(1, round(val_fraction * len(rows))) if len(rows) > 1 else 0]:
                found[row] = "val"
    known = known or {}
    return [known.get(alike(name), split) for name, split in zip(names, found, strict=True)]


def _by_class(rows: Sequence[int], classes: Sequence[Class] | None) -> dict[Class | None, list[int]]:
    groups: dict[Class | None, list[int]] = {}
    for row in rows:
        groups.setdefault(classes[row] if classes else None, []).append(row)
    return groups
