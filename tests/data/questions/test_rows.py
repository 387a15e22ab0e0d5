"""The user's own questions: lines of JSONL and CSV files, and what is told of those that cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from PIL import Image

from vision_apps.applications.vqa.types import VqaBatch
from vision_apps.core.errors import DataError
from vision_apps.core.loader import BatchLoader
from vision_apps.data.named_splits import SPLIT_NAMES
from vision_apps.data.questions.rows import QuestionRows
from vision_apps.data.questions.words import UNKNOWN, spelled


def written(root: Path, rows: list[dict[str, Any]], name: str = "questions.jsonl") -> None:
    (root / "images").mkdir(exist_ok=True, parents=True)
    for row in rows:
        if row["image"] != "none.png" and not (path := root / "images" / row["image"]).exists():
            Image.new("RGB", (20, 10), (len(name) * 10, 5 * int(row["image"][:-4]), 0)).save(path)
    (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def a_row(number: int, question: str = "is it red?", answer: Any = "yes", **more: Any) -> dict[str, Any]:
    return {"image": f"{number}.png", "question": question, "answer": answer, **more}


def data(root: Path, **changes: Any) -> QuestionRows:
    found = QuestionRows(str(root), image_size=8, batch_size=2, **changes)
    found.batch_type = VqaBatch
    found.prepare_data()
    return found


SPLITS = {
    "train.jsonl": [
        a_row(0),
        a_row(0, "What colour is it?", "Red"),
        a_row(1, "is it red?", False),
        a_row(2, "how many?", 3),
    ],
    "val.jsonl": [a_row(3, "is it huge?", "blue")],
    "test.jsonl": [a_row(4), a_row(5, "is it", "no")],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rows in SPLITS.items():
        written(tmp_path, rows, name)
    return tmp_path


def test_a_sample_is_a_picture_with_all_its_questions(folder: Path) -> None:
    found = data(folder)
    facts = found.facts
    assert facts["answer_names"] == ["3", "no", "red", "yes"]
    assert facts["type_names"] == ["is it", "how many", "what colour", "other"]
    usual = {"is it": "is it red?", "how many": "how many?", "what colour": "What colour is it?"}
    assert facts["usual_questions"] == usual
    assert facts["people"] == 0 and "human_answers" not in found.offers
    samples = found.samples("train")
    row = found.sample_names("train").index("images/0.png")
    sample = samples[row]
    assert sample["images"].shape == (3, 8, 8) and sample["questions"].shape == (2, 4)
    texts = [spelled(text.tolist(), facts["vocabulary"]) for text in sample["questions"]]
    assert texts == ["is it red", "what colour is it"]
    assert [facts["answer_names"][n] for n in sample["answers"]] == ["yes", "red"]
    assert sample["question_types"].tolist() == [0, 2]
    other = samples[found.sample_names("train").index("images/2.png")]
    assert other["answers"].tolist() == [facts["answer_names"].index("3"), -1]
    assert other["question_types"].tolist() == [1, -1] and not other["questions"][1].any()


def test_unknown_words_and_answers_outside_the_list_are_counted(folder: Path) -> None:
    found = data(folder)
    sample = found.samples("val")[0]
    assert sample["answers"][0] == -1 and sample["questions"][0].tolist()[2] == UNKNOWN
    told = "\n".join(found.doctor())
    assert "val: 1 of 1 questions have an answer that is not in the list" in told
    assert "val: 1 of 1 questions have unknown words" in told


def test_a_run_that_is_tested_on_other_questions_keeps_its_words_answers_and_types(folder: Path) -> None:
    facts = data(folder).facts
    written(folder, [a_row(0, "is it what?", "no"), a_row(1, "why it?", "so")], "train.jsonl")
    other = QuestionRows(str(folder), image_size=8, batch_size=2)
    other.batch_type, other.known_facts = VqaBatch, facts
    other.prepare_data()
    for name in ("vocabulary", "answer_names", "type_names"):
        assert other.facts[name] == facts[name]
    samples = [other.samples("train")[row] for row in range(2)]
    texts = [spelled(one["questions"][0].tolist(), facts["vocabulary"]) for one in samples]  # type: ignore[arg-type]
    assert sorted(texts) == ["<unknown> it", "is it what"]
    assert sorted(int(one["answers"][0]) for one in samples) == [-1, 1]
    assert sorted(int(one["question_types"][0]) for one in samples) == [0, 3], "of no known type: other"


def test_a_question_of_ten_thousand_words_is_cut_and_counted(folder: Path) -> None:
    written(folder, [*SPLITS["train.jsonl"], a_row(2, 10_000 * "so ")], "train.jsonl")
    found = data(folder, longest=6)
    assert found.facts["longest"] == 6
    assert found.samples("train")[0]["questions"].shape[1] == 6
    told = "\n".join(found.doctor())
    assert "train: 1 of 5 questions have more words than data.longest=6" in told


def test_questions_of_any_script(folder: Path) -> None:
    for name in SPLITS:
        written(folder, [a_row(4, "यह हिन्दी है?", "हाँ"), a_row(5, "是红色吗？", "不")], name)
    found = data(folder)
    assert sorted(found.facts["answer_names"]) == ["हाँ", "不"]  # type: ignore[call-overload]
    assert {"हिन्दी", "红"} < {*found.facts["vocabulary"]}  # type: ignore[misc]
    for row in range(2):
        sample = found.samples("test")[row]
        assert UNKNOWN not in sample["questions"] and sample["answers"][0] >= 0


def test_what_is_measured_with_comes_only_where_it_is_measured(folder: Path) -> None:
    found = data(folder)
    assert "other_images" not in found.samples("train")[0]
    one, two = (found.samples("test")[n] for n in (0, 1))
    assert torch.equal(one["other_images"], two["images"]) and torch.equal(two["other_images"], one["images"])


def test_csv_is_the_same(folder: Path) -> None:
    lines = ["image,question,answer"]
    lines += [f'{row["image"]},"{row["question"]}",{row["answer"]}' for row in SPLITS["train.jsonl"]]
    other = folder / "other"
    written(other, [a_row(number) for number in range(3)], "train.jsonl")
    (other / "train.jsonl").unlink()
    (other / "train.csv").write_text("\n".join(lines).replace("False", "no"))
    for split in ("val", "test"):
        (other / f"{split}.csv").write_text("file,question,answer,type\n0.png,is it red?,no,yes or no\n")
    found, again = data(folder), data(other)
    assert found.facts["vocabulary"] == again.facts["vocabulary"]
    assert found.facts["answer_names"] == again.facts["answer_names"]
    assert again.listings["val"].items[0][1][0].type == "yes or no"


def test_answers_of_several_people(tmp_path: Path) -> None:
    said = [["yes"] * 4 + ["no"] * 6, ["Two"] * 10, ["no", *["2"] * 9]]
    rows = [{**a_row(number), "answers": own} for number, own in enumerate(said)]
    for name in SPLITS:
        written(tmp_path, rows, name)
    found = data(tmp_path)
    assert found.people == 10 and found.facts["answer_names"] == ["2", "no"]
    batch = next(iter(BatchLoader(found.samples("val"), VqaBatch, batch_size=3)))
    assert batch.human_answers is not None and batch.human_answers.shape == (3, 1, 10)
    by_name = dict(zip(found.sample_names("val"), batch.human_answers[:, 0].tolist(), strict=True))
    assert by_name["images/0.png"] == [-1] * 4 + [1] * 6
    assert by_name["images/1.png"] == [-1] * 10, "all typed Two, and the list has 2: the challenge's habit"
    assert by_name["images/2.png"] == [1, *[0] * 9]


def test_splits_that_no_file_gives_are_drawn(tmp_path: Path) -> None:
    written(tmp_path, [a_row(number % 10, f"is it {number}?") for number in range(20)])
    found = data(tmp_path, val_fraction=0.2, test_fraction=0.2)
    names = [name for split in SPLIT_NAMES for name in found.sample_names(split)]
    assert sorted(names) == sorted(f"images/{number}.png" for number in range(10))
    written(tmp_path, [a_row(n, split=("train", "dev", "test")[n % 3]) for n in range(9)])
    assert data(tmp_path).sample_names("val") != [] and len(data(tmp_path).sample_names("val")) == 3


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (a_row(7, question="?!"), "no word in its question"),
        (a_row(7, answer=" "), "has no answer"),
        ({**a_row(7), "image": "none.png"}, "is not there"),
    ],
)
def test_questions_that_cannot_be_used_are_refused_or_counted(
    folder: Path, row: dict[str, Any], why: str
) -> None:
    written(folder, [*SPLITS["train.jsonl"], row], "train.jsonl")
    with pytest.raises(DataError, match=rf"train\.jsonl, line 5.*{why}[\s\S]*data\.on_corrupt=skip"):
        data(folder)
    found = data(folder, on_corrupt="skip")
    assert len(found.sample_names("train")) == 3
    assert [*found.loader("train").corrupt] == [f"{folder / 'train.jsonl'}, line 5"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"image": "0.png", "question": 3, "answer": "yes"}', "line 1: its question is 3; expected a row"),
        ('{"question": "is it", "answer": "yes"}', "line 1: names no picture .* among question, answer; exp"),
        ('{"image": "0.png", "question": "is it", "answer": {"a": 1}}', "line 1: its answers are"),
        ("[1]", "line 1: expected a row such as"),
        ("{", "cannot be read"),
        (
            '{"image": "0.png", "question": "is it", "answer": "yes", "split": "some"}',
            "split is 'some'; expected",
        ),
    ],
)
def test_lines_that_are_no_rows_are_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "mine.jsonl").write_text(text)
    with pytest.raises(DataError, match=why):
        data(tmp_path)


def test_each_question_has_as_many_answers(folder: Path) -> None:
    written(folder, [a_row(0), {**a_row(1), "answers": ["yes", "no"]}], "train.jsonl")
    with pytest.raises(DataError, match=r"line 2 has 2 answers, and .*line 1 has 1"):
        data(folder)


def test_the_file_can_be_named(folder: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        data(folder, rows="mine.jsonl")
    for name in ("val.jsonl", "test.jsonl"):
        (folder / name).rename(folder / f"my-{name}")
    (folder / "train.jsonl").rename(folder / "my-train.jsonl")
    with pytest.raises(DataError, match="which one is it"):
        data(folder)
    assert data(folder, rows="my-train.jsonl").sample_names("train")


@pytest.mark.parametrize("lost", [[a_row(4, answer=""), a_row(5, answer=" ")], []])
def test_a_split_of_which_nothing_is_left_is_not_drawn_in_its_place(
    folder: Path, lost: list[dict[str, Any]]
) -> None:
    written(folder, lost, "test.jsonl")
    with pytest.raises(DataError, match=r"data: nothing of test in .* can be used; expected some that can"):
        data(folder, on_corrupt="skip")
    for path in folder.glob("*.jsonl"):
        path.unlink()
    written(folder, [*(a_row(n) for n in range(9)), *(row | {"split": "test"} for row in lost)])
    if lost:
        with pytest.raises(DataError, match="nothing of test in"):
            data(folder, on_corrupt="skip")
    else:
        assert data(folder).sample_names("test")


@pytest.mark.parametrize("least", [1, 3])
def test_data_with_one_answer_only_say_so(folder: Path, least: int) -> None:
    written(folder, [a_row(n, answer="yes" if n or least == 1 else "no") for n in range(4)], "train.jsonl")
    found = data(folder, least_answer=least)
    with pytest.raises(DataError, match=rf"the 4 training questions are \['yes'\].*least_answer={least} of"):
        found.facts  # noqa: B018
    found.known_facts = {"answer_names": ["no", "yes"]}
    assert found.answer_list.names == ["no", "yes"], "a run's own answers are what it tells"
