"""A whole sweep: what it leaves, what it says, and that it goes on after being killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import stand_in
from optuna.trial import TrialState
from scipy import stats
from stand_in import words_of

from vision_apps.cli import main
from vision_apps.core import parent
from vision_apps.core.config import targets
from vision_apps.core.run_folder import RunFolder
from vision_apps.sweeps import controller, processes

LIGHT = pytest.mark.usefixtures("light")


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "command", stand_in.command)


def sweep(*words: str, dir: str = "s") -> int:
    return main(["sweep", *words_of(f"dir={dir}", *words)])


def load(folder: str | Path = "s") -> optuna.Study:
    """As any Optuna program does."""
    where = stand_in.study(Path(folder))
    return optuna.load_study(study_name=where["study"], storage=where["storage"])


def results(folder: str = "s") -> list[dict[str, str]]:
    with open(Path(folder) / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@LIGHT
def test_a_grid_is_tried_once_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("model.width=4,8", "optimizer.lr=0.1,0.2", "jobs=2") == 0
    study = load()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    tried = {(trial.params["model.width"], trial.params["optimizer.lr"]) for trial in study.trials}
    assert tried == {(4, 0.1), (4, 0.2), (8, 0.1), (8, 0.2)}
    assert study.best_value == pytest.approx(0.25)
    assert [row["state"] for row in results()] == ["complete"] * 4
    for number in range(4):
        run = RunFolder(Path("s/trials") / f"{number:04d}")
        assert run.record["group"] == "s"
        assert run.record["trial"] == number
        assert run.record["title"].startswith(f"{number:04d} model.width=")
        assert run.record["choices"]["task"] == "toy"
        config = run.read_config()
        assert config["model"]["width"] == study.trials[number].params["model.width"]
        assert config["run"]["dir"] == str(run.path)
    said = capsys.readouterr().out
    assert "4 finished · 0 pruned · 0 failed" in said
    assert "best  trial" in said
    # both at once, each with its share of the two cores; no rank of an outer launch
    assert {line[1] for n in range(4) for line in stand_in.starts(Path(f"s/trials/{n:04d}"))} == {"None"}


@pytest.mark.slow
@LIGHT
def test_failed_pruned_and_dead_trials_do_not_stop_it(capsys: pytest.CaptureFixture[str]) -> None:
    widths = [8, stand_in.FAILS, stand_in.PRUNED, stand_in.DIES, stand_in.NAN, stand_in.SILENT]
    assert sweep(f"model.width={','.join(map(str, widths))}", "jobs=3") == 0
    by_width = {trial.params["model.width"]: trial for trial in load().trials}
    assert {width: trial.state.name for width, trial in by_width.items()} == {
        8: "COMPLETE",
        stand_in.FAILS: "FAIL",
        stand_in.PRUNED: "PRUNED",
        stand_in.DIES: "FAIL",
        stand_in.NAN: "FAIL",
        stand_in.SILENT: "FAIL",
    }
    errors = {width: trial.user_attrs.get("error", "") for width, trial in by_width.items()}
    assert errors[stand_in.FAILS] == "RunError: the stand-in fails at this width"
    assert errors[stand_in.DIES] == "killed by SIGKILL\na last word"
    assert "not a finite number" in errors[stand_in.NAN]
    assert errors[stand_in.SILENT].startswith("objectives: val/loss was not logged; logged are: ")
    said = capsys.readouterr().out
    closing = said[said.rindex("trial 0001 failed") :]
    assert closing.index("failed: ") < closing.index("1 finished · 1 pruned · 4 failed")
    assert [row["state"] for row in results()].count("fail") == 4


@LIGHT
def test_fail_fast(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(f"model.width={stand_in.FAILS},4,5,6,7", "fail_fast=true") == 2
    assert "trial 0000 failed and fail_fast is set: RunError: the stand-in" in capsys.readouterr().err
    assert len(load().get_trials(states=(TrialState.COMPLETE,))) == 0


@pytest.mark.slow
@LIGHT
def test_seeds_are_runs_of_one_trial() -> None:
    assert sweep("model.width=8,9", "seeds=3", "seed=5", "jobs=2") == 0
    study = load()
    assert [trial.values[0] for trial in study.trials] == [pytest.approx(0.31), pytest.approx(1.31)]
    assert list(study.trials[0].user_attrs["by_seed"]) == ["5", "6", "7"]
    assert sorted(path.name for path in Path("s/trials/0000").iterdir()) == ["seed-5", "seed-6", "seed-7"]
    assert RunFolder("s/trials/0000/seed-6").read_config()["seed"] == 6
    assert RunFolder("s/trials/0000/seed-6").read_config()["data"]["seed"] == 6
    row = results()[0]
    assert float(row["val/loss std"]) == pytest.approx(0.01)
    interval = stats.ttest_1samp([0.30, 0.31, 0.32], 0).confidence_interval(0.95)
    assert float(row["val/loss low"]) == pytest.approx(interval.low, rel=1e-6)
    assert float(row["val/loss high"]) == pytest.approx(interval.high, rel=1e-6)
    assert row["val/loss n"] == "3"


@LIGHT
def test_the_seed_is_a_value_as_any_other() -> None:
    assert sweep("seed=3,5", "pruner=median", "n_trials=2", "sampler=grid") == 0
    for number, seed in enumerate((3, 5)):
        run = RunFolder(f"s/trials/{number:04d}")
        config = run.read_config()
        assert (config["seed"], config["data"]["seed"], run.record["seed"]) == (seed, seed, seed)
        assert run.record["title"] == f"{number:04d} seed={seed}"
        assert run.record["command"][-1] == f"seed={seed}"
        assert "pruning" in config["callbacks"]
    assert [row["seed"] for row in results()] == ["3", "5"]


@pytest.mark.slow
@LIGHT
def test_several_objectives() -> None:
    words = ["model.width=choice(2,4,8)", "objectives={val/loss: min, parameters: min}"]
    assert sweep(*words, "n_trials=6", "sampler=nsga2") == 0
    study = load()
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert all(trial.values[1] == 10 * trial.params["model.width"] for trial in study.trials)
    assert study.best_trials


@pytest.mark.slow
@LIGHT
@pytest.mark.parametrize("sampler", ["tpe", "cma_es", "qmc", "random", "gp"])
def test_samplers(sampler: str) -> None:
    space = ["model.width=int(interval(1,30))", "optimizer.lr=tag(log,interval(1e-4,1e-1))"]
    assert sweep(*space, f"sampler={sampler}", "n_trials=3", "jobs=2") == 0
    assert len({tuple(trial.params.values()) for trial in load().trials}) == 3
    # a sampler that begins anew does not repeat its first points
    assert main(["sweep", "resume=s", "n_trials=6"]) == 0
    assert len({tuple(trial.params.values()) for trial in load().trials}) == 6


@pytest.mark.slow
@LIGHT
def test_goes_on_with_more_trials_and_with_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("model.width=int(interval(1,9))", "n_trials=2") == 0
    first = [stand_in.starts(Path(f"s/trials/{n:04d}")) for n in range(2)]
    assert main(["sweep", "resume=s", "n_trials=3"]) == 0
    assert [trial.state.name for trial in load().trials] == ["COMPLETE"] * 3
    assert [stand_in.starts(Path(f"s/trials/{n:04d}")) for n in range(2)] == first
    assert main(["sweep", "resume=s", "model.width=1,2"]) == 2
    assert "model.width=1,2: a sweep that goes on keeps its model" in capsys.readouterr().err


@pytest.mark.slow
@LIGHT
def test_what_is_trusted_is_said_by_who_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(targets.VARIABLE, os.environ[targets.VARIABLE])  # what is allowed here ends here
    assert sweep("model.width=3,4", "n_trials=1") == 0
    content = json.loads(Path("s/sweep.json").read_text())
    evil = ["allow_targets=[subprocess]", "+callbacks.x={_target_: subprocess.Popen, args: [touch, mark]}"]
    Path("s/sweep.json").write_text(json.dumps({**content, "fixed": [*content["fixed"], *evil]}))
    assert main(["sweep", "resume=s", "n_trials=2"]) == 2
    told = capsys.readouterr().err
    assert "s, as it was saved, asks for subprocess" in told and "add allow_targets=[subprocess]" in told
    assert not Path("mark").exists() and not Path("s/trials/0001").exists()

    honest = ["allow_targets=[decimal]"]
    Path("s/sweep.json").write_text(json.dumps({**content, "fixed": [*content["fixed"], *honest]}))
    assert main(["sweep", "resume=s", "n_trials=2", *honest]) == 0
    assert Path("s/trials/0001").is_dir()


@pytest.mark.slow
@LIGHT
def test_max_time_stops_and_keeps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(stand_in.WAITS, "0")
    clock = SimpleNamespace(time=time.time, sleep=time.sleep)
    clock.monotonic = lambda: 3600.5 if Path("s/trials/0000/waits").exists() else 0.0
    monkeypatch.setattr(controller, "time", clock)
    assert sweep("model.width=3,4,5,6", "max_time=1:00:00") == 130
    assert "max_time=1:00:00 is over; the runs saved themselves; go on with: " in capsys.readouterr().err
    assert Path("s/trials/0000/checkpoints/last.ckpt").read_text() == "1"
    monkeypatch.delenv(stand_in.WAITS)
    assert main(["sweep", "resume=s", "max_time=null"]) == 0
    assert [trial.state.name for trial in load().trials] == ["COMPLETE"] * 4
    assert len(stand_in.starts(Path("s/trials/0000"))) == 2  # it went on


def killed_sweep(words: list[str], first: int, jobs: int) -> None:
    """Start a sweep in a process of its own, and kill it when ``jobs`` trials from ``first`` on have saved an
    epoch and wait."""
    own = {"OMP_NUM_THREADS": "1", stand_in.WAITS: str(first), parent.VARIABLE: str(os.getpid())}
    process = subprocess.Popen(
        [sys.executable, str(Path(stand_in.__file__)), "sweep", *words, f"jobs={jobs}"],
        env=os.environ | own,
        start_new_session=True,
    )
    while len(list(Path("s/trials").glob("*/waits"))) < jobs:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@LIGHT
@pytest.mark.slow
def test_killed_and_started_again() -> None:
    """By two processes that share its folder: together they begin as many trials as were asked for, none of
    them twice, half-finished ones from where they were."""
    space = "model.width=int(interval(1,60))"
    killed_sweep(words_of("dir=s", space, "n_trials=12", "sampler=cma_es"), first=5, jobs=2)
    before = load().trials
    halves = [trial.number for trial in before if trial.state == TrialState.RUNNING]
    assert len(halves) == 2
    line = [sys.executable, str(Path(stand_in.__file__)), "sweep", "resume=s"]
    both = [subprocess.Popen(line, env=os.environ | {"OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    trials = load().trials
    assert len({trial.user_attrs["sweep"] for trial in trials}) >= 2
    assert [trial.number for trial in trials] == list(range(12))
    assert all(trial.state.is_finished() for trial in trials)
    special = {stand_in.FAILS: "FAIL", stand_in.PRUNED: "PRUNED", stand_in.DIES: "FAIL"}
    special |= {stand_in.NAN: "FAIL", stand_in.SILENT: "FAIL"}
    for trial in trials:
        width = trial.params["model.width"]
        assert trial.state.name == special.get(width, "COMPLETE")
        run = Path(f"s/trials/{trial.number:04d}")
        assert len(stand_in.starts(run)) == 1 + (trial.number in halves)
        epochs = [line.split(",")[1] for line in (run / "metrics.csv").read_text().splitlines()[1:]]
        if trial.state == TrialState.COMPLETE:
            assert epochs == [str(n) for n in range(stand_in.EPOCHS)]  # none was trained twice
    finished = [trial for trial in before if trial.state == TrialState.COMPLETE]
    assert [trials[trial.number].values for trial in finished] == [trial.values for trial in finished]


@LIGHT
@pytest.mark.slow
def test_unfinished_again() -> None:
    """Or half-finished trials are marked and their values tried again."""
    killed_sweep(words_of("dir=s", "model.width=3,4,5", "unfinished=again"), first=1, jobs=1)
    (half,) = load().get_trials(states=(TrialState.RUNNING,))
    assert main(["sweep", "resume=s"]) == 0
    trials = load().trials
    assert trials[half.number].state == TrialState.FAIL
    assert trials[half.number].user_attrs["superseded"]
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert sorted(trial.params["model.width"] for trial in done) == [3, 4, 5]
    assert [row["state"] for row in results()] == ["complete"] * 3


@pytest.mark.slow
def test_real_runs_are_trained_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    """The processes that training really is; one of them is given up at its first epoch."""
    words = [
        "trainer.max_epochs=2",
        "test=false",
        "model.dropout=0",
        "optimizer.lr=0.05,1e-9",
        "pruner=threshold",
        "pruner_options={upper: 0.68}",
        "jobs=2",
    ]
    assert sweep(*words) == 0
    good, dull = load().trials
    assert [good.state.name, dull.state.name] == ["COMPLETE", "PRUNED"]
    assert list(dull.intermediate_values) == [0]
    assert sorted(good.intermediate_values) == [0, 1]
    metrics = json.loads(Path("s/trials/0000/metrics.json").read_text())
    assert good.value == metrics["best"]["value"] == min(good.intermediate_values.values())
    assert metrics["peak_memory"] > 1e8
    assert RunFolder("s/trials/0001").status == "pruned"
    assert "1 finished · 1 pruned · 0 failed" in capsys.readouterr().out
