"""The names of classes, as every application takes them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from vision_apps.core.errors import DataError, some
from vision_apps.core.spelling import alike

if TYPE_CHECKING:
    from vision_apps.core.data import Split

_NAMED = 10  # classes in an error


def class_name_problems(
    num_classes: int, class_names: Sequence[str], least: int, most: int | None = None
) -> list[str]:
    """What is wrong with ``module.class_names``, for a `ConfigError`; nothing where each of ``least`` to
    ``most`` classes has one name."""
    if len(class_names) == num_classes >= least and (most is None or num_classes <= most):
        return []
    wanted = f"{least} to {most}" if most is not None else f"at least {least}"
    return [
        f"module.class_names: {len(class_names)} names for num_classes={num_classes}, expected one name for "
        f"each of {wanted} class{'es' if (most or least) > 1 else ''}; leave both out and the data set gives "
        "them"
    ]


def renumbering(own: Sequence[str], known: Sequence[str]) -> list[int] | None:
    """The number in ``known`` of each class in ``own``; None where they are numbered alike. `DataError` where
    one is not known."""
    places = {alike(name): number for number, name in enumerate(known)}
    places |= {name: number for number, name in enumerate(known)}
    if unknown := [name for name in own if alike(name) not in places]:
        raise DataError(
            f"data: a run knows its classes by name, and {some(unknown, _NAMED)} of these data "
            f"{'is' if len(unknown) == 1 else 'are'} not among {some(known, _NAMED)}, which it was trained "
            "with; call the classes as they were called there, or start a new run with these data"
        )
    numbers = [places.get(name, places[alike(name)]) for name in own]
    return None if numbers == list(range(len(known))) else numbers


def absent(
    counts: "Mapping[Split, Sequence[int]]",
    class_names: Sequence[str],
    things: str,
    remedy: "Callable[[Split, bool], str]",
) -> Iterator[str]:
    """A line where some classes cannot be learned, because ``train`` has nothing of them, and one for each
    other split that has nothing of a class that is learned. One without anything at all is not asked.

    Args:
        counts: of each split how many ``things`` (their name in the plural) each class has there.
        remedy: what gives a split some, told whether another has any.
    """

    def told(split: str, labels: Sequence[int], of: int) -> str:
        named = some([class_names[label] for label in labels], _NAMED)
        return f"labels: {split} has no {things} of {len(labels)} of {of} classes ({named})"

    missing = [label for label, number in enumerate(counts["train"]) if not number]
    if missing:
        asked = []
        for split, numbers in counts.items():
            if found := sum(numbers[label] for label in missing):
                asked.append(f", and {split} has {found} ({found / sum(numbers):.0%} of its {things})")
        line = told("train", missing, len(class_names))
        yield f"{line}, which are not learned{''.join(asked)}; {remedy('train', bool(asked))}"
    learned = [label for label, number in enumerate(counts["train"]) if number]
    for split, numbers in counts.items():
        unasked = [label for label in learned if not numbers[label]]
        if any(numbers) and unasked:
            line = told(split, unasked, len(learned))
            yield f"{line}, of which its figures say nothing; {remedy(split, True)}"


def scalar_names(class_names: Sequence[str]) -> list[str]:
    """Class names as loggers take them: letters, digits and underscores, each once."""
    names: list[str] = []
    for name in class_names:
        plain = re.sub(r"\W+", "_", name).strip("_") or "class"
        number, candidate = 1, plain
        while candidate in names:
            number += 1
            candidate = f"{plain}_{number}"
        names.append(candidate)
    return names
