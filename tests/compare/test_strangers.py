"""One bad run among good ones is named, and the others are shown."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import make

from vision_apps.cli import main
from vision_apps.compare import reading
from vision_apps.dashboard.mirror import Mirror

ROOT = Path("runs")


def deep(folder: Path) -> None:
    for _ in range(300):
        folder /= "deeper"
    folder.mkdir(parents=True)


BAD: dict[str, Callable[[Path], Any]] = {
    "nested": lambda bad: (bad / "run.json").write_text("[" * 200_000),
    "nested configuration": lambda bad: (bad / "config.yaml").write_text("[" * 200_000),
    "noise": lambda bad: (bad / "run.json").write_bytes(os.urandom(20_000)),
    "time": lambda bad: (bad / "run.json").write_text('{"started": "2026-03"}'),
    "first day": lambda bad: (bad / "run.json").write_text('{"started": "0001-01-01T00:00:00+14:00"}'),
    "types": lambda bad: (bad / "run.json").write_text(
        '{"choices": [1], "title": 3, "group": {}, "seed": []}'
    ),
    "metrics": lambda bad: (bad / "metrics.json").write_text('{"best": 3, "final": {"test/accuracy": "x"}}'),
    "large": lambda bad: (bad / "metrics.json").write_text('{"seconds": %s, "final": []}' % ("9" * 9999)),
    "list": lambda bad: (bad / "metrics.json").write_text("[1]"),
    "configuration": lambda bad: (bad / "config.yaml").write_text("task: 3"),
    "keys": lambda bad: (bad / "config.yaml").write_text("task: {name: toy, 3: 4}"),
    "folds": lambda bad: (bad / "config.yaml").write_text("task: {name: toy}\ndata: {folds: x}"),
}


@pytest.fixture
def good() -> None:
    for index in range(3):
        make(ROOT / f"000{index}", seed=index, values={"best": 0.5, "test/accuracy": 0.4})


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("name", BAD)
def test_one_bad_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    bad = make(ROOT / "bad", seed=9, values={"best": 0.5, "test/accuracy": 0.4})
    BAD[name](bad)
    assert [run.folder.name for run in reading.gather(["runs"]).runs] == ["0000", "0001", "0002"]
    assert main(["compare", "runs", "--out", "out"]) == 0
    assert "left out: runs/bad " in capsys.readouterr().out
    for form in ("text", "csv"):
        assert main(["runs", "--format", form]) == 0
        told = capsys.readouterr()
        assert all(f"runs/000{index}" in told.out for index in range(3))
        assert "runs/bad" in told.out or "runs/bad" in told.err
    Mirror(ROOT, Path("journal"), Board()).update()


@pytest.mark.usefixtures("good")
def test_noise_as_figures_of_a_run_that_was_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    bad = make(ROOT / "bad", seed=9, finished=False)
    (bad / "metrics.csv").write_bytes(os.urandom(20_000))
    assert main(["runs"]) == 0
    assert main(["compare", "runs"]) == 0
    assert "0002" in capsys.readouterr().out


@pytest.mark.usefixtures("good")
def test_links_that_end_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    for name, target in (("loop", "."), ("itself", "itself"), ("up", "../.."), ("gone", "nowhere")):
        (ROOT / name).symlink_to(target)
    deep(ROOT)
    images = ROOT / "0000" / "images"
    images.mkdir(exist_ok=True)
    (images / "val-sheet-best.png").symlink_to("nowhere")
    os.mkfifo(images / "test-sheet-best.png")
    assert main(["runs"]) == 0
    assert "runs: 3" in capsys.readouterr().out
    assert main(["compare", "runs", "--out", "out"]) == 0
    Mirror(ROOT, Path("journal"), Board()).update()


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("files", range(1, 5))
def test_a_comparison_that_was_killed_is_taken_over(files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many of its files were begun: what is there is whole, and the next one writes all."""
    replace, begun = os.replace, []

    def killed(source: Path, target: Path) -> None:
        begun.append(target)
        if len(begun) == files:
            raise SystemExit  # no handler of the code under test sees it, as none would see a kill
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(SystemExit):
            main(["compare", "runs", "--out", "out"])
    assert len(list(Path("out").glob("[!.]*"))) == files - 1
    assert main(["compare", "runs", "--out", "out"]) == 0
    assert sorted(os.listdir("out")) == ["index.html", "runs.csv", "table.csv", "table.md"]
    assert "</html>" in Path("out/index.html").read_text()


@pytest.mark.usefixtures("good")
def test_a_link_in_the_folder_of_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    Path("victim").write_text("as it was")
    Path("out").mkdir()
    Path("out/table.csv").symlink_to(Path("victim").absolute())
    assert main(["compare", "runs", "--out", "out"]) == 2
    assert "--out out: its table.csv is a link, which is not written through" in capsys.readouterr().err
    assert Path("victim").read_text() == "as it was"


def test_escapes_and_formulas_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    escape, formula = "\x1b[31mred", "=1+1"
    for seed, name in enumerate((escape, formula, "plain")):
        record = {"title": name, "group": formula, "error": formula, "status": "failed"} if seed < 2 else {}
        changes = {"model.width": name, "model.=key": seed, "task.name": escape}
        values = {"best": 0.5, "test/accuracy": 0.4, formula: -0.5}
        chosen = {"model": name, "data": escape}
        make(ROOT / f"{name}{seed}", changes, seed=seed, values=values, choices=chosen, record=record)
        make(ROOT / f"{name}{seed}b", changes, values=values, choices=chosen, record={"title": f"{name} b"})
    for words in (["runs"], ["compare", "runs", "--out", "out", "--metric", formula], ["compare", "runs"]):
        for form in ("text", "csv", "markdown")[: 2 if words == ["runs"] else 3]:
            assert main([*words, "--format", form]) == 0
            told = capsys.readouterr()
            assert "\x1b" not in told.out + told.err
            assert r"\x1b[31mred" in told.out
            if form == "csv":
                require_no_formula(told.out)
    for name in ("table.csv", "runs.csv", "table.md"):
        written = Path("out", name).read_text()
        assert "\x1b" not in written
        if name != "table.md":
            require_no_formula(written)
            assert "'=1+1" in written


def require_no_formula(text: str) -> None:
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []


class Board:
    """Shows nothing."""

    def open(self, port: int | None) -> str:
        return ""

    def add(self, *_: object) -> None:
        pass

    def forget(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass
