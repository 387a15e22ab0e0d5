"""VQA v2 (Goyal et al. 2017) in its own files: ten people's answers to questions about COCO's pictures."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.questions.answers import SAID, as_text
from vision_apps.data.questions.data import Asked, QuestionData
from vision_apps.data.questions.fakes import fake_pictures

log = logging.getLogger(__name__)

_PARTS: dict[Split, str] = {"train": "train2014", "test": "val2014"}


class VqaV2(QuestionData):
    """The training split is the data set's own; its validation split, whose answers are published where those
    of its test split are not, is tested with, and validation is drawn from the training pictures."""

    title = "VQA v2"
    layout = (
        "root/v2_OpenEnded_mscoco_train2014_questions.json, root/v2_mscoco_train2014_annotations.json, the "
        "same of val2014, and root/train2014/ and root/val2014/ with COCO's pictures"
    )
    remedy = (
        "Say where it is: data.root=/path/to/it    Questions and answers (0.1 GB): visualqa.org; pictures "
        "(19 GB): cocodataset.org"
    )

    def read(self) -> dict[Split, list[Asked]]:
        return {split: self._read(part) for split, part in _PARTS.items()}

    def _read(self, part: str) -> list[Asked]:
        asked = self.root / f"v2_OpenEnded_mscoco_{part}_questions.json"
        answered = self.root / f"v2_mscoco_{part}_annotations.json"
        for path in (asked, answered):
            if not path.is_file():
                raise self.problem(f"there is no {path.name}")
        texts: dict[int, str] = {}
        for row in _rows(asked, "questions", "question"):
            number = _number(row, "question_id", asked)
            if number in texts:
                raise DataError(f"{asked}: two questions have the question_id {number}")
            texts[number] = str(row["question"])
        found = []
        for row in _rows(answered, "annotations", "answers"):
            number = _number(row, "question_id", answered)
            if number not in texts:
                raise DataError(
                    f"{answered}: question {number} is not in {asked.name}, or is answered a second time"
                )
            picture = self.root / part / f"COCO_{part}_{_number(row, 'image_id', answered):012d}.jpg"
            source = f"{answered.name}, question {number}"
            kind = str(row.get("question_type") or "")
            found.append(Asked(str(picture), texts.pop(number), _answers(row, answered), kind, source))
        if texts:
            log.warning(
                "data: questions of %s that have no answer and are left out: %d", asked.name, len(texts)
            )
        return found

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 16) -> dict[str, object]:
        """Small pictures with two questions each, and ten answers to each question."""
        rng = np.random.default_rng(0)
        for first, part in enumerate(_PARTS.values()):
            images = [1000 * first + number for number in range(count)]
            fake_pictures(
                root / part, [f"COCO_{part}_{image:012d}.jpg" for image in images], size, seed=first
            )
            questions: list[dict[str, Any]] = []
            annotations: list[dict[str, Any]] = []
            for image in images:
                for place, (text, said) in enumerate(
                    (("What is this?", ("a cat", "cat", "dog")), ("Is it red?", ("yes", "no")))
                ):
                    key = {"question_id": 10 * image + place, "image_id": image}
                    answers = [
                        {"answer": str(rng.choice(said)), "answer_confidence": "yes", "answer_id": person}
                        for person in range(1, 11)
                    ]
                    questions.append({**key, "question": text})
                    annotations.append(
                        {
                            **key,
                            "question_type": text.lower().rsplit(" ", 1)[0],
                            "answer_type": "other" if place == 0 else "yes/no",
                            "multiple_choice_answer": answers[0]["answer"],
                            "answers": answers,
                        }
                    )
            files = {
                f"v2_OpenEnded_mscoco_{part}_questions.json": {"questions": questions},
                f"v2_mscoco_{part}_annotations.json": {"annotations": annotations},
            }
            for name, content in files.items():
                (root / name).write_text(json.dumps(content), encoding="utf-8")
        return {"root": str(root), "image_size": size}


def _rows(path: Path, key: str, needed: str) -> list[dict[str, Any]]:
    """`DataError` where a file is no such list."""
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[key]
        if not all({"question_id", "image_id", needed} <= row.keys() for row in rows):
            raise ValueError(f"a row lacks question_id, image_id or {needed}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: expected VQA's {key!r} with question_id, image_id and {needed!r}: {error}"
        ) from error
    return rows


def _number(row: dict[str, Any], key: str, path: Path) -> int:
    """An id, which some write as text. `DataError` where it is none."""
    value = row[key]
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DataError(f"{path}: the {key} of a row is {value!r:.80}; expected a number")
    return value


def _answers(row: dict[str, Any], path: Path) -> tuple[str, ...]:
    """What each of the people said. `DataError` where that is no list of answers."""
    answers = [one.get("answer") if isinstance(one, dict) else None for one in _listed(row["answers"])]
    if not answers or not all(isinstance(one, SAID) for one in answers):
        raise DataError(
            f"{path}: the answers to question {row['question_id']} are {row['answers']!r:.80}; expected a "
            'list such as [{"answer": "yes"}, ...]'
        )
    return tuple(as_text(one) for one in answers if one is not None)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
