"""What all data sets with questions share: from what a format says to the splits that are trained on."""

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.conventions import Auto, Size, size_problems
from vision_apps.core.data import SPLITS, Split, TensorSamples
from vision_apps.core.errors import CorruptSample, DataError, require_no
from vision_apps.data.files import ResizedData, fraction_problems
from vision_apps.data.questions.answers import AnswerList
from vision_apps.data.questions.samples import QuestionSamples, QuestionTable
from vision_apps.data.questions.words import UNKNOWN, encoded, numbered, table, vocabulary_of, words_of

OTHER = "other"  # the type of questions that are of no common type
_TYPES = 64  # types of questions that are scored apart, the commonest
_USUAL = 6  # questions that are asked where none is typed
_FIRST = 2  # words of a question that are its type where the data say none


class Asked(NamedTuple):
    """One question, as a file has it."""

    picture: str  # path
    question: str
    answers: tuple[str, ...]  # the true one, or what each of several people said
    type: str  # empty: the first words are
    source: str  # for errors


@dataclass(frozen=True)
class AskedPictures:
    """The pictures of a split with their questions."""

    items: list[tuple[str, list[Asked]]]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def pictures(self) -> list[str]:
        return [path for path, _ in self.items]

    @property
    def classes(self) -> None:
        return None

    @property
    def questions(self) -> list[Asked]:
        return [one for _, own in self.items for one in own]

    def joined(self, more: "AskedPictures") -> "AskedPictures":
        """These pictures and, after them, those."""
        return AskedPictures([*self.items, *more.items])

    def take(self, rows: Tensor) -> "AskedPictures":
        """The pictures with these numbers, int64 [n], in their order."""
        return AskedPictures([self.items[row] for row in rows.tolist()])


class QuestionData(ResizedData):
    """Pictures with questions about each, and their answers.

    Offers ``images`` uint8 [3, H, W]; ``questions`` int64 [Q, L], ``answers`` int64 [Q] and
    ``question_types`` int64 [Q], Q and L the most that a picture and a question have; where several people
    answered, ``human_answers`` int64 [Q, P]; and, to measure with, ``other_images`` uint8 [3, H, W], the next
    picture of the split.

    A subclass reads its format in ``read``. Words, answers and types are those of the training split, or of
    the run that is gone on with or tested.

    Args:
        most_answers, least_answer: the list of answers has at most so many, the commonest, each the true one
            of at least so many training questions.
        least_word: a word that stands less often in the training questions is unknown.
        longest: words of a question, of which more are cut off.
        in_memory: decode once and keep all samples of a split: 3 bytes for every pixel.
        val_fraction, test_fraction: of all training pictures, held out where the data has no such split.
    """

    fields = ("images", "questions", "answers", "question_types", "human_answers", "other_images")
    to_measure = ("other_images",)
    fact_names = (
        *("vocabulary", "answer_names", "type_names", "people", "usual_questions", "longest"),
        *("image_size", "resize_mode", "mean", "std"),
    )
    title = "questions about pictures"

    def __init__(
        self,
        root: str,
        *,
        image_size: Size | Auto = 192,
        most_answers: int = 3000,
        least_answer: int = 1,
        least_word: int = 1,
        longest: int = 20,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        **files: Any,
    ) -> None:
        problems = [] if image_size == "auto" else size_problems(image_size, "data.image_size")
        problems += fraction_problems(val_fraction=val_fraction, test_fraction=test_fraction)
        least = {"most_answers": (most_answers, 2), "least_answer": (least_answer, 1)}
        least |= {"least_word": (least_word, 1), "longest": (longest, 1)}
        problems += [
            f"data.{name}: {value}; expected at least {bound}"
            for name, (value, bound) in least.items()
            if value < bound
        ]
        require_no(problems)
        super().__init__(root, image_size=image_size, **files)
        self.most_answers, self.least_answer = most_answers, least_answer
        self.least_word, self.longest = least_word, longest
        self.fractions: dict[Split, float] = {"test": test_fraction, "val": val_fraction}

    @abstractmethod
    def read(self) -> dict[Split, list[Asked]]:
        """What the files say."""

    def prepare_data(self) -> None:
        super().prepare_data()
        self.listings  # noqa: B018 - what is malformed is refused now, not when training starts

    @cached_property
    def listings(self) -> dict[Split, AskedPictures]:
        """The pictures of each split with those of their questions that can be used."""
        found: dict[Split, AskedPictures] = {}
        broken: list[CorruptSample] = []
        there: dict[str, bool] = {}
        given = self.read()
        for split, questions in given.items():
            of_picture: dict[str, list[Asked]] = {}
            for one in questions:
                if one.picture not in there:
                    there[one.picture] = os.path.isfile(one.picture)
                if why := _useless(one, there[one.picture]):
                    broken.append(CorruptSample(one.source, why))
                else:
                    of_picture.setdefault(one.picture, []).append(one)
            if of_picture:
                found[split] = AskedPictures(list(of_picture.items()))
        if not found and broken:
            raise self.problem(f"none of {len(broken)} questions can be used, such as {broken[0]}")
        self.leave_out(broken)
        self.require_given(given, found)
        if "train" not in found:
            raise self.problem("there are no questions to train on")
        self._require_one_number(found)
        return self.split_up(found, self.fractions)

    def _require_one_number(self, found: dict[Split, AskedPictures]) -> None:
        """`DataError` where not all questions have as many answers."""
        first: Asked | None = None
        for listing in found.values():
            for one in listing.questions:
                first = first or one
                if len(one.answers) != len(first.answers):
                    raise DataError(
                        f"data: {one.source} has {len(one.answers)} answers, and {first.source} has "
                        f"{len(first.answers)}: expected one answer to each question, or those of as many "
                        "people to each"
                    )

    # ---- what the training split says ----------------------------------------------------------------------

    @cached_property
    def _training(self) -> list[Asked]:
        return AskedPictures(self.listings["train"].items[: self.limits["train"]]).questions

    @cached_property
    def vocabulary(self) -> list[str]:
        return self._of_run("vocabulary") or vocabulary_of(
            (one.question for one in self._training), self.least_word
        )

    @cached_property
    def answer_list(self) -> AnswerList:
        if known := self._of_run("answer_names"):
            return AnswerList(known)
        every = [one.answers for one in self._training]
        found = AnswerList.of(every, self.most_answers, self.least_answer)
        if len(found.names) < 2:
            raise DataError(
                f"data: the true answers to the {len(every)} training questions are {found.names}, of those "
                f"that at least data.least_answer={self.least_answer} of them have; expected at least 2 "
                "different answers"
            )
        return found

    @cached_property
    def type_names(self) -> list[str]:
        if known := self._of_run("type_names"):
            return known
        counts = Counter(name for name in map(type_of, self._training) if name != OTHER)
        return [*sorted(counts, key=lambda name: (-counts[name], name))[:_TYPES], OTHER]

    def _of_run(self, name: str) -> list[str]:
        """The run's own list, whose numbers its network knows; empty where there is no run."""
        return list((self.known_facts or {}).get(name, []))

    @cached_property
    def usual_questions(self) -> dict[str, str]:
        """The commonest question of each of the commonest types, by its type."""
        counts = Counter((type_of(one), one.question) for one in self._training)
        found: dict[str, str] = {}
        for kind, text in sorted(counts, key=lambda pair: (-counts[pair], pair)):
            if len(found) < _USUAL:
                found.setdefault(kind, text)
        return found

    @property
    def people(self) -> int:
        """How many answered each question; 0: there is one true answer."""
        count = len(self._training[0].answers)
        return count if count > 1 else 0

    @property
    def offers(self) -> tuple[str, ...]:
        return tuple(name for name in self.fields if name != "human_answers" or self.people)

    @property
    def facts(self) -> dict[str, object]:
        return super().facts | {
            "vocabulary": self.vocabulary,
            "answer_names": self.answer_list.names,
            "type_names": self.type_names,
            "people": self.people,
            "usual_questions": self.usual_questions,
            "longest": self.longest,
            "resize_mode": self.resize_mode,
        }

    # ---- samples -------------------------------------------------------------------------------------------

    @cached_property
    def _most(self) -> tuple[int, int]:
        """The most questions of a picture, and words of a question, over all splits."""
        every = [own for split in SPLITS for _, own in self.listings[split].items]
        words = max(len(words_of(one.question)) for own in every for one in own)
        return max(map(len, every)), min(words, self.longest)

    def load(self, split: Split, fields: tuple[str, ...]) -> QuestionSamples | TensorSamples:
        samples = QuestionSamples(
            self._table(self.listings[split].items[: self.limits[split]]),
            *(fields, self.image_size, self.resize_mode, self._most[0], self.max_pixels, self.levels),
        )
        if not self.in_memory:
            return samples
        found = self.decoded(samples, split).fields
        return TensorSamples(**{name: found[name] for name in fields})

    def _table(self, items: Sequence[tuple[str, list[Asked]]]) -> QuestionTable:
        numbers, types = numbered(self.vocabulary), {name: n for n, name in enumerate(self.type_names)}
        questions = [one for _, own in items for one in own]
        counts = torch.tensor([len(own) for _, own in items])
        texts = [encoded(one.question, numbers) for one in questions]
        return QuestionTable(
            np.array([os.fsencode(path) for path, _ in items]),
            torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]),
            table(texts, length=self._most[1]),
            torch.tensor([self.answer_list.number(one.answers) for one in questions]),
            torch.tensor([types.get(type_of(one), types.get(OTHER, -1)) for one in questions]),
            torch.tensor([self.answer_list.of_people(one.answers) for one in questions]),
        )

    def doctor(self) -> Iterator[str]:
        numbers = numbered(self.vocabulary)
        for split in SPLITS:
            questions = AskedPictures(self.listings[split].items[: self.limits[split]]).questions
            unlisted = sum(self.answer_list.number(one.answers) < 0 for one in questions)
            texts = [encoded(one.question, numbers) for one in questions]
            found = {
                "an answer that is not in the list": unlisted,
                "unknown words": sum(UNKNOWN in text for text in texts),
                f"more words than data.longest={self.longest}, after which they are cut": sum(
                    len(text) > self.longest for text in texts
                ),
            }
            for what, count in found.items():
                if count:
                    yield f"{split}: {count} of {len(questions)} questions have {what}"
        yield from self.about_pictures()


def type_of(one: Asked) -> str:
    """The type of a question: as the data have it, or else its first words."""
    return one.type or " ".join(words_of(one.question)[:_FIRST])


def _useless(one: Asked, there: bool) -> str | None:
    """Why a question cannot be used; none: it can."""
    if not words_of(one.question):
        return f"there is no word in its question {one.question!r}"
    if not any(answer.strip() for answer in one.answers):
        return "its question has no answer"
    return None if there else f"its picture {one.picture} is not there"
