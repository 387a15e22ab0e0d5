"""Cross-validated configurations in `vision-apps compare`: as Nadeau and Bengio correct them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import make
from scipy import stats

from vision_apps.cli import main
from vision_apps.compare import comparison, reading, tables
from vision_apps.compare.comparison import Comparison
from vision_apps.compare.paired import against_first
from vision_apps.core.statistics import summarize, variance_of_mean

VALUES = [0.61, 0.72, 0.66, 0.58, 0.69]


def compared(place: Path) -> Comparison:
    return comparison.compare(reading.gather([str(place)]))


def study(root: Path, rates: dict[float, list[float]], shared: bool = False, **changes: Any) -> None:
    """Runs of several learning rates, each with a value of each of five folds."""
    for rate, values in rates.items():
        for fold, value in enumerate(values):
            folder = make(
                root / f"{rate}-{fold}",
                {"optimizer.lr": rate, "data.folds": 5, "data.fold": fold, **changes},
                values={"best": value + 0.1, "test/accuracy": value, "test/majority/accuracy": fold / 10},
                record={"title": f"{rate} fold={fold}"},
            )
            test = {"samples": 20, "sha256": "all" if shared else f"fold {fold}"}
            splits = {"train": {"samples": 70}, "val": {"samples": 10}, "test": test}
            (folder / "data.json").write_text(json.dumps(splits))


def test_the_variance_is_that_of_the_paper() -> None:
    """Nadeau and Bengio 2003, equation 9: (1/J + n2/n1) S²; of 50 samples in 5 folds n2 = 10, n1 = 40."""
    assert variance_of_mean(5, 5) == pytest.approx(1 / 5 + 10 / 40)
    assert variance_of_mean(3, 5) == pytest.approx(1 / 3 + 10 / 40), "two folds have not finished"
    assert variance_of_mean(5) == pytest.approx(1 / 5)
    found, std = summarize(VALUES, 5), np.std(VALUES, ddof=1)
    half = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 10 / 40) * std**2)
    assert found[:3] == (5, pytest.approx(np.mean(VALUES)), pytest.approx(std))
    assert (found.low, found.high) == pytest.approx((np.mean(VALUES) - half, np.mean(VALUES) + half))


def test_pairs_are_tested_with_it() -> None:
    other = [0.65, 0.70, 0.73, 0.64, 0.74]
    keys = [str(fold) for fold in range(5)]
    values = [dict(zip(keys, own, strict=True)) for own in (VALUES, other)]
    (pair,) = against_first(values, [5, 5])
    difference = np.subtract(other, VALUES)
    t = difference.mean() / math.sqrt((1 / 5 + 1 / 4) * difference.var(ddof=1))
    assert pair is not None and pair.difference == pytest.approx(difference.mean())
    assert pair.p == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert pair.low == pytest.approx(pair.difference * (1 - stats.t.ppf(0.975, 4) / t))
    (naive,) = against_first(values)
    assert naive is not None and naive.p == pytest.approx(stats.ttest_rel(other, VALUES).pvalue)
    assert naive.p < pair.p


def test_folds_are_one_row(tmp_path: Path) -> None:
    other = [value + 0.1 * (fold == 2) for fold, value in enumerate(VALUES)]
    study(tmp_path, {0.1: VALUES, 0.2: other})
    result = compared(tmp_path)
    assert [row.label for row in result.rows] == ["0.2", "0.1"]
    assert result.settings == ["optimizer.lr"], "the fold is none"
    assert result.rows[1].summaries["test/accuracy"] == summarize(VALUES, 5)
    (pair,) = result.tests["test/accuracy"].values()
    assert pair.n == 5
    assert result.baselines == {"majority": {"test/accuracy": pytest.approx(0.2)}}, "the mean over folds"
    text = tables.text(result, 110)
    assert "paired by fold" in text and "no independent runs" in text
    assert "no estimate of that variance is without bias" in text
    assert tables.csv_of_rows(result).splitlines()[0].startswith("run,optimizer.lr,seeds,folds,")


def test_seeds_of_a_fold_are_no_further_folds(tmp_path: Path) -> None:
    study(tmp_path / "a", {0.1: VALUES})
    for fold in range(5):
        make(
            tmp_path / "b" / str(fold),
            {"optimizer.lr": 0.1, "data.folds": 5, "data.fold": fold},
            seed=1,
            values={"best": 0.8, "test/accuracy": VALUES[fold] + 0.02},
        )
    (row,) = compared(tmp_path).rows
    found = row.summaries["test/accuracy"]
    assert (found.n, found.mean) == (5, pytest.approx(np.mean(VALUES) + 0.01))
    assert "5 × 2 seeds" in tables.text(compared(tmp_path), 110)


def test_folds_are_not_paired_with_seeds_or_other_folds(tmp_path: Path) -> None:
    study(tmp_path / "a", {0.1: VALUES})
    study(tmp_path / "b", {0.1: VALUES}, **{"data.split_seed": 1})
    for seed in range(5):
        make(tmp_path / "c" / str(seed), {"optimizer.lr": 0.1}, seed=seed, values={"best": 0.5 + seed / 9})
    result = compared(tmp_path)
    assert len(result.rows) == 3 and not result.tests
    assert "fewer than two runs in common" in " ".join(result.notes)


def test_one_test_split_for_all_folds_has_no_interval(tmp_path: Path) -> None:
    study(
        tmp_path, {0.1: VALUES, 0.2: [value + 0.01 * fold for fold, value in enumerate(VALUES)]}, shared=True
    )
    result = compared(tmp_path)
    own = result.rows[0].summaries["test/accuracy"]
    assert own.std is not None and own.low is None and "[" not in own.spread
    assert result.rows[0].summaries["best val/accuracy"].low is not None, "each fold has its own"
    assert list(result.tests) == ["best val/accuracy"]
    assert "on one test split of the data's own" in " ".join(result.notes)


def test_what_is_not_whole_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path, {0.1: VALUES[:4]})
    (tmp_path / "0.1-3" / "data.json").write_text(json.dumps({"train": {"samples": 99}}))
    assert main(["compare", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 of 5 folds, so not every sample was measured" in said
    assert "data that changed (99 to 100 samples)" in said


def test_what_auto_became_does_not_part_the_folds_of_a_trial(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    for trial, rate in enumerate((0.1, 0.2)):
        for fold in range(3):
            make(
                tmp_path / "trials" / str(trial) / f"fold-{fold}",
                {
                    "optimizer.lr": rate,
                    "data.folds": 3,
                    "data.fold": fold,
                    "trainer.max_epochs": 9 + fold % 2,
                },
                values={"best": 0.5 + fold / 10},
                record={"group": "s", "trial": trial},
            )
    result = compared(tmp_path)
    assert [len(row.runs) for row in result.rows] == [3, 3]
    assert result.settings == ["optimizer.lr"]
