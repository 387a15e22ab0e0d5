"""Text of a stranger's files moves no cursor and computes nothing where a command or a table shows it."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vision_apps.cli.output import refuse
from vision_apps.core import neutral
from vision_apps.core.errors import ConfigError
from vision_apps.sweeps import outcome, studies, table

ESCAPE, FORMULA = "\x1b[31mred", "=cmd|x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\rb\x7f\x9b2J\0", r"a\rb\x7f\x9b2J\x00"),
        ("two\nlines\tof Köln · 東京", "two\nlines\tof Köln · 東京"),
    ],
)
def test_control_characters_become_visible(text: str, shown: str) -> None:
    assert neutral.visible(text) == shown
    assert neutral.visible("z\nz.png", kept="") == r"z\nz.png"


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\n=1", "-", "＝1"])
def test_formulas_are_guarded(text: str) -> None:
    assert neutral.guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "-inf", "1=1", "runs/a-b", "", "–"])
def test_numbers_and_other_texts_are_not(text: str) -> None:
    assert neutral.guarded(text) == text


def test_figures_of_a_table_stay_figures() -> None:
    row = {"=a": -0.5, "n": 3, "none": None, "path": Path("=x"), "list": [1], "besides": 1}
    names = ["=a", "n", "none", "path", "list", "class", "lacks"]
    rows = [row | {"class": name} for name in (ESCAPE, FORMULA)]
    assert neutral.csv_text(names, rows).splitlines() == [
        "'=a,n,none,path,list,class,lacks",
        r"-0.5,3,,'=x,[1],\x1b[31mred,",
        "-0.5,3,,'=x,[1],'=cmd|x,",
    ]


def test_results_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SimpleNamespace(name="FAIL")
    known: Any = SimpleNamespace(
        number=0,
        state=state,
        values=None,
        params={"=key": ESCAPE, "b": FORMULA},
        user_attrs={"error": "=1+1"},
    )
    monkeypatch.setattr(studies, "counted", lambda trials: trials)
    sweep: Any = SimpleNamespace(
        study=SimpleNamespace(trials=[known]), objectives={}, folder=tmp_path, runs=1
    )
    outcome.write(sweep)
    assert "\x1b" not in (tmp_path / "results.csv").read_text()
    with open(tmp_path / "results.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["'=key"], row["b"], row["error"]) == (r"\x1b[31mred", "'=cmd|x", "'=1+1")
    assert table.settings_text(known) == r"=key=\x1b[31mred b==cmd|x"


def test_an_error_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert refuse(ConfigError(f"{ESCAPE}\nsecond line")) == 2
    assert capsys.readouterr().err == "error: \\x1b[31mred\nsecond line\n"
