"""Which relations of an annotation can be used, whatever its format."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, some
from vision_apps.data.boxes.annotation import Annotation

log = logging.getLogger(__name__)

OnBadRelation = Literal["refuse", "drop"]
BACKGROUND = ("__background__", "background", "__bg__", "no relation", "n/a")  # names of no predicate

_NAMED = 3  # relations in a warning
_LISTED = 20  # relations that get a line of their own
_WRONG = {  # kinds that cannot be meant as they stand
    "missing": "names an object that is not there",
    "self": "relates an object to itself",
    "unknown": "has a predicate that is not there",
}


class Annotated(NamedTuple):
    """A whole data set. A split that is missing is held out of the training pictures."""

    class_names: list[str]
    predicate_names: list[str]
    splits: dict[Split, list[Annotation]]


class BadRelation(NamedTuple):
    """A relation that cannot be used as it stands."""

    source: str
    relation: tuple[int, int, int | str]  # as the file counts
    objects: int  # of the picture
    kind: str

    def __str__(self) -> str:
        subject, other, predicate = self.relation
        return (
            f"{self.source}: subject {subject}, object {other}, predicate {predicate} in a picture of "
            f"{self.objects} objects"
        )


def related(item: Annotation, rows: Sequence[Sequence[int]]) -> Annotation:
    """A picture with its relations: each subject and object, as the number of its box, and predicate."""
    return item._replace(relations=np.asarray(rows, np.int64).reshape(-1, 3))


def clean(
    item: Annotation, predicates: int, first: int = 0, numbers: Sequence[int | str] = ()
) -> tuple[Annotation, list[BadRelation], int]:
    """The picture with its usable relations, each once; those that are no good; how many stand twice.

    Args:
        first: the number of the first predicate in the file, from which the others are counted.
        numbers: of the predicates, in a file where each has a number of its own; behind them those that
            relations have and that there are not.
    """
    known = dict(enumerate(numbers))
    subject, other, said = item.relations.T
    objects = len(item.labels)
    kinds = np.select(
        [
            (subject < 0) | (other < 0) | (subject >= objects) | (other >= objects),
            subject == other,
            (said < 0) | (said >= predicates),
        ],
        list(_WRONG),
        "",
    )
    bad = [
        BadRelation(item.source, (row[0], row[1], known.get(row[2], row[2] + first)), objects, str(kind))
        for row, kind in zip(item.relations.tolist(), kinds, strict=True)
        if kind
    ]
    kept = item.relations[kinds == ""]
    _, each = np.unique(kept, axis=0, return_index=True)
    return item._replace(relations=kept[np.sort(each)]), bad, len(kept) - len(each)


def clean_all(
    items: Iterable[Annotation],
    predicates: int,
    on_bad_relation: OnBadRelation,
    first: int = 0,
    numbers: Sequence[int | str] = (),
) -> tuple[list[Annotation], list[BadRelation]]:
    """Every picture with its usable relations; what was left out is counted, named and logged. `DataError`
    where there is one that cannot be meant and ``on_bad_relation`` is ``refuse``. ``first`` and ``numbers``
    as in `clean`."""
    kept: list[Annotation] = []
    bad: list[BadRelation] = []
    doubled = 0
    for item in items:
        usable, problems, twice = clean(item, predicates, first, numbers)
        kept.append(usable)
        bad += problems
        doubled += twice
    if bad and on_bad_relation == "refuse":
        others = "" if len(bad) == 1 else f" ({len(bad)} relations cannot be used)"
        raise DataError(
            f"data: {bad[0]} {_WRONG[bad[0].kind]}{others}\n"
            "  Mend the annotation, or leave such relations out and count them: data.on_bad_relation=drop"
        )
    if bad:
        log.warning("left out %d relations that cannot be meant: %s", len(bad), some(bad, _NAMED, "; "))
    if doubled:
        log.warning("left out %d relations that stand twice in their picture", doubled)
    return kept, bad


def findings(
    splits: Mapping[Split, Sequence[Annotation]], bad: Sequence[BadRelation], predicate_names: Sequence[str]
) -> Iterator[str]:
    """Counts of each split, then everything that is suspicious, a line each.

    Args:
        splits: what is trained on.
        bad: what was left out of it.
    """
    for split, items in splits.items():
        numbers = [len(item.relations) for item in items]
        yield f"{split}: {sum(numbers)} relations, at most {max(numbers, default=0)} in one picture"
        found = Counter(said for item in items for said in item.relations[:, 2].tolist())
        listed = ", ".join(f"{name} {found[number]}" for number, name in enumerate(predicate_names))
        yield f"{split}: relations of each predicate: {listed}"
        if alone := [item.path for item in items if len(item.labels) < 2]:
            yield (
                f"relations: {len(alone)} pictures of {split} have less than two objects, of which nothing "
                f"can be related: {some(alone, _NAMED)}"
            )
        if none := [item.path for item in items if len(item.labels) > 1 and not len(item.relations)]:
            yield (
                f"relations: {len(none)} pictures of {split} have objects and no relation: "
                f"{some(none, _NAMED)}"
            )
        if passed := sum(int(item.ignored[item.relations[:, :2]].any(1).sum()) for item in items):
            yield (
                f"relations: {passed} of {split} have an object that is ignored, as a crowd is: they are "
                "neither learned nor measured"
            )
    for one in bad[:_LISTED]:
        yield f"relation: {one} {_WRONG[one.kind]} and is left out"
    if len(bad) > _LISTED:
        yield f"relation: {len(bad) - _LISTED} further ones are like that"


def untaught(splits: Mapping[Split, Sequence[Annotation]], predicate_names: Sequence[str]) -> Iterator[str]:
    """What training cannot learn from these relations."""
    counts = {
        split: Counter(said for item in items for said in item.relations[:, 2].tolist())
        for split, items in splits.items()
    }
    if not counts["train"]:
        yield "relations: no training picture has any: there is nothing to learn"
        return
    for split, found in counts.items():
        missing = [predicate_names[said] for said in sorted(found) if not counts["train"][said]]
        if missing:
            yield f"relations: training never sees what {split} has: {some(missing, _NAMED)}"
