"""Cross-validation: of K runs each holds one of K parts of the samples out, so that every one is measured."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


def stratified(
    names: Sequence[str],
    class_sets: Sequence[Collection[Class]],
    wanted: Callable[[int], Sequence[float]],
    seed: int,
) -> list[int]:
    """The part of each sample where one may have any number of classes: iterative stratification (Sechidis,
    Tsoumakas and Vlahavas 2011, algorithm 1).

    The class of which the fewest samples are left comes next; each of them goes to the part that lacks most
    of that class, of several to the one that lacks most samples, as those without a class do. What the
    authors draw is a function of the names and the seed here. A new sample may move any other.

    Args:
        names: of the samples, all different.
        class_sets: of each its classes.
        wanted: how many of so many samples each part is to get, of a class and of all.
    """
    left: dict[Class, set[int]] = {}
    for row, own in enumerate(class_sets):
        for one in own:
            left.setdefault(one, set()).add(row)
    lacks = {one: [*wanted(len(rows))] for one, rows in left.items()}
    of_all = [*wanted(len(names))]
    found = [-1] * len(names)
    places = [place(name, seed) for name in names]

    def give(rows: Iterable[int], of_class: list[float]) -> None:
        for row in sorted(rows, key=lambda row: (places[row], names[row])):
            part = max(
                range(len(of_all)),
                key=lambda part: (of_class[part], of_all[part], place(f"{names[row]}\0{part}", seed)),
            )
            found[row] = part
            of_all[part] -= 1
            for one in class_sets[row]:
                lacks[one][part] -= 1
                left[one].discard(row)

    while there := {one: rows for one, rows in left.items() if rows}:
        rarest = min(there, key=lambda one: (len(there[one]), place(str(one), seed)))
        give(there[rarest], lacks[rarest])
    give([row for row, part in enumerate(found) if part < 0], of_all)
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
    class_sets: Sequence[Collection[Class]] | None = None,
    known: Mapping[str, Split] | None = None,
) -> list[Split]:
    """The split of each sample in the run that holds one of ``count`` folds out.

    Args:
        held: what the fold is to that run.
        val_fraction: of each class of the other folds, rounded and at least one of several, is validated on:
            another draw in each run.
        class_sets: instead of ``classes`` where a sample has any number of them: cut as `stratified` says.
        known: splits that the run has drawn before, by `alike` names; those samples stay where they were.
    """

    def validated(rows: int) -> float:
        return max(1, val_fraction * rows) if rows > 1 else 0

    if class_sets is None:
        parts = folds(names, count, seed, classes)
    else:
        parts = stratified(names, class_sets, lambda rows: [rows / count] * count, seed)
    found: list[Split] = [held if own == fold else "train" for own in parts]
    rest = [row for row, split in enumerate(found) if split == "train"]
    if val_fraction and class_sets is not None:
        drawn = stratified(
            [f"{names[row]}\0{fold}" for row in rest],
            [class_sets[row] for row in rest],
            lambda rows: [rows - validated(rows), validated(rows)],
            seed,
        )
        for row, part in zip(rest, drawn, strict=True):
            found[row] = "val" if part else "train"
    elif val_fraction:
        for rows in _by_class(rest, classes if classes and len(rest) > 1 else None).values():
            rows.sort(key=lambda row: place(f"{names[row]}\0{fold}", seed))
            for row in rows[: round(validated(len(rows)))]:
                found[row] = "val"
    known = known or {}
    return [known.get(alike(name), split) for name, split in zip(names, found, strict=True)]


def _by_class(rows: Sequence[int], classes: Sequence[Class] | None) -> dict[Class | None, list[int]]:
    groups: dict[Class | None, list[int]] = {}
    for row in rows:
        groups.setdefault(classes[row] if classes else None, []).append(row)
    return groups
