"""What is typed after ``predict``, and how what it writes is called."""

from pathlib import Path
from typing import Any

import pytest

from vision_apps.cli import main
from vision_apps.prediction import predict as prediction
from vision_apps.prediction.inputs import Input
from vision_apps.prediction.ours import Ours
from vision_apps.prediction.outputs import Names


def test_names_are_found_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is looked for on the disk once, also of many files that are called alike."""
    looked: list[str] = []
    original = Ours.may_write
    monkeypatch.setattr(Ours, "may_write", lambda self, name: looked.append(name) or original(self, name))
    inputs = [Input(f"frames/{number}/rgb.png", "picture") for number in range(500)]
    ours = Ours(tmp_path)
    names = Names(inputs, tmp_path, ours)
    ours.close()
    assert [names[0], names[1], names[499]] == ["rgb.png", "rgb-2.png", "rgb-500.png"]
    assert len(looked) == len(set(looked)) == 501  # and the rows'


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--batch 0", "--batch: 0; expected auto or a number from 1, as in --batch 16"),
        ("--batch many", "--batch: many; expected auto or a number from 1, as in --batch 16"),
        ("--batch", "--batch: expected auto or a number from 1, as in --batch 16"),
        ("--every -2", "--every: -2; expected a number from 1, as in --every 5"),
        ("--seconds inf", "--seconds: inf; expected a number above 0, as in --seconds 10"),
        ("--bach 3", "--bach: no such option; did you mean '--batch'?; see --help"),
    ],
)
def test_options(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "runs/x", "a.png", *words.split()]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_options_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(prediction, "predict", lambda *rest: given.append(rest))
    words = [
        "--batch=8",
        "module.tile=64",
        "--with",
        "question=how many?",
        "--every",
        "3",
        "--seconds",
        "2.5",
        "--out",
        "o",
    ]
    assert main(["predict", "runs/x", "a.mp4", *words]) == 0
    assert main(["predict", "runs/x", "a.png", "--batch", "auto"]) == 0
    assert given == [
        ("runs/x", ["a.mp4"], "o", ["module.tile=64"], 8, 3, 2.5, {"question": "how many?"}, None, None),
        ("runs/x", ["a.png"], None, [], None, 1, None, {}, None, None),
    ]
