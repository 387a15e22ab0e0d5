"""``metrics.csv``: one line per number, whatever happens."""

import math
from pathlib import Path

from vision_apps.core import metrics_file
from vision_apps.core.metrics_logger import MetricsFile

FILE = Path("metrics.csv")


def write(*steps: int) -> None:
    logger = MetricsFile(FILE)
    for step in steps:
        logger.log_metrics({"train/loss": 1 / (step + 1), "lr": 1e-3, "epoch": step // 2}, step)


def test_lines() -> None:
    write(0, 1, 2)
    assert FILE.read_text().splitlines()[:3] == ["step,epoch,name,value", "0,0,train/loss,1", "0,0,lr,0.001"]
    assert metrics_file.read(FILE)[-2:] == [(2, 1, "train/loss", 0.33333333), (2, 1, "lr", 0.001)]


def test_goes_on_in_the_same_file() -> None:
    write(0)
    write(1)
    assert FILE.read_text().count("step,epoch") == 1
    assert [row[0] for row in metrics_file.read(FILE)] == [0, 0, 1, 1]


def test_not_a_number_is_kept() -> None:
    MetricsFile(FILE).log_metrics({"a": float("nan"), "b": float("inf")}, 0)
    (_, _, _, first), (_, _, _, second) = metrics_file.read(FILE)
    assert first != first
    assert second == float("inf")


def test_a_line_cut_off_by_a_kill() -> None:
    write(0, 1)
    text = FILE.read_text()
    for length in range(len(text)):
        FILE.write_text(text[:length])
        assert len(metrics_file.read(FILE)) <= 4
    FILE.write_text(text[:-7])  # "1,0,lr" is left of the last line
    assert [row[2] for row in metrics_file.read(FILE)] == ["train/loss", "lr", "train/loss"]


def test_a_cut_off_line_is_not_glued_to_the_next_run_of_lines() -> None:
    write(0, 1)
    FILE.write_text(FILE.read_text()[:-7])
    metrics_file.forget_after(FILE, 2)
    write(2)
    assert [row[:3] for row in metrics_file.read(FILE)] == [
        (0, 0, "train/loss"), (0, 0, "lr"), (1, 0, "train/loss"), (2, 1, "train/loss"), (2, 1, "lr"),
    ]  # fmt: skip


def test_what_a_resumed_run_logs_again_is_forgotten() -> None:
    write(0, 1, 2, 3)
    metrics_file.forget_after(FILE, 2)
    assert [row[0] for row in metrics_file.read(FILE)] == [0, 0, 1, 1]
    metrics_file.forget_after(FILE, 0)
    assert FILE.read_text().splitlines() == ["step,epoch,name,value"]


def test_no_file() -> None:
    metrics_file.forget_after(FILE, 2)
    assert metrics_file.read(FILE) == []
    assert metrics_file.summary(FILE) == {}
    assert not FILE.exists()


def test_summary() -> None:
    logger = MetricsFile(FILE)
    for step, value in enumerate((3.0, 1.0, 2.0)):
        logger.log_metrics({"val/loss": value}, step)
    assert metrics_file.summary(FILE) == {"val/loss": {"last": 2.0, "min": 1.0, "max": 3.0}}


def test_not_a_number_is_never_the_best() -> None:
    logger = MetricsFile(FILE)
    for step, value in enumerate((math.nan, 2.0, 3.0, math.nan, 1.0, math.nan)):
        logger.log_metrics({"val/AP": value, "val/none": math.nan}, step)
    assert metrics_file.best(FILE, "val/AP", "max") == 3.0
    assert metrics_file.best(FILE, "val/AP", "min") == 1.0
    assert metrics_file.best(FILE, "val/none", "max") is None
    summary = metrics_file.summary(FILE)
    assert (summary["val/AP"]["min"], summary["val/AP"]["max"]) == (1.0, 3.0)
    assert math.isnan(summary["val/AP"]["last"]) and math.isnan(summary["val/none"]["min"])
