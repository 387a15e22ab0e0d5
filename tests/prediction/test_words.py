"""Words beside pictures or in place of them, from the command line and from rows of a file."""

import io
import json
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asking
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from PIL import Image

from vision_apps.cli import main
from vision_apps.core.errors import ConfigError, DataError
from vision_apps.data.images import read_image
from vision_apps.prediction.ours import NOTES
from vision_apps.prediction.predict import predict
from vision_apps.prediction.video import VideoFile

pytestmark = pytest.mark.usefixtures("asking")
needs_opencv = pytest.mark.skipif(find_spec("cv2") is None, reason="an optional package")


def photo(name: str, level: int, width: int = 6) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, 4), (level,) * 3).save(name)
    return name


def write_rows(name: str, *rows: dict[str, Any] | str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def answers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]


def errors(folder: Path) -> list[str]:
    return [row["error"] for row in answers(folder)]


def test_words_are_said_beside_every_picture() -> None:
    run = asking.saved("Question")
    names = [photo("a.png", 10), photo("b.png", 20)]
    words = ["--with", "question=how bright = ü?", "--with=shades=[1, 2]", "--out", "out"]
    assert main(["predict", run, *names, *words]) == 0
    for row, name, level in zip(answers(Path("out")), names, (10, 20), strict=True):
        assert row == {
            "file": name,
            "question": "how bright = ü?",
            "shades": "[1, 2]",
            "width": 6,
            "height": 4,
            "bright": level,
            "letters": 12,
            "shade": 3,
            "picture": name,
        }


def test_rows_of_a_file() -> None:
    run = asking.saved("Question")
    photo("in/a.png", 10)
    photo("here.png", 30)
    photo("a.png", 40)  # the one beside the rows goes before
    rows = write_rows(
        "in/rows.jsonl",
        {"file": "a.png", "question": "who"},
        {"file": "a.png", "question": "why then", "shades": [1, 2.5]},
        "",
        {"file": "here.png", "hint": 3, "question": None},
    )
    folder = predict(run, [rows, "a.png"], "out", given={"question": "where", "shades": "[7]"})
    found = answers(folder)
    assert [row["file"] for row in found] == ["in/a.png", "in/a.png", "here.png", "a.png"]
    assert [row["question"] for row in found] == ["who", "why then", "where", "where"]
    assert [row["shades"] for row in found] == ["[7]", "[1, 2.5]", "[7]", "[7]"]
    assert [row.get("hint") for row in found] == [None, None, "3", None]
    assert [(row["bright"], row["letters"], row["shade"]) for row in found] == [
        (10, 3, 7),
        (10, 7, 3.5),
        (30, 5, 7),
        (40, 5, 7),
    ]
    pictures = [row["picture"] for row in found]
    assert pictures == ["a.png", "a-2.png", "here.png", "a-3.png"]
    assert [int(read_image(folder / name)[0, 0, 0]) for name in pictures] == [10, 10, 30, 40]


def test_bad_rows_say_their_line_and_what_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    run = asking.saved("Question")
    photo("a.png", 10)
    photo("b.png", 20)
    bad = [
        '{"file": "a.png", "question": "who',
        "[1]",
        '{"file": "a.png", "questoin": "who"}',
        '{"question": "who"}',
        '{"file": 3, "question": "who"}',
        r'{"file": "a.png", "question": "\ud800"}',
        "[" * 100_000,
        '{"file": "gone.png", "question": "who"}',
        '{"file": "%s", "question": "who"}' % ("x" * 5000),
        r'{"file": "a\u0000.png", "question": "who"}',
        '{"file": "b.png"}',
    ]
    Path("rows.jsonl").write_bytes("\n".join(bad).encode() + b'\n{"file": "\xff"}\n')
    with open("rows.jsonl", "a") as file:
        file.write('{"file": "a.png", "question": "who"}')
    folder = predict(run, ["rows.jsonl"], "out")
    *failed, good = answers(folder)
    assert good["letters"] == 3 and good["picture"] == "a.png"
    expected = (
        'expected a row such as {"file": "photo.jpg", "question": "...", "shades": "...", "hint": "..."}'
    )
    starts = [
        "line 1: no JSON (Unterminated string",
        "line 2: [1] is no object; ",
        "line 3: 'questoin' is not taken; did you mean 'question'?; ",
        "line 4: 'file' is no path; ",
        "line 5: 'file' is no path; ",
        "line 6: no JSON ('utf-8' codec can't encode character '\\ud800'",
        "line 7: no JSON (maximum recursion depth",
        "line 8 of rows.jsonl: no such file, neither in ., its images/ nor here; expected a picture",
        "line 9 of rows.jsonl: no such file",
        "line 10 of rows.jsonl: no such file",
        "question: none was asked; expected words",
        "line 12: no JSON ('utf-8' codec can't decode byte 0xff",
    ]
    for row, start in zip(failed, starts, strict=True):
        assert row["error"].startswith(start)
        assert row["error"].endswith(expected) == (row["file"] == "rows.jsonl")
    assert failed[7]["file"] == "gone.png" and failed[7]["question"] == "who"
    assert {row["file"] for row in failed[:7]} == {"rows.jsonl"}
    said = capsys.readouterr().out
    assert "failed  rows.jsonl: line 2: [1] is no object" in said
    assert said.endswith("1 pictures and predictions.jsonl in out (12 failed)\n")
    assert sorted(path.name for path in folder.iterdir()) == [NOTES, "a.png", "predictions.jsonl"]


def test_rows_name_pictures_as_those_learned_from_do_and_keep_their_ids() -> None:
    run = asking.saved("Question")
    photo("in/images/a.png", 10)
    ids = {"question_id": 7, "image_id": "000000000012", "id": 0.5, "questionId": "x"}
    rows = write_rows(
        "in/rows.jsonl",
        {"image": "a.png", "question": "who", **ids},
        {"image_id": "images/a.png", "question": "who", "question_id": 8},
        {"file_name": "gone.png", "question": "who", "question_id": 9},
        {"image": "a.png", "question": "", "question_id": [1]},
        {"file": "a.png", "image": "a.png"},
        {"image_id": 12, "question": "who"},
    )
    first, second, gone, *bad = answers(predict(run, [rows], "out"))
    assert first["file"] == "in/images/a.png" and first["question"] == "who" and first["bright"] == 10
    assert {name: first[name] for name in ids} == ids and "image" not in first
    assert second["file"] == "in/images/a.png" and second["question_id"] == 8 and "image_id" not in second
    assert gone["question_id"] == 9 and gone["error"].startswith("line 3 of in/rows.jsonl: no such file")
    starts = ["'question_id' is neither text nor a number", "'image' is not taken", "'image_id' is no path"]
    for number, (row, start) in enumerate(zip(bad, starts, strict=True), 4):
        assert row["error"].startswith(f"line {number}: {start}")


def test_files_of_rows_that_cannot_be_used() -> None:
    run = asking.saved("Question")
    write_rows("rows.jsonl", "", "  ")
    with pytest.raises(
        DataError, match=r'^rows.jsonl has no rows: expected lines such as {"file": "photo.jpg"'
    ):
        predict(run, ["rows.jsonl"])
    with pytest.raises(DataError, match=r"^gone.jsonl matches no file: .* a JSONL file of rows"):
        predict(run, ["gone.jsonl"])
    mine = write_rows("out/predictions.jsonl", {"file": photo("a.png", 10), "question": "who"})
    before = Path(mine).read_bytes()
    with pytest.raises(ConfigError, match=r"^out/predictions.jsonl holds rows to answer, .* --out answers"):
        predict(run, [mine], "out")
    assert Path(mine).read_bytes() == before


def test_words_that_are_not_taken(capsys: pytest.CaptureFixture[str]) -> None:
    run = asking.saved("Question")
    photo("a.png", 10)
    for pairs, text in (
        (
            ["questoin=who"],
            "--with questoin: not taken; did you mean 'question'?; this run takes pictures and videos, each "
            "with question, shades, hint\n  question: what is asked about the picture\n  shades: a list of "
            "numbers\n  hint: a number",
        ),
        (["question"], "--with question: expected NAME=TEXT, as in --with question='how many?'"),
        (
            ["question=a", "question=b"],
            "--with question: given twice; for several answers about a picture name a file of rows, see "
            "vision-apps predict --help",
        ),
    ):
        words = [word for pair in pairs for word in ("--with", pair)]
        assert main(["predict", run, "a.png", *words]) == 2
        assert capsys.readouterr().err == f"error: {text}\n"
    assert not Path("question-predictions").exists()  # nothing was begun
    with pytest.raises(
        DataError, match="question=how many matches no file; did you mean --with 'question=how"
    ):
        predict(run, ["a.png", "question=how many"])


def test_an_error_of_encoding_is_the_row_s() -> None:
    run = asking.saved("Question")
    with pytest.raises(DataError, match=r"^none of the 1 inputs could be answered; the reasons are in out/"):
        predict(run, [photo("a.png", 10)], "out")
    assert answers(Path("out")) == [
        {
            "file": "a.png",
            "error": "question: none was asked; expected words, as in --with question='how bright?'",
        }
    ]


def test_alike_inputs_are_answered_together_and_others_apart() -> None:
    run = asking.saved("Question")
    photo("small.png", 10)
    photo("wide.png", 20, 9)
    rows, expected = [], []
    for number in range(60):
        row: dict[str, Any] = {"file": "wide.png" if number % 5 == 4 else "small.png"}
        row["question"] = " ".join("x" * (1 + k) for k in range(number % 7))  # any number of words, none too
        row["shades"] = [1.5] * (1 + number % 2)
        row |= {"hint": 1} if number % 3 == 0 else {}
        rows.append(row)
        words = number % 7
        expected.append((20 if number % 5 == 4 else 10, words * (words + 1) // 2, 1.5 * (1 + number % 2)))
    write_rows("rows.jsonl", *rows)
    asking.QuestionModule.batches.clear()
    found = answers(predict(run, ["rows.jsonl"], "out", batch=4))
    assert [(row["bright"], row["letters"], row["shade"]) for row in found] == expected
    batches = asking.QuestionModule.batches
    assert max(batches) == 4 and sum(batches) == 60 and len(batches) <= 40
    assert answers(predict(run, ["rows.jsonl"], "alone", batch=1)) == found


@needs_opencv
def test_words_beside_every_frame() -> None:
    run = asking.saved("Question")
    film = VideoFile(Path("film.mp4"), 10)
    for number in range(3):
        film.write(torch.full((3, 32, 32), 100, dtype=torch.uint8), number / 10)
    film.close()
    rows = write_rows("rows.jsonl", {"file": "film.mp4", "question": "a bc"}, {"file": "film.mp4"})
    found = answers(predict(run, [rows], "out", given={"question": "d"}))
    assert [row["letters"] for row in found] == [3, 3, 3, 1, 1, 1]
    assert [row["video"] for row in found] == ["film.mp4"] * 3 + ["film-2.mp4"] * 3
    with pytest.raises(DataError, match="none of the 1 inputs"):
        predict(run, ["film.mp4"], "x")
    assert len(answers(Path("x"))) == 1  # not one for each frame


def test_without_pictures() -> None:
    run = asking.saved("Way")
    assert main(["predict", run, "--with", "start=0,0", "--with", "goal=3,2", "--out", "out"]) == 0
    assert answers(Path("out")) == [{"start": "0,0", "goal": "3,2", "steps": 5, "picture": "0001.png"}]
    assert read_image("out/0001.png").shape == (3, 4, 6)


def test_rows_without_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    run = asking.saved("Way")
    rows = write_rows(
        "rows.jsonl",
        {"start": [0, 1]},
        {"file": "a.png", "start": "0,0"},
        "",
        {"goal": [9, 9]},
        {"start": [5, 5]},
    )
    folder = predict(run, [rows], "out", given={"goal": "5,5"})
    assert answers(folder) == [
        {"goal": "5,5", "start": "[0, 1]", "steps": 9, "picture": "0001.png"},
        {
            "file": "rows.jsonl",
            "error": 'line 2: \'file\' is not taken; expected a row such as {"start": "...", "goal": "..."}',
        },
        {"goal": "[9, 9]", "error": "start: expected x,y"},
        {"goal": "5,5", "start": "[5, 5]", "steps": 0, "picture": "0005.png"},
    ]
    said = capsys.readouterr().out
    assert "failed  0004: start: expected x,y\n" in said
    assert said.endswith("2 answers and predictions.jsonl in out (2 failed)\n")
    assert "batch   1\n" in said


def test_nothing_to_draw() -> None:
    run = asking.saved("Way", drawn=False)
    folder = predict(run, [], "out", given={"start": "0,0", "goal": "1,1"})
    assert answers(folder) == [{"start": "0,0", "goal": "1,1", "steps": 2}]
    assert sorted(path.name for path in folder.iterdir()) == [NOTES, "predictions.jsonl"]


def test_pictures_that_are_not_taken() -> None:
    run = asking.saved("Way")
    photo("photos/a.png", 10)
    for word in ("photos/a.png", "photos"):
        with pytest.raises(DataError, match=r"^photos/a.png: this run takes no pictures, but start, goal$"):
            predict(run, [word])
    with pytest.raises(DataError, match=r"^x.png: this run takes no pictures, but start, goal$"):
        predict(run, ["x.png"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_of_files_that_are_no_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", terminal)
    run = asking.saved("Question")
    name = os.fsdecode(b"caf\xe9.png")
    photo(f"in/{name}", 10)
    Path(f"in/z{name}").write_text("broken")
    assert main(["predict", run, "in", "--with", "question=why", "--out", "out"]) == 0
    first, second = answers(Path("out"))
    assert (first["file"], first["picture"], first["bright"]) == (f"in/{name}", name, 10)
    assert second["file"] == f"in/z{name}" and "error" in second
    assert (Path("out") / name).is_file()
    terminal.flush()
    assert b"failed  in/zcaf\\udce9.png: " in terminal.buffer.getvalue()  # type: ignore[attr-defined]


def test_words_that_an_application_stumbles_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``encode`` as one writes it at first, without errors of its own."""

    def encode(self: Any, images: torch.Tensor | None, words: Mapping[str, str]) -> asking.Question:
        number = {"one": 1}[words["question"]] + int(words["hint"])
        return asking.Question(images, torch.tensor([[number]]), torch.zeros(1, 1))  # type: ignore[arg-type]

    run = asking.saved("Question")
    monkeypatch.setattr(asking.QuestionModule, "encode", encode)
    photo("a.png", 10)
    rows = write_rows(
        "rows.jsonl",
        {"file": "a.png", "question": "one"},
        {"file": "a.png", "question": "one", "hint": "two"},
        {"file": "a.png", "question": "three", "hint": 2},
        {"file": "a.png", "question": "one", "hint": 2},
    )
    *failed, good = answers(predict(run, [rows], "out"))
    assert [row["error"] for row in failed] == [
        "hint: not said; expected --with hint=..., in Python hint=..., or a row that has it",
        "{'question': 'one', 'hint': 'two'}: not understood (ValueError: invalid literal for int() with "
        "base 10: 'two'); predict RUN --help says what is taken",
        "{'question': 'three', 'hint': '2'}: not understood (KeyError: 'three'); predict RUN --help says "
        "what is taken",
    ]
    assert good["letters"] == 3
