"""How a sweep can be told to go about it, and the storages that it refuses."""

import json
import shutil
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
import stand_in
from omegaconf import OmegaConf
from stand_in import words_of

from vision_apps.cli import main
from vision_apps.compare.importances import importances
from vision_apps.core import storages
from vision_apps.core.errors import ConfigError
from vision_apps.core.run_folder import RunFolder
from vision_apps.sweeps import processes, studies
from vision_apps.sweeps.pruning import Pruning
from vision_apps.sweeps.settings import Settings, read


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "command", stand_in.command)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["sweep", *words]) == 2
    return capsys.readouterr().err


def test_words_win_over_the_file() -> None:
    given = read({"n_trials": 5, "sampler": "qmc"}, ["n_trials=7", "seeds=[1,4]", "jobs=null"])
    assert given == Settings(n_trials=7, sampler="qmc", seeds=(1, 4))
    assert given.seeds_from(0) == [1, 4]
    assert Settings(seeds=3).seeds_from(5) == [5, 6, 7]
    assert Settings(max_time="1:02:03:04").seconds == 93784
    assert read({}, ["max_time=10:00:00"]).seconds == 36000
    assert read({}, ["max_time=1:00:00:00"]).seconds == 86400
    asked = read({"pruner": "median"}, ["pruner_options.n_startup_trials=3", "sampler_options={seed: 1}"])
    assert (asked.pruner_options, asked.sampler_options) == ({"n_startup_trials": 3}, {"seed": 1})
    asked = read({}, ["objectives={test/loss: min, parameters: min}", "choose_on_test=true"])
    assert asked.objectives == {"test/loss": "min", "parameters": "min"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["n_trials=0"], "n_trials: 0, expected a number above 0"),
        (["jobs=two"], "jobs: 'two', expected a number above 0"),
        (["seeds=[1,1]"], "seeds: [1, 1], expected a number above 0, or a list of different seeds"),
        (["sampler=tpee"], "sampler: 'tpee', expected one of: tpe, cma_es"),
        (["max_time=90"], "max_time: 90, expected [DD:]HH:MM:SS"),
        (["objectives={val/loss: less}"], "expected metric: min or max"),
        (["pruner=median", "objectives={a: min, b: max}"], "pruner: median needs one objective, there are 2"),
        (
            ["objectives={test/accuracy: max}"],
            "choose by validation, as in objectives={val/accuracy: max}, or",
        ),
        (["launcher=joblib"], "launcher: 'joblib', expected one of: processes, slurm"),
    ],
)
def test_settings_that_cannot_be(words: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        read({}, words)
    assert text in str(error.value)


def test_a_file_with_a_setting_that_there_is_not() -> None:
    with pytest.raises(ConfigError, match="trials: a sweep has no such setting; did you mean 'n_trials'"):
        read({"trials": 5}, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["model.widht=1,2"], "model.widht: no such key; did you mean 'model.width'?"),
        (["model.width=1"], "the space is empty"),
        (
            ["sweep=colorisation", "seed=1,2"],
            "sweep=colorisation: no such sweep; did you mean 'colorization'",
        ),
        (["seed=interval(0,1)", "sampler=grid"], "sampler: grid needs a list of values for every key"),
        (
            ["seed=1,2", "sampler=tpe", "sampler_options={seeed: 1}"],
            "has no such parameter; did you mean 'seed'",
        ),
        (["trainer.max_epochs=1,2", "model.width=a"], "model.width"),
        (["seed=1,2", "-m"], "-m: belongs to train"),
        (["seed=1,2", "seeds=3"], "seeds: 3 are asked for each trial, and seed itself varies"),
    ],
)
def test_nothing_begins_where_something_is_wrong(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert text in refused(capsys, *words_of("dir=s", *words))
    assert not Path("s").exists()


def test_folders_that_are_no_sweep_or_one_already(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s").mkdir()
    assert "dir: s exists already" in refused(capsys, *words_of("dir=s", "seed=1,2"))
    assert "resume: s is no sweep (sweep.json: " in refused(capsys, "resume=s")
    assert "resume: t is no sweep" in refused(capsys, "resume=t")


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        ("sqlite:///damaged.db", "the file is damaged or is no study; move it away"),
        ("sqlite:////nowhere/at/all.db", "storage: sqlite:////nowhere/at/all.db: "),
        ("postgresql://me:secret@localhost/x", "storage: postgresql://me:***@localhost/x: "),
        ("study.db", "expected an SQLAlchemy URL as sqlite:///study.db"),
    ],
)
def test_storages_that_cannot_be_used(storage: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("damaged.db").write_bytes(b"this is not what SQLite writes" * 100)
    said = refused(capsys, *words_of("dir=s", "seed=1,2", f"storage='{storage}'"))
    assert text in said
    assert "secret" not in said


def test_a_database_whose_tables_another_program_makes_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL lets one of them have it and refuses the other."""
    opened, make = [], studies.RDBStorage

    def refused_once(*given: Any, **options: Any) -> Any:
        opened.append(given)
        if len(opened) == 1:
            raise sqlalchemy.exc.IntegrityError("CREATE TABLE", {}, Exception("duplicate key value"))
        return make(*given, **options)

    monkeypatch.setattr(studies, "RDBStorage", refused_once)
    monkeypatch.setattr(studies.time, "sleep", lambda seconds: None)
    studies.open_storage("sqlite:///study.db")
    assert len(opened) == 2


@pytest.mark.slow
def test_a_study_that_is_locked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(studies, "_LOCKED_SECONDS", 0.2)
    assert main(["sweep", *words_of("dir=s", "seed=1,2", "storage=sqlite:///study.db", "study=x")]) == 0
    other = sqlite3.connect("study.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert "database is locked" in refused(capsys, "resume=s", "n_trials=3", "storage=sqlite:///study.db")
    finally:
        other.close()


@pytest.mark.slow
def test_a_study_of_another_search(capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["storage='journal://study.log'", "study=x"]
    assert main(["sweep", *words_of("dir=a", "seed=1,2", *shared)]) == 0
    said = refused(capsys, *words_of("dir=b", "seed=1,3", *shared))
    assert "study: x in journal://study.log is a search with space {'seed': '1,2'}" in said
    assert "study=NAME" in said
    # the same search from another folder, as from another machine, has nothing left to do
    assert main(["sweep", *words_of("dir=c", "seed=1,2", *shared)]) == 0
    assert not list(Path("c").glob("trials/*"))


@pytest.mark.slow
def test_where_the_study_is_stays_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vision-apps", "sweep", "storage=postgresql://me:secret@host/x"])
    assert main(["sweep", *words_of("dir=s", "seed=1,2", "storage=sqlite:///other.db")]) == 0
    assert Path("s/study.json").stat().st_mode & 0o077 == 0
    record = Path("s/sweep.json").read_text()
    assert "other.db" not in record
    assert "secret" not in record and "storage=postgresql://me:***@host/x" in record
    assert len(optuna.load_study(study_name="s", storage="sqlite:///other.db").trials) == 2


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True], ids=["copied", "moved"])
@pytest.mark.parametrize("storage", [[], ["storage='journal://s/study.log'"]], ids=["SQLite", "journal"])
def test_a_folder_that_was_moved_or_copied(moved: bool, storage: list[str]) -> None:
    space = words_of("dir=s", "optimizer.lr=interval(1e-4,1e-2)", "pruner=median", *storage)
    assert main(["sweep", *space, "n_trials=1"]) == 0
    (shutil.move if moved else shutil.copytree)("s", "elsewhere")
    assert main(["sweep", "resume=elsewhere", "n_trials=2"]) == 0
    place, name = storages.where(Path("elsewhere"))
    assert len(optuna.load_study(study_name=name, storage=studies.open_storage(place)).trials) == 2
    assert sorted(path.name for path in Path("elsewhere/trials").iterdir()) == ["0000", "0001"]
    if moved:
        assert not Path("s").exists()
        return
    place, name = storages.where(Path("s"))
    assert len(optuna.load_study(study_name=name, storage=studies.open_storage(place)).trials) == 1
    assert [path.name for path in Path("s/trials").iterdir()] == ["0000"]


def test_a_run_reports_to_the_study_of_the_folder_that_it_lies_in(tmp_path: Path) -> None:
    run = tmp_path / "s" / "trials" / "0003" / "seed-1"
    run.mkdir(parents=True)
    assert main(["sweep", *words_of("dir=other", "seed=1,2", "pruner=median", "n_trials=1")]) == 0
    node = RunFolder("other/trials/0000").read_config()["callbacks"]["pruning"]
    assert not [value for value in node.values() if "other" in str(value)], "the folder may be moved"
    (tmp_path / "s" / "study.json").touch()
    given = {name: value for name, value in node.items() if name != "_target_"}
    assert Pruning(**given, folder=str(run)).sweep == tmp_path / "s"


@pytest.mark.slow
def test_a_run_folder_that_was_left_half_written() -> None:
    """Killed between the folder and its configuration: it is made anew."""
    assert main(["sweep", *words_of("dir=s", "model.width=4,5", "n_trials=1", "sampler=grid")]) == 0
    half = Path("s/trials/0001")
    (half / "checkpoints").mkdir(parents=True)
    (half / "run.json").write_text('{"id": "ab')
    record = json.loads(Path("s/sweep.json").read_text())
    assert record["settings"]["n_trials"] == 1
    assert main(["sweep", "resume=s", "n_trials=2"]) == 0
    assert (half / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("gpus", "per_trial", "jobs", "expected"),
    [
        ([], 1, None, (1, None)),
        ([], 0, 3, (3, None)),
        (["0", "1", "2", "3"], 1, None, (4, [["0"], ["1"], ["2"], ["3"]])),
        (["0", "1", "2", "3"], 2, None, (2, [["0", "1"], ["2", "3"]])),
        (["5", "7"], 1, 1, (1, [["5"]])),
    ],
)
def test_gpus_are_shared(gpus: list[str], per_trial: int, jobs: int | None, expected: Any) -> None:
    assert processes.shares(gpus, per_trial, jobs) == expected


def test_more_gpus_than_there_are() -> None:
    with pytest.raises(ConfigError, match=r"3 trials of 2 GPUs .* need 6, here are 4; choose jobs=2"):
        processes.shares(["0", "1", "2", "3"], 2, 3)


@pytest.mark.parametrize(
    ("trainer", "count"),
    [
        ({"accelerator": "cpu", "devices": 4}, 0),
        ({"accelerator": "auto", "devices": "auto"}, 1),
        ({"accelerator": "gpu", "devices": 2}, 2),
        ({"accelerator": "gpu", "devices": [0, 3]}, 2),
    ],
)
def test_devices_of_a_trial(trainer: dict[str, Any], count: int) -> None:
    assert processes.devices_of(OmegaConf.create(trainer)) == count


def test_jobs_of_a_cluster_execute_the_same_line(tmp_path: Path) -> None:
    """Through submitit, whose local executor stands for SLURM's queue."""
    executor = processes.slurm_executor(tmp_path / "jobs", {"timeout_min": 60}, cluster="local")
    from vision_apps.core.run_folder import RunFolder

    job = processes.SlurmJob(executor, processes.command(RunFolder("nothing"), started=False))
    while not job.ended():
        time.sleep(0.05)
    assert "FileNotFoundError" in job.error()
    with pytest.raises(ConfigError, match="slurm: "):
        processes.slurm_executor(tmp_path / "jobs", {"partitio": "x"}, cluster="local")


@pytest.mark.parametrize(
    "storage",
    [
        "sqlite:///elsewhere.db",
        "sqlite+pysqlite:///elsewhere.db",
        "sqlite:///file:elsewhere.db?uri=true",
        "sqlite:///s/../elsewhere.db",
        "journal://elsewhere.log",
        "postgresql://me:secret@localhost/x?password=secret",
    ],
)
def test_a_stored_storage_elsewhere_is_opened_only_where_it_is_named(
    storage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path("s")
    folder.mkdir()
    record = {"settings": {"storage": storage}, "config_dirs": [], "fixed": [], "space": {"seed": "1,2"}}
    (folder / "sweep.json").write_text(json.dumps(record))
    (folder / "study.json").write_text(json.dumps({"storage": storage, "study": "s"}))
    before = sorted(Path().rglob("*"))
    said = refused(capsys, "resume=s")
    assert "which lies outside of s; if you trust it, name it: sweep resume=s storage='" in said
    assert "secret" not in said
    assert "which lies outside of s" in str(importances(folder))
    assert sorted(Path().rglob("*")) == before
    monkeypatch.setenv(storages.NAMED, storage)
    assert storages.where(folder) == (storage, "s")


@pytest.mark.slow
def test_a_sweep_goes_on_in_the_storage_that_is_named() -> None:
    assert main(["sweep", *words_of("dir=s", "seed=1,2", "storage=sqlite:///other.db", "n_trials=1")]) == 0
    assert main(["sweep", "resume=s", "n_trials=2", "storage=sqlite:///other.db"]) == 0
    assert len(optuna.load_study(study_name="s", storage="sqlite:///other.db").trials) == 2
    assert "other.db" not in Path("s/sweep.json").read_text()


def test_links_in_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    Path("victim").mkdir()
    Path("s/trials").mkdir(parents=True)
    Path("s/trials/0000").symlink_to(Path("victim").absolute())
    assert "s/trials/0000 is a link to " in refused(capsys, "resume=s")
