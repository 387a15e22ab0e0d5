"""The numbers of `vision-apps compare` against pandas and scipy, and what is done with unfit runs."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import made_runs
import numpy as np
import pandas
import pytest
from made_runs import make
from scipy import stats

from vision_apps.cli import main
from vision_apps.compare import comparison, reading, tables
from vision_apps.compare.comparison import Comparison
from vision_apps.compare.paired import holm
from vision_apps.core.errors import CheckpointError, ConfigError


def compared(*places: Path | str, last: int | None = None, metrics: tuple[str, ...] = ()) -> Comparison:
    return comparison.compare(reading.gather([str(place) for place in places], last), metrics)


def as_frame(text: str) -> pandas.DataFrame:
    return pandas.read_csv(io.StringIO(text))


def study(root: Path, configurations: int, seeds: int, **more: Any) -> None:
    """Runs of several learning rates, each with several seeds."""
    random = np.random.default_rng(1)
    for i in range(configurations):
        for seed in range(seeds):
            accuracy = 0.6 + 0.05 * i + 0.02 * random.standard_normal()
            make(
                root / f"{i * seeds + seed:04d}-run",
                {"optimizer.lr": 10.0 ** -(i + 1)},
                seed=seed,
                values={"best": accuracy + 0.01, "test/accuracy": accuracy, "test/majority/accuracy": 0.125},
                minute=i * seeds + seed,
                **more,
            )


def assert_equals_pandas(result: Comparison) -> None:
    runs, rows = as_frame(tables.csv_of_runs(result)), as_frame(tables.csv_of_rows(result))
    rows = rows[~rows["run"].str.startswith("baseline ")]
    for metric in ("test/accuracy", "best val/accuracy"):
        expected = (
            runs[runs["status"] == "finished"].groupby("optimizer.lr")[metric].agg(["mean", "std", "count"])
        )
        found = rows.set_index("optimizer.lr").loc[expected.index]
        np.testing.assert_allclose(found[metric], expected["mean"], rtol=1e-12)
        np.testing.assert_allclose(found[f"{metric} std"].astype(float), expected["std"], rtol=1e-9)
        np.testing.assert_array_equal(found[f"{metric} n"], expected["count"])


def test_two_runs_equal_pandas(tmp_path: Path) -> None:
    study(tmp_path, configurations=2, seeds=1)
    result = compared(tmp_path / "0000-run", tmp_path / "0001-run")
    assert result.settings == ["optimizer.lr"], "data.seed follows the seed, and the folder is no setting"
    assert_equals_pandas(result)
    assert all(row.summaries["test/accuracy"].low is None for row in result.rows), "one seed has no interval"
    assert "cannot be said" in " ".join(result.notes)


def test_thirty_runs_equal_pandas_and_scipy(tmp_path: Path) -> None:
    study(tmp_path, configurations=6, seeds=5)
    result = compared(tmp_path)
    assert [len(row.runs) for row in result.rows] == [5] * 6
    assert_equals_pandas(result)
    runs = as_frame(tables.csv_of_runs(result))
    for row in result.rows:
        own = runs[runs["optimizer.lr"] == float(row.settings["optimizer.lr"])].sort_values("seed")
        interval = stats.ttest_1samp(own["test/accuracy"], 0).confidence_interval(0.95)
        summary = row.summaries["test/accuracy"]
        assert (summary.low, summary.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_paired_tests_equal_scipy_and_holm(tmp_path: Path) -> None:
    study(tmp_path, configurations=3, seeds=5)
    result = compared(tmp_path)
    frame = as_frame(tables.csv_of_runs(result)).pivot(
        index="seed", columns="optimizer.lr", values="test/accuracy"
    )
    best, *others = [float(row.settings["optimizer.lr"]) for row in result.rows]
    assert best == frame.mean().idxmax()
    expected = [stats.ttest_rel(frame[lr], frame[best]).pvalue for lr in others]
    pairs = [result.tests["test/accuracy"][row.label] for row in result.rows[1:]]
    assert [pair.p for pair in pairs] == pytest.approx(expected, rel=1e-9)
    assert [pair.difference for pair in pairs] == pytest.approx(
        [(frame[lr] - frame[best]).mean() for lr in others]
    )
    between = stats.ttest_rel(frame[others[0]], frame[others[1]]).pvalue  # looked at, too
    assert [pair.holm for pair in pairs] == pytest.approx(holm([*expected, between])[:2], rel=1e-9)
    told = tables.text(result, 110)
    assert "all 3 pairs of the 3 configurations" in told and "p, all pairs" in told
    two = compared(*(tmp_path / f"{number:04d}-run" for number in range(10)))
    assert "all pairs" not in tables.text(two, 110), "there is one, and it is looked at"


def test_pairs_need_seeds_in_common(tmp_path: Path) -> None:
    for index, (rate, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 1), (0.2, 2), (0.2, 3)]):
        accuracy = 0.5 + rate + 0.01 * seed
        make(
            tmp_path / f"{index:04d}",
            {"optimizer.lr": rate},
            seed=seed,
            values={"best": accuracy},
            minute=index,
        )
    result = compared(tmp_path)
    assert not result.tests
    assert "fewer than two seeds in common" in " ".join(result.notes)
    make(tmp_path / "0009", {"optimizer.lr": 0.1}, seed=2, values={"best": 0.62})
    result = compared(tmp_path)
    (pair,) = result.tests["best val/accuracy"].values()
    assert pair.n == 2
    assert pair.p is None, "both differences are 0.1: they do not vary"
    assert "with 2 seeds only differences that are large against their spread" in " ".join(result.notes)


def test_up_to_four_seeds_are_told_to_find_only_large_differences(tmp_path: Path) -> None:
    """Student's quantile at .975 is 3.18 of four seeds, 2.78 of five, 1.96 of many."""
    for seeds in (4, 5):
        study(tmp_path / str(seeds), 2, seeds)
        told = " ".join(compared(tmp_path / str(seeds)).notes)
        assert ("only differences that are large against their spread" in told) == (seeds == 4)


def test_a_sweep_with_seeds(tmp_path: Path) -> None:
    sweep = tmp_path / "runs" / "sweeps" / "0001-calm-hill"
    for trial in range(3):
        for seed in range(3):
            make(
                sweep / "trials" / f"{trial:04d}" / f"seed-{seed}",
                {
                    "optimizer.lr": 0.1 / (trial + 1),
                    "callbacks.pruning": {"_target_": "vision_apps.sweeps.pruning.Pruning", "trial": trial},
                },
                seed=seed,
                values={
                    "best": 0.5 + 0.1 * trial + 0.01 * seed,
                    "test/accuracy": 0.4 + 0.1 * trial + 0.02 * seed,
                },
                record={
                    "group": "0001-calm-hill",
                    "trial": trial,
                    "title": f"{trial:04d} lr={trial} seed={seed}",
                },
            )
    (sweep / "sweep.json").write_text(json.dumps({"name": "0001-calm-hill"}))
    result = compared(sweep)
    assert [row.label for row in result.rows] == ["0002 lr=2", "0001 lr=1", "0000 lr=0"]
    assert_equals_pandas(result)
    assert result.settings == ["optimizer.lr"], "a trial's number is no setting"


def test_what_did_not_finish_is_listed_and_never_averaged(tmp_path: Path, capsys: Any) -> None:
    study(tmp_path, configurations=2, seeds=2)
    make(tmp_path / "1000", {"optimizer.lr": 0.1}, seed=7, finished=False, minute=50)
    failed = {"status": "failed", "error": "RunError: loss is nan"}
    make(tmp_path / "1001", {"optimizer.lr": 0.1}, seed=8, finished=False, record=failed, minute=40)
    make(tmp_path / "1002", {"optimizer.lr": 0.7}, seed=9, record={"status": "pruned"}, values={"best": 0.99})
    result = compared(tmp_path)
    assert [run.status for run in result.unfinished] == ["failed", "stopped", "pruned"]
    assert len(result.rows) == 2, "the pruned configuration has no finished run"
    assert_equals_pandas(result)
    assert main(["compare", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "loss is nan" in text
    assert text.index("failed") < text.index("stopped") < text.index("test/accuracy")
    assert text.index("test/accuracy") < text.index("pruned, and in no mean"), "no failure"
    assert "2 of 4" in text, "of the four seeds of this configuration two have finished"


def test_a_run_that_was_repeated_counts_once(tmp_path: Path) -> None:
    for index in range(2):
        make(tmp_path / f"{index:04d}", values={"best": 0.5 + index / 10}, minute=index)
    result = compared(tmp_path)
    (row,) = result.rows
    assert (row.summaries["best val/accuracy"].n, row.summaries["best val/accuracy"].mean) == (1, 0.6)
    assert "0000 has the settings and the seed of 0001" in result.notes[0]


def test_a_choice_stands_for_the_keys_that_follow_from_it(tmp_path: Path) -> None:
    unet = {"model._target_": "vision_apps.networks.unet.UNet", "model.width": 32, "model.depth": 4}
    make(tmp_path / "0000", {"model.width": 16})
    make(tmp_path / "0001", unet, choices={"model": "unet"})
    assert compared(tmp_path).settings == ["model"]
    make(tmp_path / "0002", unet | {"model.depth": 5}, choices={"model": "unet"})
    result = compared(tmp_path)
    assert result.settings == ["model", "model.depth"]
    assert {row.settings["model.depth"] for row in result.rows} == {"–", "4", "5"}


def test_runs_of_an_older_version(tmp_path: Path) -> None:
    make(tmp_path / "0000", {"optimizer.lr": 0.1, "data.gone": 3, "precision": None})
    make(tmp_path / "0001", {"optimizer.lr": 0.1})
    (tmp_path / "0000" / "run.json").write_text('{"id": "00000000"}')
    metrics = json.loads((tmp_path / "0000" / "metrics.json").read_text())
    del metrics["peak_memory"]
    (tmp_path / "0000" / "metrics.json").write_text(json.dumps(metrics))
    result = compared(tmp_path)
    old = next(row for row in result.rows if row.label == "0000")
    assert old.settings == {"precision": "–", "data.gone": "3"}
    assert old.largest("peak_memory") is None
    assert "–" in tables.text(result, 110)


def test_half_written_runs_are_named_and_left_out(tmp_path: Path, capsys: Any) -> None:
    make(tmp_path / "0000")
    for name, broken, content in (
        ("0001", "config.yaml", None),
        ("0002", "run.json", ""),
        ("0003", "metrics.json", '{"monitor": "val/accu'),
        ("0004", "config.yaml", "a: [1,"),
        ("0005", "config.yaml", "seed: 0\n"),
        ("0006", "metrics.json", "[]"),
    ):
        path = make(tmp_path / name) / broken
        path.unlink()
        if content is not None:
            path.write_text(content)
    result = compared(tmp_path)
    assert [run.label for run in result.runs] == ["0000"]
    assert {path.name for path, _ in result.left_out} == {f"000{i}" for i in range(1, 7)}
    assert "metrics.json is empty or was cut off" in tables.text(result, 110)
    shutil.rmtree(tmp_path / "0000")
    assert main(["compare", str(tmp_path)]) == 2
    assert "none of these runs can be read" in capsys.readouterr().err


def test_different_tasks_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "classification" / "0000")
    make(tmp_path / "segmentation" / "0000", {"task.name": "segmentation"})
    with pytest.raises(ConfigError, match=r"1 of .*compare .*/(classification|segmentation)"):
        compared(tmp_path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "has no run in it"),
        ([], "compare what"),
        (["--last", "none"], "--last: none; expected how many"),
        (["--last"], "--last: expected how many"),
        (["runs", "--formt", "csv"], "did you mean '--format'"),
        (["runs", "--format", "cvs"], "did you mean 'csv'"),
    ],
)
def test_bad_words(words: list[str], told: str, capsys: Any) -> None:
    assert main(["compare", *words]) == 2
    assert told in capsys.readouterr().err


def test_metrics_can_be_chosen(tmp_path: Path) -> None:
    make(tmp_path / "0000", values={"test/accuracy": 0.5, "test/loss": 1.0})
    assert compared(tmp_path).metrics == ["best val/accuracy", "test/accuracy", "test/loss"]
    assert compared(tmp_path, metrics=("test/loss",)).metrics == ["test/loss"]
    with pytest.raises(ConfigError, match="did you mean 'test/accuracy'"):
        compared(tmp_path, metrics=("test/acuracy",))


def test_a_metric_that_fewer_runs_have_tells_its_own_n(tmp_path: Path) -> None:
    for seed in range(3):
        values = {"test/accuracy": 0.5 + seed / 10} | ({"test/late": 1.0} if seed else {})
        make(tmp_path / f"{seed:04d}", seed=seed, values=values)
    titles, row = tables.results(compared(tmp_path))
    told = dict(zip(titles, row, strict=True))
    assert told["seeds"] == "3"
    assert told["test/accuracy"] == "0.6 ± 0.1 [0.3516, 0.8484]"
    assert told["test/late"].endswith(", n = 2")


def test_baselines_stand_at_the_end_where_the_runs_agree(tmp_path: Path) -> None:
    study(tmp_path, configurations=2, seeds=1)
    assert compared(tmp_path).baselines == {"majority": {"test/accuracy": 0.125}}
    make(tmp_path / "0009", values={"test/majority/accuracy": 0.2})
    result = compared(tmp_path)
    assert not result.baselines
    assert "do not agree on the baseline majority" in " ".join(result.notes)


def test_the_newest_of_all_places(tmp_path: Path) -> None:
    study(tmp_path, configurations=5, seeds=1)
    result = compared(tmp_path, tmp_path / "0000-run", last=2)
    assert [run.label for run in result.runs] == ["0004-run", "0003-run"]


def test_a_value_that_is_not_finite_is_shown_as_such(tmp_path: Path) -> None:
    for seed, accuracy in enumerate([0.5, float("nan"), 0.6]):
        make(tmp_path / f"{seed:04d}", seed=seed, values={"test/accuracy": accuracy})
    (row,) = compared(tmp_path).rows
    assert row.summaries["test/accuracy"].spread.startswith("nan")
    assert row.summaries["test/accuracy"].low is None


def test_markdown_and_text_keep_their_columns(tmp_path: Path) -> None:
    make(tmp_path / "0000", {"data.root": "a|b\nc"})
    make(tmp_path / "0001", {"data.root": "<b>"})
    result = compared(tmp_path)
    lines = [line for line in tables.markdown(result).splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {lines[0].count("|")}
    assert "<b>" not in tables.markdown(result)
    wide = tables.text(result, 40)
    assert max(map(len, wide.split("\n\n")[1].splitlines())) <= 40


def test_settings_of_a_config(tmp_path: Path) -> None:
    run = made_runs.make(tmp_path / "0000", {"data.seed": 3}, seed=1)
    made_runs.make(tmp_path / "0001", {"data.seed": 4}, seed=1)
    assert compared(tmp_path).settings == ["data.seed"], "it does not follow the run's seed"
    with pytest.raises(CheckpointError, match="does not exist"):
        compared(run / "nothing")


def test_losses_of_different_kinds_are_not_ranked_in_silence(tmp_path: Path) -> None:
    task = {"task.monitor": "val/loss", "task.mode": "min"}
    regression = {"best": 0.03, "test/regression": 0.03, "test/accuracy": 0.4}
    make(tmp_path / "0000", {**task, "model.width": 8}, values=regression)
    make(tmp_path / "0001", task, values={"best": 2.8, "test/cross_entropy": 2.8, "test/accuracy": 0.6})
    result = compared(tmp_path)
    assert result.rows[0].label == "0000"
    assert "say nothing about each other" in " ".join(result.notes)
    gathered = reading.gather([str(tmp_path)])
    judged = comparison.compare(gathered, by="test/accuracy:max")
    assert judged.rows[0].label == "0001"
    assert "0001 is the best of 2 by the test split, which chose it" in " ".join(judged.notes)
    assert "which chose it" not in " ".join(result.notes)
    assert "say nothing" not in " ".join(judged.notes)
    with pytest.raises(ConfigError, match="which values are good"):
        comparison.compare(gathered, by="test/accuracy")
    with pytest.raises(ConfigError, match=r"--by test/acuracy: .*did you mean"):
        comparison.compare(gathered, by="test/acuracy:max")
