"""GQA in its own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.questions.gqa import Gqa

COLORS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("types", "names"),
    [
        ("structural", ["query", "verify", "other"]),
        ("semantic", ["attr", "other"]),
        ("detailed", ["color", "verifyColor", "other"]),
    ],
)
def test_questions_find_their_pictures_and_types(tmp_path: Path, types: Any, names: list[str]) -> None:
    data = Gqa(**Gqa.fake(tmp_path), types=types)  # type: ignore[arg-type]
    data.prepare_data()
    assert data.type_names == names
    for split, first in (("train", 100), ("val", 200), ("test", 300)):
        listing = data.listings[split]  # type: ignore[index]
        assert len(listing) == 16 and len(listing.questions) == 32
        for one in listing.questions:
            number = int(Path(one.picture).stem) - first
            assert Path(one.picture).is_file() and 0 <= number < 16
            color = COLORS[number % 3]
            assert one.answers == (color if "What" in one.question else "yes" if color == "red" else "no",)


def test_types_that_there_are_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.types: 'global'; expected structural, semantic, detailed"):
        Gqa(str(tmp_path), types="global")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": None}, "a question about picture 100 has no answer"),
        ({"types": []}, "has no types"),
        ({"question": 5}, "a question about picture 100: its question is 5"),
        ({"answer": ["red"]}, r"a question about picture 100, 'What color.*': its answer is \['red'\]"),
        ({"types": ["query"]}, "expected GQA's questions"),
    ],
)
def test_a_question_that_lacks_something_is_told(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    Gqa.fake(tmp_path)
    path = tmp_path / "questions" / "train_balanced_questions.json"
    content = json.loads(path.read_text())
    content[next(iter(content))] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"train_balanced_questions\.json: .*{why}"):
        Gqa(str(tmp_path)).prepare_data()


@pytest.mark.parametrize("text", ["{", "[]", '{"1": 2}'])
def test_a_file_of_another_kind_is_told(tmp_path: Path, text: str) -> None:
    Gqa.fake(tmp_path)
    path = tmp_path / "questions" / "testdev_balanced_questions.json"
    path.write_text(text)
    with pytest.raises(DataError, match="expected GQA's questions"):
        Gqa(str(tmp_path)).prepare_data()
    path.unlink()
    with pytest.raises(DataError, match=r"no questions/testdev_balanced_questions\.json[\s\S]*data\.root="):
        Gqa(str(tmp_path)).prepare_data()


@pytest.mark.parametrize(("answer", "text"), [(3, "3"), (0, "0"), (False, "no")])
def test_numbers_and_truth_values_are_answers(tmp_path: Path, answer: Any, text: str) -> None:
    Gqa.fake(tmp_path)
    path = tmp_path / "questions" / "val_balanced_questions.json"
    content = json.loads(path.read_text())
    content["00200"]["answer"] = answer
    path.write_text(json.dumps(content))
    (one,) = (one for one in Gqa(str(tmp_path)).read()["val"] if one.source.endswith("question 00200"))
    assert one.answers == (text,)
