"""GQA (Hudson and Manning 2019) in its own files: questions made from scene graphs, about photographs."""

import json
from pathlib import Path
from typing import Any, Literal

from vision_apps.core.data import Split
from vision_apps.core.errors import DataError, require_no
from vision_apps.data.questions import slim
from vision_apps.data.questions.answers import SAID, as_text
from vision_apps.data.questions.data import Asked, QuestionData
from vision_apps.data.questions.fakes import fake_pictures

Types = Literal["structural", "semantic", "detailed"]
_PARTS: dict[Split, str] = {"train": "train", "val": "val", "test": "testdev"}
_EXPECTED = "GQA's questions by their ids, each with question, imageId, answer and types"


class Gqa(QuestionData):
    """The balanced questions. Its splits train and val are the data set's own, and testdev is tested with,
    as the answers of test and challenge are not published.

    Args:
        types: by which of a question's three types it is scored: ``structural`` (query, verify, logical,
            choose, compare), ``semantic`` (object, attribute, category, relation, global) or ``detailed``,
            some hundred.
    """

    title = "GQA"
    layout = (
        "root/questions/train_balanced_questions.json, val_balanced_questions.json and "
        "testdev_balanced_questions.json, and root/images/ with 2407890.jpg and the like"
    )
    remedy = (
        "Say where it is: data.root=/path/to/it    Questions (1.4 GB) and pictures (20 GB): "
        "cs.stanford.edu/people/dorarad/gqa/download.html"
    )

    def __init__(self, root: str, *, types: Types = "structural", **asked: Any) -> None:
        known = ("structural", "semantic", "detailed")
        require_no([f"data.types: {types!r}; expected {', '.join(known)}"] if types not in known else [])
        super().__init__(root, **asked)
        self.types = types

    def read(self) -> dict[Split, list[Asked]]:
        return {split: self._read(part) for split, part in _PARTS.items()}

    def _read(self, part: str) -> list[Asked]:
        path = self.root / "questions" / f"{part}_balanced_questions.json"
        if not path.is_file():
            raise self.problem(f"there is no questions/{path.name}")

        def kept(found: dict[str, Any]) -> object:
            if "imageId" not in found:
                return found
            named = f"a question about picture {found['imageId']}"
            lacking = [name for name in ("question", "answer", "types") if found.get(name) in (None, "", [])]
            if lacking:
                raise ValueError(f"{named} has no {', '.join(lacking)}")
            question, answer = found["question"], found["answer"]
            if not isinstance(question, str):
                raise ValueError(f"{named}: its question is {question!r:.80}")
            if not isinstance(answer, SAID):
                raise ValueError(f"{named}, {question!r}: its answer is {answer!r:.80}")
            picture = str(self.root / "images" / f"{found['imageId']}.jpg")
            kind = found["types"].get(self.types) or ""  # a few have no detailed one
            return Asked(picture, question, (as_text(answer),), kind, path.name)

        content = slim.read(path, kept, _EXPECTED)
        if not isinstance(content, dict) or not all(isinstance(row, Asked) for row in content.values()):
            raise DataError(f"{path}: expected {_EXPECTED}")
        return [row._replace(source=f"{row.source}, question {key}") for key, row in content.items()]

    @classmethod
    def fake(cls, root: Path, *, size: int = 32, count: int = 16) -> dict[str, object]:
        """Small pictures with two questions each."""
        (root / "questions").mkdir(parents=True)
        for seed, part in enumerate(_PARTS.values()):
            images = [f"{100 * (seed + 1) + number}" for number in range(count)]
            colors = fake_pictures(root / "images", [f"{image}.jpg" for image in images], size, seed)
            content: dict[str, dict[str, Any]] = {}
            for image, color in zip(images, colors, strict=True):
                red = "yes" if color == "red" else "no"
                asked = (
                    ("What color is the box?", color, ("query", "attr", "color")),
                    ("Is the box red?", red, ("verify", "attr", "verifyColor")),
                )
                for question, answer, types in asked:
                    content[f"{len(content):02d}{image}"] = {
                        "semantic": [{"operation": "select", "dependencies": [], "argument": "box (1)"}],
                        "entailed": [],
                        "equivalent": [],
                        "question": question,
                        "imageId": image,
                        "isBalanced": True,
                        "groups": {"global": "color", "local": "10-box_color"},
                        "answer": answer,
                        "semanticStr": "select: box (1)",
                        "annotations": {"answer": {}, "question": {"4": "1"}, "fullAnswer": {"1": "1"}},
                        "types": dict(zip(("structural", "semantic", "detailed"), types, strict=True)),
                        "fullAnswer": f"The box is {color}.",
                    }
            (root / "questions" / f"{part}_balanced_questions.json").write_text(
                json.dumps(content), encoding="utf-8"
            )
        return {"root": str(root), "image_size": size}
