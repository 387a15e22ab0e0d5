"""``vision-apps choose``: what is asked, what is kept, and weights that ``test`` and ``predict`` take."""

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

from smallest import SMALLEST
from vision_apps.cli import main
from vision_apps.core.choosing import Question
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.core.run_folder import RunFolder
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.prediction.choose import choose

pytestmark = pytest.mark.slow  # a captioner is trained


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with captions, ``album``, and a run that has learned beside them which sentences fit."""
    place = tmp_path_factory.mktemp("reader")
    CaptionTableFiles.fake(place / "album")
    words = ["task=captioning", "data=csv", f"data.root={place / 'album'}", "data.image_size=32"]
    small = [word for word in SMALLEST if "limit_t" not in word and "limit_val" not in word]
    own = ["model=attention", "module.rerank.matching.loss=0.1", f"run.dir={place / 'run'}", "test=false"]
    assert main(["train", *words, *small, "trainer=cpu", *own]) == 0
    return place


@pytest.fixture
def run(reader: Path) -> str:
    (reader / "run/choices.jsonl").unlink(missing_ok=True)
    return str(reader / "run")


def held_out(reader: Path, split: str) -> list[str]:
    names = (reader / f"run/splits/{split}.txt").read_text().splitlines()
    return [str(next((reader / "album").rglob(Path(name).name))) for name in names]


class Person:
    """Chooses the text that comes first in the alphabet, of every picture but the ones to skip."""

    def __init__(self, skip: Sequence[int] = ()) -> None:
        self.skip = skip
        self.asked: list[Question] = []

    def __call__(self, questions: Sequence[Question], chosen: Any) -> None:
        self.asked += questions
        for number, question in enumerate(questions):
            assert question.picture().startswith(b"\x89PNG")
            if number not in self.skip:
                chosen(number, question.candidates.index(min(question.candidates)))


def nobody(questions: Sequence[Question], chosen: Any) -> None:
    raise AssertionError("nothing is to be asked")


def test_from_choices_to_captions_in_that_order(
    reader: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = held_out(reader, "val")
    person = Person(skip=[1])
    weights = choose(run, pictures, None, person)
    assert [question.file for question in person.asked] == pictures
    rows = [json.loads(line) for line in (reader / "run/choices.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [os.path.abspath(p) for n, p in enumerate(pictures) if n != 1]
    assert all(row["chosen"] == min(row["candidates"]) and len(row["candidates"]) == 3 for row in rows)

    told = capsys.readouterr().out
    keys = ["module.rerank.coverage.weight", "module.rerank.matching.weight"]
    assert "left out  module.rerank.nouns.weight: it has not learned which classes are seen" in told
    settings = [f"{key}={weight:g}" for key, weight in zip(keys, weights, strict=True)]
    assert told.split("weights\n")[1].splitlines()[:2] == [f"  {setting}" for setting in settings]

    # what was skipped is asked again, what was chosen is not
    again = Person()
    choose(run, pictures, None, again)
    assert [question.file for question in again.asked] == [pictures[1]]
    assert f"known     {len(pictures) - 1} pictures were chosen of before" in capsys.readouterr().out

    # the commands that were printed are commands
    weights = choose(run, [], None, nobody)
    told = capsys.readouterr().out
    for name in ("test", "predict"):
        line = re.search(rf"^{name} +(.+)$", told, re.MULTILINE)
        assert line is not None
        words = shlex.split(line[1])
        words = words[words.index(name) :]  # after `vision-apps`, or `python -m vision_apps` without a path
        assert main([pictures[0] if word == "photo.jpg" else word for word in words]) == 0
    assert RunFolder(run).mapping("test.json")["changes"] == settings_of(keys, weights)


def settings_of(keys: list[str], weights: list[float]) -> list[str]:
    return [f"{key}={weight:g}" for key, weight in zip(keys, weights, strict=True)]


def predicted(run: str, pictures: list[str], *settings: str) -> list[list[str]]:
    assert main(["predict", run, *pictures, "--out", "out", *settings]) == 0
    rows = [json.loads(line) for line in Path("out/predictions.jsonl").read_text().splitlines()]
    return [[one["caption"] for one in row["captions"]] for row in rows]


def test_a_weight_changes_the_order_alone(reader: Path, run: str) -> None:
    pictures = held_out(reader, "val")
    plain = predicted(run, pictures)
    other = predicted(run, pictures, "module.rerank.matching.weight=1000")
    turned = predicted(run, pictures, "module.rerank.matching.weight=-1000")
    for one, two, three in zip(plain, other, turned, strict=True):
        assert sorted(one) == sorted(two) and two == three[::-1]
    with pytest.raises(ConfigError, match=r"nouns\.weight: 0\.5, but it has not learned"):
        choose(run, [], "none.jsonl", nobody, ["module.rerank.nouns.weight=0.5"])


def test_a_list_of_somebody_s_own(reader: Path, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Any captions, beside the list or from here; what is no choice is counted, and named."""
    val = held_out(reader, "val")
    folder = Path(val[0]).parent
    entries: list[Any] = [
        {
            "file": Path(val[0]).name,
            "candidates": ["a red thing", "two purple cows"],
            "chosen": "a red thing",
        },
        {"file": val[1], "candidates": ["x", "y"], "chosen": None},
        {"file": "/nowhere/a.png", "candidates": ["x", "y"], "chosen": "x"},
        {"file": "only.png", "candidates": ["x"], "chosen": "x"},
        {"file": val[0]},
    ]
    file = folder / "mine.jsonl"
    file.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries) + "{\n" * 5)
    try:
        weights = choose(run, [], str(file), nobody)
    finally:
        file.unlink()
    told = capsys.readouterr().out
    assert len(weights) == 2
    for line in (
        f"left out  {file}, line 5: 'candidates' is None, expected a list of texts",
        "left out  3 more lines",
        "left out  1 pictures of which no answer is right",
        "left out  1 choices among one answer",
        "left out  1 pictures that cannot be read: /nowhere/a.png",
        "chosen    1 times",
        "note      1 choices say little",
    ):
        assert line in told, told


def test_pictures_of_the_test_split_are_refused(
    reader: Path, run: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tested, val = held_out(reader, "test"), held_out(reader, "val")
    with pytest.raises(DataError, match="among the pictures that the run is tested on"):
        choose(run, [*val, tested[0]], None, nobody)
    row = {"file": tested[0], "candidates": ["a", "b"], "chosen": "a"}
    Path("choices.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match="among the pictures that the run is tested on"):
        choose(run, [], "choices.jsonl", nobody)
    # another picture of the same name is not one of the run's
    Path(Path(tested[0]).name).write_bytes(Path(tested[0]).read_bytes())
    row["file"] = os.path.abspath(Path(tested[0]).name)
    Path("choices.jsonl").write_text(json.dumps(row))
    choose(run, [], "choices.jsonl", nobody)
    capsys.readouterr()
    choose(run, held_out(reader, "train")[:2], None, Person())
    assert "note      2 are training pictures" in capsys.readouterr().out


def test_what_cannot_be_chosen_of(reader: Path, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"choices\.jsonl: there are no choices yet; name the pictures"):
        choose(run, [], None, nobody)
    val = held_out(reader, "val")
    with pytest.raises(DataError, match="nothing was chosen of"):
        choose(run, val, None, Person(skip=range(len(val))))
    with pytest.raises(DataError, match="nothing was chosen of 0 pictures"):
        choose(run, val, None, nobody, ["module.best=1"])
    assert f"left out  {len(val)} pictures with one answer" in capsys.readouterr().out
    Path("empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="of 0 choices none says which"):
        choose(run, [], "empty.jsonl", nobody)
    Path("film.mp4").write_bytes(b"")
    with pytest.raises((ConfigError, DataError), match=r"film\.mp4"):
        choose(run, ["film.mp4"], None, nobody)


def test_choices_whose_pictures_are_nowhere(run: str) -> None:
    row = {"file": "elsewhere.png", "candidates": ["x", "y"], "chosen": "x"}
    Path("lost.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"none of its 1 pictures is there, such as elsewhere\.png"):
        choose(run, [], "lost.jsonl", nobody)
