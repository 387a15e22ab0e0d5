"""easy-VQA in its own files."""

import json
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from vision_apps.core.errors import DataError
from vision_apps.data.questions.easy_vqa import EasyVqa


def test_questions_find_their_pictures(tmp_path: Path) -> None:
    data = EasyVqa(**EasyVqa.fake(tmp_path))  # type: ignore[arg-type]
    data.prepare_data()
    assert sorted(data.facts["answer_names"]) == ["blue", "green", "no", "red", "yes"]  # type: ignore[call-overload]
    every = [one for split in ("train", "val", "test") for one in data.listings[split].questions]
    assert len(every) == 60
    for one in every:
        color = ("red", "green", "blue")[int(Path(one.picture).stem) % 3]
        expected = color if "what" in one.question else "yes" if color == "red" else "no"
        assert one.answers == (expected,)
    assert all("/test/" in name or name.startswith("test/") for name in data.sample_names("test"))


@pytest.mark.parametrize("text", ["{", '[["what?", "red"]]', '{"a": 1}', '[["what?", "red", "x"]]'])
def test_a_file_that_is_no_list_of_rows_is_told(tmp_path: Path, text: str) -> None:
    EasyVqa.fake(tmp_path)
    (tmp_path / "train/questions.json").write_text(text)
    with pytest.raises(DataError, match=r"train/questions\.json: expected a list of rows"):
        EasyVqa(str(tmp_path)).prepare_data()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    EasyVqa.fake(tmp_path)
    assert len(json.loads((tmp_path / "test/questions.json").read_text())) == 20
    (tmp_path / "test/questions.json").unlink()
    with pytest.raises(DataError, match=r"there is no test/questions\.json[\s\S]*data\.root="):
        EasyVqa(str(tmp_path)).prepare_data()
