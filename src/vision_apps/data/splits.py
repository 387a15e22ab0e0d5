"""Which samples are held out: a function of each sample's own name, so that a new file moves no other."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
) -> list[Split]:
    """The split of each sample.

    Those whose place is below the fraction of ``test`` are tested on, those above 1 less the fraction of
    ``val`` are validated on, whatever other samples there are: the sizes of the splits are the fractions'
    only on average. A class of which a split would get none gives it the sample that is nearest, training
    first, and keeps one in each other; so does the whole set.

    Args:
        names: of the samples, all different.
        fractions: of ``val``, ``test`` or both, together less than 1.
        classes: of the samples; one for all by default.
        known: splits that were drawn before, by `alike` names; those samples stay where they were.

    Returns:
        A split for each name. One that is asked for has none where there are too few samples.
    """
    known = known or {}
    was = [known.get(alike(name)) for name in names]
    places = [place(name, seed) for name in names]
    test, val = fractions.get("test", 0.0), 1 - fractions.get("val", 0.0)
    drawn: list[Split] = ["test" if p < test else "val" if p >= val else "train" for p in places]
    drawn = [before or split for before, split in zip(was, drawn, strict=True)]
    groups: dict[Class | None, list[int]] = {}
    for row, own in enumerate(classes or ()):
        groups.setdefault(own, []).append(row)
    distances: dict[Split, Callable[[float], float]] = {
        "train": lambda p: max(test - p, p - val),
        "test": lambda p: p,
        "val": lambda p: -p,
    }
    for rows in (*groups.values(), range(len(names))):
        for split in ("train", *(own for own in SPLITS[::-1] if own in fractions)):
            counts = Counter(drawn[row] for row in rows)
            spare = [row for row in rows if split == "train" or counts[drawn[row]] > 1]
            spare = [row for row in spare if was[row] is None]
            if spare and not counts[split]:
                drawn[min(spare, key=lambda row: distances[split](places[row]))] = split
    return drawn
