"""Which samples are held out: a function of each sample's own name, so that a new file moves no other."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.spelling import alike

Class = TypeVar("Class")

_BYTES = 8


def place(name: str, seed: int) -> float:
    """Where a sample lies between 0 and 1: the same on every system."""
    text = f"{seed}\0{alike(name)}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=_BYTES).digest(), "big") / 2 ** (8 * _BYTES)


def draw(
    names: Sequence[str],
    fractions: Mapping[Split, float],
    seed: int,
    classes: Sequence[Class] | None = None,
    known: Mapping[str, Split] | None = None,
    class_sets: Sequence[Collection[Class]] | None = None,
    each_validates: bool = False,
) -> list[Split]:
    """The split of each sample.

    Those whose place is below the fraction of ``test`` are tested on, those above 1 less the fraction of
    ``val`` are validated on, whatever other samples there are: the sizes of the splits are the fractions'
    only on average. A class of which a split would get none gives it the sample that is nearest, training
    first, and keeps one in each other. So does the whole set, of the class that has most to give. A class has
    to give validation none where the fraction is less than one of its samples, though one of them may lie
    there: what chooses among a run's checkpoints needs not every class, and of few samples each is missed in
    training.

    Args:
        names: of the samples, all different.
        fractions: of ``val``, ``test`` or both, together less than 1.
        classes: of the samples; one for all by default.
        known: splits that were drawn before, by `alike` names; those samples stay where they were.
        class_sets: instead of ``classes`` where a sample has any number of them. A sample then moves only
            where all its classes keep another one, so that some class may still be left out.
        each_validates: each class gives validation one, as where that gives it a threshold.

    Returns:
        A split for each name. One that is asked for has none where there are too few samples.
    """
    known = known or {}
    was = [known.get(alike(name)) for name in names]
    places = [place(name, seed) for name in names]
    test, val = fractions.get("test", 0.0), 1 - fractions.get("val", 0.0)
    drawn: list[Split] = ["test" if p < test else "val" if p >= val else "train" for p in places]
    drawn = [before or split for before, split in zip(was, drawn, strict=True)]
    sets: Sequence[Collection[Class]] = class_sets or [(own,) for own in classes or ()]
    groups: dict[Class, list[int]] = {}
    for row, classes_of_row in enumerate(sets):
        for own in classes_of_row:
            groups.setdefault(own, []).append(row)
    distances: dict[Split, Callable[[float], float]] = {
        "train": lambda p: max(test - p, p - val),
        "test": lambda p: p,
        "val": lambda p: -p,
    }
    counts = {own: Counter(drawn[row] for row in rows) for own, rows in groups.items()}
    wanted: list[Split] = ["train", *(own for own in SPLITS[::-1] if own in fractions)]

    def fill(
        split: Split,
        rows: Sequence[int],
        kept: Callable[[int], list[Counter[Split]]],
        left: Callable[[int], int] = lambda row: 0,
    ) -> None:
        spare = [row for row in rows if was[row] is None]
        if split != "train":
            spare = [row for row in spare if all(count[drawn[row]] > 1 for count in kept(row))]
        if not spare:
            return
        row = min(spare, key=lambda row: (-left(row), distances[split](places[row])))
        for own in sets[row] if sets else ():
            counts[own][drawn[row]] -= 1
            counts[own][split] += 1
        drawn[row] = split

    for split in wanted:
        for own, rows in groups.items():
            due = split != "val" or each_validates or fractions[split] * len(rows) >= 1
            if due and not counts[own][split]:
                fill(split, rows, lambda row: [counts[own] for own in sets[row]])

    def in_all(row: int) -> list[Counter[Split]]:
        return [Counter(drawn)]

    def in_class(row: int) -> list[Counter[Split]]:
        return [*in_all(row), *(counts[own] for own in (sets[row] if sets else ()))]

    def left(row: int) -> int:
        return min((counts[own][drawn[row]] for own in (sets[row] if sets else ())), default=0)

    for split in wanted:
        for kept in (in_class, in_all):  # rather a sample whose class keeps one where it was
            if split not in drawn:
                fill(split, range(len(names)), kept, left)
    return drawn
