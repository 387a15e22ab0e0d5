"""From the texts of answers to the numbers of a list of answers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from vision_apps.data.questions.official import comparable, normalized, stripped


def plain(answers: Sequence[str]) -> str:
    """The true answer to a question: the only one in lower case, or what most of several people said, as the
    VQA challenge writes it; the first of equals."""
    if len(answers) == 1:
        return stripped(answers[0]).lower()
    return Counter(normalized(stripped(answer)) for answer in answers).most_common(1)[0][0]


class AnswerList:
    """The answers that can be given, by their numbers."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._numbers = {name: number for number, name in reversed([*enumerate(self.names)])}
        self._normalized = {normalized(name): number for name, number in self._numbers.items()}

    @classmethod
    def of(cls, answers: Iterable[Sequence[str]], most: int, least: int) -> Self:
        """Of the true answers to some questions the ``most`` commonest, each to at least ``least`` of them:
        the commonest first, equally common ones by the alphabet."""
        counts = Counter(filter(None, map(plain, answers)))
        names = sorted(counts, key=lambda name: (-counts[name], name))
        return cls([name for name in names[:most] if counts[name] >= least])

    def number(self, answers: Sequence[str]) -> int:
        """Of the true answer to a question; -1 where the list has it not."""
        return self._numbers.get(plain(answers), -1)

    def of_people(self, answers: Sequence[str]) -> list[int]:
        """What each of several people said to a question, such that answering with a number agrees with those
        people that the challenge's code finds it to agree with; -1 where the list has it not."""
        normalize, known = comparable(answers)
        numbers = self._normalized if normalize else self._numbers
        return [numbers.get(answer, -1) for answer in known]


SAID = (str, bool, int, float)  # what an answer may be in a file


def as_text(answer: str | bool | int | float) -> str:
    """An answer as people say it: ``yes`` and ``no`` for truth values."""
    return ("yes" if answer else "no") if isinstance(answer, bool) else str(answer)
