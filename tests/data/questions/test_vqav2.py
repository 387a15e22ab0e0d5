"""VQA v2 in its own files."""

import json
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.applications.vqa.types import VqaBatch
from vision_apps.core.errors import DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data.questions.official import accuracy, score
from vision_apps.data.questions.vqav2 import VqaV2

ANSWERS = "v2_mscoco_train2014_annotations.json"


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
