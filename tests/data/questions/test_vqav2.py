"""VQA v2 in its own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.applications.vqa.types import VqaBatch
from vision_apps.core.errors import DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data.questions.official import accuracy, score
from vision_apps.data.questions.vqav2 import VqaV2

ANSWERS = "v2_mscoco_train2014_annotations.json"
QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"


def test_ten_people_answer_each_question(tmp_path: Path) -> None:
    data = VqaV2(**VqaV2.fake(tmp_path))  # type: ignore[arg-type]
    data.batch_type = VqaBatch
    data.prepare_data()
    assert data.people == 10 and set(data.answer_list.names) <= {"no", "yes", "cat", "dog"}
    assert set(data.type_names) == {"what is", "is it", "other"}
    batch = next(iter(BatchLoader(data.samples("test"), VqaBatch, batch_size=16)))
    assert batch.human_answers is not None and batch.human_answers.shape == (16, 2, 10)
    rows = json.loads((tmp_path / ANSWERS.replace("train", "val")).read_text())["annotations"]
    said = {row["question_id"]: [one["answer"] for one in row["answers"]] for row in rows}
    for place, name in enumerate(data.sample_names("test")):
        image = int(Path(name).stem[-12:])
        for question in range(2):
            numbers = batch.human_answers[place, question].tolist()
            for number, answer in enumerate(data.answer_list.names):
                official = accuracy(answer, said[10 * image + question])
                assert score(numbers.count(number), 10) == pytest.approx(official)


def test_what_does_not_fit_together_is_told(tmp_path: Path) -> None:
    VqaV2.fake(tmp_path)
    path = tmp_path / ANSWERS
    content = json.loads(path.read_text())
    content["annotations"][0]["question_id"] = 12345678
    path.write_text(json.dumps(content))
    with pytest.raises(
        DataError, match="question 12345678 is not in v2_OpenEnded_mscoco_train2014_questions"
    ):
        VqaV2(str(tmp_path)).prepare_data()
    del content["annotations"][0]["answers"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        DataError, match="expected VQA's 'annotations' with question_id, image_id and 'answers'"
    ):
        VqaV2(str(tmp_path)).prepare_data()
    path.unlink()
    with pytest.raises(DataError, match=f"there is no {ANSWERS}"):
        VqaV2(str(tmp_path)).prepare_data()


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        (ANSWERS, {"image_id": "one"}, "image_id of a row is 'one'; expected a number"),
        (ANSWERS, {"answers": ["yes"]}, r"answers to question \d+ are \['yes'\]; expected a list such as"),
        (ANSWERS, {"answers": [{"answer": None}]}, r"answers to question \d+ are .*None"),
        (QUESTIONS, {"question_id": 1}, "two questions have the question_id 1"),
    ],
)
def test_a_row_that_is_none_is_told_with_its_file(
    tmp_path: Path, file: str, change: dict[str, Any], why: str
) -> None:
    VqaV2.fake(tmp_path)
    content = json.loads((tmp_path / file).read_text())
    (rows,) = content.values()
    rows[0] |= change
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"{file}.*{why}"):
        VqaV2(str(tmp_path)).prepare_data()


def test_ids_as_text_and_answers_that_are_numbers_or_truth_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    VqaV2.fake(tmp_path)
    content = json.loads((tmp_path / ANSWERS).read_text())
    first, second, *rest = content["annotations"]
    first |= {"image_id": f"{first['image_id']:012d}", "answers": [{"answer": 2}] * 10}
    second |= {"answers": [{"answer": True}] * 10}
    content["annotations"] = [first, second, *rest[:-1]]
    (tmp_path / ANSWERS).write_text(json.dumps(content))
    data = VqaV2(str(tmp_path))
    two, yes, *_ = data.read()["train"]
    assert two.answers == ("2",) * 10 and yes.answers == ("yes",) * 10
    assert Path(two.picture).is_file()
    assert f"{QUESTIONS} that have no answer and are left out: 1" in caplog.text
