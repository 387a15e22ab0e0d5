"""CLEVR (Johnson et al. 2017) in its own files: questions that are programs, about drawn solids."""

import json
import sys
from pathlib import Path
from typing import Any

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError
from vision_apps.data.questions import slim
from vision_apps.data.questions.answers import SAID, as_text
from vision_apps.data.questions.data import Asked, QuestionData
from vision_apps.data.questions.fakes import fake_pictures

_PARTS: dict[Split, str] = {"train": "train", "test": "val"}
_EXPECTED = (
    "CLEVR's 'questions' with question, image_filename, answer and program, a list of steps that each have "
    "a function"
)


class Clevr(QuestionData):
    """The training split is the data set's own; its validation split is tested with, as the answers of its
    test split are not published, and validation is drawn from the training pictures. The type of a question
    is the last function of its program, such as ``count`` or ``query_color``."""

    title = "CLEVR"
    layout = (
        "root/questions/CLEVR_train_questions.json and CLEVR_val_questions.json, and root/images/train/ and "
        "root/images/val/"
    )
    remedy = (
        "Say where it is: data.root=/path/to/CLEVR_v1.0    Download (18 GB): "
        "cs.stanford.edu/people/jcjohns/clevr"
    )

    def read(self) -> dict[Split, list[Asked]]:
        return {split: self._read(part) for split, part in _PARTS.items()}

    def _read(self, part: str) -> list[Asked]:
        path = self.root / "questions" / f"CLEVR_{part}_questions.json"
        if not path.is_file():
            raise self.problem(f"there is no questions/{path.name}")
        pictures = self.root / "images" / part

        def kept(found: dict[str, Any]) -> object:
            if "function" in found:  # a step of a program, of which there are some millions
                return sys.intern(found["function"])
            if "image_filename" not in found:
                return found
            lacking = [
                name for name in ("question", "answer", "program") if found.get(name) in (None, "", [])
            ]
            if lacking:
                raise ValueError(f"a question about {found['image_filename']} has no {', '.join(lacking)}")
            source = f"{path.name}, question {found.get('question_index', found['question'])}"
            picture, kind = str(pictures / found["image_filename"]), found["program"][-1]
            if not isinstance(kind, str):
                raise ValueError(f"{source}: its program ends in no function")
            if not isinstance(found["answer"], SAID):
                raise ValueError(f"{source}: its answer is {found['answer']!r:.80}")
            return Asked(picture, found["question"], (as_text(found["answer"]),), kind, source)

        content = slim.read(path, kept, _EXPECTED)
        rows = content.get("questions") if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, Asked) for row in rows):
            raise DataError(f"{path}: expected {_EXPECTED}")
        return rows

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 16) -> dict[str, object]:
        """Small pictures with two questions each; of the test split, too, whose questions have no answers."""
        (root / "questions").mkdir(parents=True)
        for seed, part in enumerate(("train", "val", "test")):
            names = [f"CLEVR_{part}_{number:06d}.png" for number in range(count)]
            colors = fake_pictures(root / "images" / part, names, size, seed)
            rows: list[dict[str, Any]] = []
            for image, (name, color) in enumerate(zip(names, colors, strict=True)):
                asked = (
                    (
                        "What color is the cube?",
                        color,
                        ("scene", "filter_shape", "unique", "query_color"),
                        12,
                    ),
                    ("Are there any red cubes?", "yes" if color == "red" else "no", ("scene", "exist"), 3),
                )
                for question, answer, steps, family in asked:
                    row = {"question_index": len(rows), "question": question, "image_filename": name}
                    row |= {"image_index": image, "split": part}
                    if part != "test":
                        row |= {"answer": answer, "question_family_index": family, "program": _steps(steps)}
                    rows.append(row)
            content = {"info": {"split": part, "version": "1.0", "license": ""}, "questions": rows}
            (root / "questions" / f"CLEVR_{part}_questions.json").write_text(
                json.dumps(content), encoding="utf-8"
            )
        return {"root": str(root), "image_size": size}


def _steps(functions: tuple[str, ...]) -> list[dict[str, object]]:
    """A chain of functions as the files have it."""
    return [
        {
            "function": name,
            "inputs": [number - 1] if number else [],
            "value_inputs": ["cube"] if name.startswith("filter") else [],
        }
        for number, name in enumerate(functions)
    ]
