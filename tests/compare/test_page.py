"""The page of `vision-apps compare --out`: opened and used in a real browser that reaches no network."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas
import pytest
from made_runs import make
from optuna.storages.journal import JournalFileBackend
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from browser import chromium, console_errors, requests
from vision_apps.cli import main
from vision_apps.compare import charts, importances

CURVES = "document.getElementById('curves-chart')"
HOSTILE = "<script>alert(1)</script>"
MOST_BYTES = 10_000_000
DISTRIBUTIONS = {
    "optimizer.lr": optuna.distributions.FloatDistribution(1e-5, 0.1, log=True),
    "model.width": optuna.distributions.IntDistribution(8, 24),
}


def drawn(browser: Chrome) -> list[dict[str, Any]]:
    """The curves as Plotly has drawn them."""
    WebDriverWait(browser, 600).until(lambda b: b.execute_script(f"return !!{CURVES}._fullData"))
    return browser.execute_script(
        f"return {CURVES}._fullData.map(t => ({{name: t.name, level: t.meta.level, run: t.meta.run, "
        "title: t.yaxis, last: t.y[t.y.length - 1], count: t.y.length}))"
    )


def lines(browser: Chrome) -> int:
    """How many are there to be seen."""
    return len(browser.find_elements(By.CSS_SELECTOR, "#curves-chart .scatterlayer .trace .js-line"))


@pytest.mark.slow
def test_the_page_of_thirty_runs_in_a_browser(tmp_path: Path) -> None:
    sweep = tmp_path / "runs" / "sweeps" / "0001-calm-hill"
    study = optuna.create_study(
        direction="maximize", storage=f"sqlite:///{tmp_path}/study.db", study_name="hill"
    )
    for trial in range(15):
        rate, width = 10.0 ** -(1 + trial % 5), 8 * (1 + trial % 3)
        accuracy = 0.9 - 0.1 * (trial % 5) + 0.001 * trial
        for seed in range(2):
            make(
                sweep / "trials" / f"{trial:04d}" / f"seed-{seed}",
                {"optimizer.lr": rate, "model.width": width, "task.note": HOSTILE if trial == 3 else "plain"},
                seed=seed,
                values={"best": accuracy + 0.01 * seed, "test/accuracy": accuracy},
                record={"group": "hill", "trial": trial, "title": f"{trial:04d} {HOSTILE} seed={seed}"},
                points=2000,
                picture=True,
            )
        parameters = {"optimizer.lr": rate, "model.width": width}
        study.add_trial(
            optuna.trial.create_trial(params=parameters, distributions=DISTRIBUTIONS, value=accuracy)
        )
    failed = {"status": "failed", "error": f"ValueError: {HOSTILE}", "title": "</script>"}
    make(tmp_path / "runs" / "0002", finished=False, record=failed, points=300)
    study.set_user_attr("objectives", {"val/accuracy": "max"})  # as a sweep does
    (sweep / "sweep.json").write_text("{}")
    (tmp_path / "study.db").rename(sweep / "study.db")
    (sweep / "study.json").write_text(
        json.dumps({"storage": "sqlite:////elsewhere/study.db", "study": "hill"})
    )

    out = tmp_path / "compared"
    assert main(["compare", str(tmp_path / "runs"), "--out", str(out)]) == 0
    page = out / "index.html"
    assert page.stat().st_size < MOST_BYTES
    assert {path.name for path in out.iterdir()} == {"index.html", "table.csv", "table.md", "runs.csv"}
    with open(out / "runs.csv") as file:
        assert len(list(csv.reader(file))) == 32

    with chromium(tmp_path, size=(390, 800), dark=True) as browser:
        browser.get(page.as_uri())
        assert len(drawn(browser)) == 31
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, (
            "wider than the window"
        )
        assert browser.find_elements(By.CSS_SELECTOR, "img"), "no pictures"
        widths = browser.execute_script("return [...document.images].map(i => i.naturalWidth)")
        assert len(widths) == 30 and min(widths) > 0, "a picture is broken"
        captions = [item.text for item in browser.find_elements(By.TAG_NAME, "figcaption")]
        assert len({caption.split(" · ")[0][:4] for caption in captions[:15]}) == 15, (
            "one of each trial first"
        )
        assert len(browser.find_elements(By.CSS_SELECTOR, "#importances-0-0 .point")) == 2
        assert browser.find_elements(
            By.CSS_SELECTOR, "#parallel-chart .parcoords, #parallel-chart .axis-title"
        )
        assert HOSTILE in browser.find_element(By.TAG_NAME, "table").text, "what a run says is text"

        Select(browser.find_element(By.ID, "metric")).select_by_visible_text("train/loss")
        curves = drawn(browser)
        assert len(curves) == 31, "the failed run has curves, too"
        assert max(curve["count"] for curve in curves) <= charts.POINTS
        assert "thinned to" in browser.find_element(By.TAG_NAME, "main").text
        rough = {curve["run"]: curve["last"] for curve in curves}

        smoothing = browser.find_element(By.ID, "smoothing")
        smoothing.send_keys(Keys.ARROW_DOWN)  # the keyboard is enough
        curves = drawn(browser)
        assert {curve["level"] for curve in curves} == {0, 1}
        assert any(curve["last"] != rough[curve["run"]] for curve in curves if curve["level"] == 1)

        before = lines(browser)
        browser.find_element(By.CSS_SELECTOR, "#chosen input").send_keys(Keys.SPACE)
        assert lines(browser) == before - 2, "the curve and its pale one"
        browser.find_element(By.CSS_SELECTOR, "#chosen button[value=none]").click()
        assert lines(browser) == 0
        browser.find_element(By.CSS_SELECTOR, "#chosen button[value=all]").click()
        assert lines(browser) == before

        assert console_errors(browser) == []
        assert requests(browser) == [page.as_uri()]


def test_smoothing_equals_pandas() -> None:
    values = np.random.default_rng(0).standard_normal(50)
    for weight in charts.SMOOTHING.values():
        expected = pandas.Series(values).ewm(alpha=1 - weight).mean()
        np.testing.assert_allclose(charts.smoothed(values, weight), expected, rtol=1e-12)


def test_too_few_trials_have_no_importances(tmp_path: Path) -> None:
    assert "cannot" in importances.importances(tmp_path), "there is no study"
    optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="few")
    (tmp_path / "study.json").write_text(
        json.dumps({"storage": f"sqlite:///{tmp_path}/study.db", "study": "few"})
    )
    assert importances.importances(tmp_path) == "needs 10 finished trials, there are 0"
    (tmp_path / "study.db").write_bytes(b"no database")
    assert "cannot" in importances.importances(tmp_path)


def test_two_objectives_have_importances_each(tmp_path: Path) -> None:
    journal = tmp_path / "study.log"
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
        study_name="two",
    )
    unit = optuna.distributions.FloatDistribution(0, 1)
    for a, b in np.random.default_rng(0).random((40, 2)).tolist():
        study.add_trial(
            optuna.trial.create_trial(
                params={"a": a, "b": b}, distributions={"a": unit, "b": unit}, values=[a, 100 * b]
            )
        )
    study.set_user_attr("objectives", {"val/accuracy": "max", "seconds": "min"})  # as a sweep does
    (tmp_path / "study.json").write_text(json.dumps({"storage": f"journal://{journal}", "study": "two"}))
    found = importances.importances(tmp_path)
    assert isinstance(found, dict)
    assert max(found["val/accuracy"], key=found["val/accuracy"].__getitem__) == "a"
    assert max(found["seconds"], key=found["seconds"].__getitem__) == "b"


@pytest.mark.parametrize("directions", [["maximize"], ["maximize", "minimize"]])
def test_what_matters_for_a_maximised_objective_is_what_makes_it_large(
    directions: list[str], tmp_path: Path
) -> None:
    """``a`` alone decides which trials are the best, ``b`` alone which are the worst."""
    journal = tmp_path / "study.log"
    study = optuna.create_study(
        directions=directions,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
        study_name="one",
    )
    unit = {name: optuna.distributions.FloatDistribution(0, 1) for name in "ab"}
    for a, b in np.random.default_rng(0).random((200, 2)).tolist():
        values = [a if a > 0.7 else -b, b][: len(directions)]
        study.add_trial(optuna.trial.create_trial(params={"a": a, "b": b}, distributions=unit, values=values))
    objectives = {"val/accuracy": "max", "seconds": "min"}
    study.set_user_attr("objectives", dict(list(objectives.items())[: len(directions)]))
    (tmp_path / "study.json").write_text(json.dumps({"storage": f"journal://{journal}", "study": "one"}))
    found = importances.importances(tmp_path)
    assert isinstance(found, dict)
    assert found["val/accuracy"]["a"] > 0.9


def test_nothing_of_someone_else_is_overwritten(tmp_path: Path, capsys: Any) -> None:
    make(tmp_path / "run", {"optimizer.lr": 0.1})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "table.csv").write_text("mine")
    words = ["compare", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert (tmp_path / "out" / "table.csv").read_text() == "mine"
    (tmp_path / "out" / "table.csv").unlink()
    assert [main(words), main(words)] == [0, 0], "its own files are written again"
    assert main([*words[:-1], str(tmp_path / "out" / "table.csv")]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_broken_picture_is_said_and_not_shown(tmp_path: Path) -> None:
    make(tmp_path / "run", picture=True)
    (tmp_path / "run" / "images" / "test-sheet-best.png").write_bytes(b"\x89PNG")
    assert main(["compare", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    assert "test-sheet-best.png cannot be read" in (tmp_path / "out" / "index.html").read_text()
