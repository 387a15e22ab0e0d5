"""How answers to questions are shown."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from vision_apps.applications.vqa.pictures import Line, page
from vision_apps.applications.vqa.types import VqaAnswer, VqaBatch, VqaInputs, asked
from vision_apps.core.conventions import Size
from vision_apps.core.presentation import Drawn, Presentation, Row, exact
from vision_apps.data.questions.words import END, UNKNOWN, spelled
from vision_apps.data.resizing import ResizeMode, resize_picture

TOP = 5  # answers in a row


class VqaPresentation(Presentation[VqaBatch, VqaInputs, VqaAnswer]):
    """Each question with its likeliest answer and where the network looked.

    Args:
        size: height and width of the network's input, over which ``places`` lie.
    """

    def __init__(
        self, vocabulary: Sequence[str], answer_names: Sequence[str], size: Size, resize_mode: ResizeMode
    ) -> None:
        self.vocabulary, self.answer_names = list(vocabulary), list(answer_names)
        self.size, self.resize_mode = size, resize_mode

    def draw_with_truth(self, batch: VqaBatch, answer: VqaAnswer) -> Drawn:
        names = [*self.answer_names, "not in the list"]  # which -1 is
        truths = [[names[number] for number in row] for row in batch.answers.tolist()]
        return Drawn(self._pages(VqaInputs(batch.images, batch.questions), answer, truths))

    def draw_answer(self, inputs: VqaInputs, answer: VqaAnswer) -> list[Tensor]:
        return self._pages(inputs, answer, [[None] * inputs.questions.shape[1]] * len(inputs.images))

    def _pages(
        self, inputs: VqaInputs, answer: VqaAnswer, truths: Sequence[Sequence[str | None]]
    ) -> list[Tensor]:
        seen = resize_picture(inputs.images, self.size, self.resize_mode)[0].cpu()
        rows, pages = self.describe(inputs, answer), []
        for number, row in enumerate(rows):
            own = asked(inputs.questions[number]).nonzero()[:, 0].tolist()
            lines = [
                Line(
                    *(one["question"], one["answer"], one["probability"], truths[number][place]),
                    answer.places[number, place].detach().float().cpu(),
                    self._by_word(inputs.questions[number, place], answer, number, place),
                )
                for one, place in zip(row["answers"], own, strict=True)
            ]
            pages.append(page(inputs.images[number].cpu(), seen[number], lines))
        return pages

    def _by_word(
        self, question: Tensor, answer: VqaAnswer, picture: int, place: int
    ) -> list[tuple[str, Tensor]]:
        """Each word of a question int64 [L] with where was looked by way of it; nothing where the network
        does not tell."""
        if answer.by_word is None:
            return []
        maps = answer.by_word[picture, place].detach().float().cpu()
        words = question[question != END].tolist()
        # an exported network reads no more words than its graph has steps for
        return [(self.vocabulary[word], where) for word, where in zip(words, maps, strict=False)]

    def describe(self, inputs: VqaInputs, answer: VqaAnswer) -> list[Row]:
        """``answers``: for each question its likeliest answer, how likely that is, and the likeliest few;
        beside it ``unknown_words``, how many of its words were in no question of the training, where there
        are any. ``answer`` and ``probability`` of the first question stand in the row itself too."""
        rows: list[Row] = []
        for questions, probabilities in zip(inputs.questions, answer.probabilities, strict=True):
            # a file may have been asked with more rows than there are questions
            own = asked(questions)
            best, numbers = probabilities[: len(own)][own].topk(min(TOP, probabilities.shape[-1]))
            told = zip(questions[own].tolist(), exact(best), numbers.tolist(), strict=True)
            answers = [self._answer(*one) for one in told]
            first = {name: answers[0][name] for name in ("answer", "probability")} if answers else {}
            rows.append({**first, "answers": answers})
        return rows

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """``results.json`` as the server of the VQA challenge reads it, of the rows with one question and its
        ``question_id``; nothing where there are none."""
        results = [
            {"question_id": row["question_id"], "answer": row["answer"]}
            for row in rows
            if "question_id" in row and len(row["answers"]) == 1
        ]
        return {"results.json": json.dumps(results, ensure_ascii=False).encode() if results else None}

    def _answer(self, question: list[int], best: list[float], numbers: list[int]) -> dict[str, Any]:
        top = [
            {"answer": self.answer_names[number], "probability": value}
            for number, value in zip(numbers, best, strict=True)
        ]
        unknown = question.count(UNKNOWN)
        return {
            "question": spelled(question, self.vocabulary),
            **top[0],
            **({"unknown_words": unknown} if unknown else {}),
            "top": top,
        }
