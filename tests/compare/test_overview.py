"""`vision-apps runs`: the list and its filters."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from made_runs import make

from vision_apps.cli import main


@pytest.fixture
def some_runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for index in range(4):
        make(
            root / "classification" / f"000{index}",
            seed=index,
            values={"best": 0.5 + index / 10, "test/accuracy": 0.4 + index / 10},
            minute=index,
        )
    make(
        root / "segmentation" / "0000",
        choices={"task": "segmentation", "model": "segmentation_unet"},
        minute=9,
    )
    make(root / "classification" / "0004", finished=False, minute=10, record={"group": "calm-hill"})
    return root


def listed(capsys: Any, *words: str) -> list[dict[str, str]]:
    capsys.readouterr()
    assert main(["runs", *words, "--format", "csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def names(rows: list[dict[str, str]]) -> list[str]:
    return [Path(row["run"]).parent.name[0] + Path(row["run"]).name[-1] for row in rows]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["c4", "s0", "c3", "c2", "c1", "c0"]),
        (["--last", "2"], ["c4", "s0"]),
        (["task=segmentation"], ["s0"]),
        (["model=cnn"], ["c4", "c3", "c2", "c1", "c0"]),
        (["model=segmentation_unet"], ["s0"]),
        (["status=stopped"], ["c4"]),
        (["status=finished,stopped", "task=classification", "seed=0,1"], ["c4", "c1", "c0"]),
        (["group=calm-hill"], ["c4"]),
        (["val/accuracy>=0.7"], ["c3", "c2"]),
        (["test/accuracy<0.45", "task=classification"], ["c0"]),
        (["test/accuracy>0.4", "--last=1"], ["s0"]),
    ],
)
def test_filters(some_runs: Path, capsys: Any, filters: list[str], expected: list[str]) -> None:
    assert names(listed(capsys, str(some_runs), *filters)) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["modle=cnn"], "did you mean 'model'"),
        (["status=done"], "no such status"),
        (["test/acuracy>0.5"], "did you mean 'test/accuracy'"),
        (["test/accuracy>high"], "expected a number after >"),
        (["more", "words"], "expected one folder"),
        (["--last", "0"], "--last: 0; expected how many, as in --last 20"),
    ],
)
def test_bad_words(some_runs: Path, capsys: Any, words: list[str], told: str) -> None:
    assert main(["runs", str(some_runs), *words]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_without_runs(tmp_path: Path, capsys: Any) -> None:
    assert main(["runs"]) == 2
    assert "runs does not exist" in capsys.readouterr().err
    assert main(["runs", str(tmp_path)]) == 2
    assert "has no run below it" in capsys.readouterr().err


def test_the_table(some_runs: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert main(["runs", str(some_runs), "seed=3"]) == 0
    titles, line, count = capsys.readouterr().out.splitlines()
    assert titles.split() == "run started status task model data seed monitor best seconds".split()
    assert line.split()[-4:] == ["3", "val/accuracy", "0.8", "16"]
    assert count == "runs: 1"


def test_a_run_that_was_cut_off_while_it_was_made(tmp_path: Path, capsys: Any) -> None:
    make(tmp_path / "0000", seed=5)
    (tmp_path / "0000" / "run.json").write_text('{"id": "000')
    (row,) = listed(capsys, str(tmp_path))
    assert (row["task"], row["model"], row["data"], row["seed"], row["started"]) == ("",) * 5


def test_runs_of_a_fold(tmp_path: Path, capsys: Any) -> None:
    for fold in (None, 0, 1, 2):
        make(tmp_path / "runs" / "classification" / f"000{fold or 0}{fold is None}", record={"fold": fold})
    rows = listed(capsys, str(tmp_path / "runs"), "fold=1,2")
    assert [row["fold"] for row in rows] in (["1", "2"], ["2", "1"])
