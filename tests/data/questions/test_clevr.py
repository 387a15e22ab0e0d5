"""CLEVR in its own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.core.errors import DataError
from vision_apps.data.questions.clevr import Clevr

COLORS = ("red", "green", "blue")


def test_questions_find_their_pictures_and_types(tmp_path: Path) -> None:
    data = Clevr(**Clevr.fake(tmp_path), val_fraction=0.25)  # type: ignore[arg-type]
    data.prepare_data()
    assert data.type_names == ["exist", "query_color", "other"] and data.people == 0
    assert sorted(data.answer_list.names) == sorted([*COLORS, "yes", "no"])
    train, val, test = (len(data.sample_names(split)) for split in ("train", "val", "test"))
    assert train + val == test == 16 and 0 < val < train
    for split, part in (("train", "train"), ("val", "train"), ("test", "val")):
        for one in data.listings[split].questions:  # type: ignore[index]
            picture = Path(one.picture)
            assert picture.parent == tmp_path / "images" / part and picture.is_file()
            color = COLORS[int(picture.stem[-6:]) % 3]
            expected = color if "What" in one.question else "yes" if color == "red" else "no"
            assert one.answers == (expected,)
            assert one.type == ("query_color" if "What" in one.question else "exist")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": ["yes"]}, r"question 0: its answer is \['yes'\]"),
        ({"answer": ""}, r"a question about CLEVR_train_000000\.png has no answer"),
        ({"program": []}, "has no program"),
        ({"program": [{"inputs": []}]}, "its program ends in no function"),
        ({"image_filename": 3}, "expected CLEVR's 'questions'"),
    ],
)
def test_a_question_that_lacks_something_is_told(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    Clevr.fake(tmp_path)
    path = tmp_path / "questions" / "CLEVR_train_questions.json"
    content = json.loads(path.read_text())
    content["questions"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"CLEVR_train_questions\.json: .*{why}"):
        Clevr(str(tmp_path)).prepare_data()


@pytest.mark.parametrize("text", ["{", "[]", '{"questions": {}}', '{"questions": [1]}'])
def test_a_file_of_another_kind_is_told(tmp_path: Path, text: str) -> None:
    Clevr.fake(tmp_path)
    path = tmp_path / "questions" / "CLEVR_val_questions.json"
    path.write_text(text)
    with pytest.raises(DataError, match="expected CLEVR's 'questions'"):
        Clevr(str(tmp_path)).prepare_data()
    path.unlink()
    with pytest.raises(DataError, match=r"there is no questions/CLEVR_val_questions\.json[\s\S]*data\.root="):
        Clevr(str(tmp_path)).prepare_data()


def test_answers_as_programs_return_them(tmp_path: Path) -> None:
    Clevr.fake(tmp_path)
    path = tmp_path / "questions" / "CLEVR_train_questions.json"
    content = json.loads(path.read_text())
    for row, answer in zip(content["questions"], (False, 0, True), strict=False):
        row["answer"] = answer
    path.write_text(json.dumps(content))
    assert [one.answers for one in Clevr(str(tmp_path)).read()["train"][:3]] == [("no",), ("0",), ("yes",)]
