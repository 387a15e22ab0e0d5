"""Cross-validation as a sweep: a run for each fold, gone on with when it was cut, one table at the end."""

import csv
import json
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import stand_in
import torch
from sklearn.metrics import accuracy_score

from smallest import Within
from vision_apps.cli import main
from vision_apps.compare import comparison, reading
from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.run_folder import RunFolder
from vision_apps.core.statistics import summarize
from vision_apps.data.labels.folder import fake_pictures
from vision_apps.sweeps import controller, processes

WORDS = ["task=classification", "model=cnn", "data=folder", "data.root=photos", "trainer=cpu", "logger=csv"]


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "command", stand_in.command)


def sweep(*words: str) -> int:
    return main(["sweep", *WORDS, "objectives={val/loss: min}", "dir=s", *words])


@pytest.mark.usefixtures("light")
def test_a_run_for_each_fold(capsys: pytest.CaptureFixture[str]) -> None:
    """Also where nothing else varies."""
    assert sweep("folds=3", "jobs=2") == 0
    runs = [RunFolder(f"s/trials/0000/fold-{fold}") for fold in range(3)]
    assert sorted(path.name for path in Path("s/trials/0000").iterdir()) == ["fold-0", "fold-1", "fold-2"]
    for fold, run in enumerate(runs):
        data = run.read_config()["data"]
        assert (data["folds"], data["fold"], data["seed"], data["split_seed"]) == (3, fold, 0, 0)
        assert run.record["command"][-3:] == ["seed=0", "data.folds=3", f"data.fold={fold}"]
    values = [run.read_json("metrics.json")["best"]["value"] for run in runs]
    assert len(set(values)) == 3
    with open("s/results.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    expected = summarize(values, 3)
    found = [float(row[f"val/loss{part}"]) for part in ("", " std", " low", " high", " n")]
    assert found == pytest.approx([expected.mean, expected.std, expected.low, expected.high, 3])
    said = capsys.readouterr().out
    assert "1 trials, 0 ended before · 3 folds · " in said
    assert said.index("best  trial 0000") < said.index("test/loss") < said.index("no independent runs")


@pytest.mark.slow
@pytest.mark.usefixtures("light")
def test_folds_and_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("model.width=8,9", "folds=2", "seeds=2", "jobs=2") == 0
    names = [f"seed-{seed}-fold-{fold}" for seed in range(2) for fold in range(2)]
    assert sorted(path.name for path in Path("s/trials/0001").iterdir()) == names
    assert "2 folds of 2 seeds" in capsys.readouterr().out
    best, _ = comparison.compare(reading.gather(["s"])).rows
    assert (best.repeats, len(best.runs), best.settings) == (2, 4, {"model.width": "8"})
    with open("s/results.csv", newline="") as file:
        assert [row["val/loss n"] for row in csv.DictReader(file)] == ["2", "2"]


@pytest.mark.slow
@pytest.mark.usefixtures("light")
def test_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stand_in.WAITS, "0")
    clock = SimpleNamespace(time=time.time, sleep=time.sleep)
    clock.monotonic = lambda: 3600.5 if Path("s/trials/0000/fold-0/waits").exists() else 0.0
    monkeypatch.setattr(controller, "time", clock)
    assert sweep("folds=3", "jobs=1", "max_time=1:00:00") == 130
    assert json.loads(Path("s/sweep.json").read_text())["settings"]["folds"] == 3
    monkeypatch.delenv(stand_in.WAITS)
    assert main(["sweep", "resume=s", "max_time=null"]) == 0
    runs = [Path(f"s/trials/0000/fold-{fold}") for fold in range(3)]
    assert [len(stand_in.starts(run)) for run in runs] == [2, 1, 1]
    for run in runs:
        epochs = [line.split(",")[1] for line in (run / "metrics.csv").read_text().splitlines()[1:]]
        assert epochs == [str(n) for n in range(stand_in.EPOCHS)], "none was trained twice"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["folds=1"], "folds: 1, expected a number above 1"),
        (["folds=3", "data.fold=0"], "data.fold=0: folds=3 cuts the samples and trains all folds"),
        (["folds=3", "data.folds=2,3"], "data.folds=2,3: folds=3 cuts the samples"),
        (["folds=3", "data=scenes", "~data.root"], "data.folds: 3, and the data are Scenes"),
    ],
)
def test_what_cannot_be(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    kept = WORDS[:2] + WORDS[4:] if "data=scenes" in words else WORDS
    words = [word for word in words if word != "~data.root"]
    assert main(["sweep", *kept, "dir=s", *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("s").exists()


@pytest.mark.slow
def test_the_table_is_what_scikit_learn_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained runs: each tested on the samples of its own fold, all samples once; mean and deviation of what
    their best weights answer there."""
    monkeypatch.setattr(processes, "Process", Within)
    for number, (name, count) in enumerate({"cats": 9, "dogs": 7, "emus": 4}.items()):
        fake_pictures(Path("photos") / name, count, 32, number)
    small = [
        "data.image_size=32",
        "data.workers=0",
        "data.eval_batch_size=9",
        "model.width=8",
        "trainer.max_epochs=2",
    ]
    assert main(["sweep", *WORDS, *small, "precision=32-true", "dir=s", "folds=3"]) == 0
    accuracies, names = [], []
    for fold in range(3):
        run = RunFolder(f"s/trials/0000/fold-{fold}")
        listed = {
            split: (run.path / "splits" / f"{split}.txt").read_text().split()
            for split in ("train", "val", "test")
        }
        assert not set(listed["test"]) & {*listed["train"], *listed["val"]}
        names += listed["test"]
        module = assembly.rebuild(checkpoint_io.load(run.checkpoints / "best.ckpt"))
        data = assembly.build_data(run.read_config())
        assert data.sample_names("test") == listed["test"]
        data.batch_type = module.batch_type
        batch = next(iter(data.test_dataloader()))
        with torch.inference_mode():
            answer = module(module.inputs(batch)).probabilities.argmax(1)
        assert len(answer) == len(listed["test"])
        accuracies.append(accuracy_score(batch.labels, answer))
        assert run.read_json("metrics.json")["final"]["test/accuracy"] == pytest.approx(accuracies[-1])
    assert len(names) == len(set(names)) == 20
    assert len(set(accuracies)) > 1, "or their deviation is 0"
    (row,) = comparison.compare(reading.gather(["s"])).rows
    found = row.summaries["test/accuracy"]
    assert (found.n, found.mean) == (3, pytest.approx(np.mean(accuracies)))
    assert found.std == pytest.approx(np.std(accuracies, ddof=1))
