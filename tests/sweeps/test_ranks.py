"""Trials that train on two devices: every rank of a trial has that trial's values."""

import json
from collections import defaultdict
from pathlib import Path

import optuna
import pytest
import stand_in
import yaml
from toy_ranks import PlainNet

from smallest import Within
from vision_apps.cli import main
from vision_apps.core.run_folder import RunFolder
from vision_apps.sweeps import processes


@pytest.mark.slow
def test_every_rank_has_the_values_of_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sampler that keeps a state, two trials at a time, in the environment of an outer launch."""
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    words = [
        *("trainer.strategy=ddp", "trainer.devices=2", "trainer.max_epochs=1", "test=false"),
        *(f"model._target_=toy_ranks.{PlainNet.__name__}", "~model.width", "~model.dropout"),
        *(
            "+callbacks.ranks._target_=toy_ranks.RankRecord",
            f"+callbacks.ranks.folder={Path('ranks').absolute()}",
        ),
        *("optimizer.lr=tag(log,interval(1e-4,1e-1))", "data.seed=int(interval(0,1000))"),
        *("n_trials=2", "sampler=cma_es", "pruner=median", "jobs=2"),
    ]
    assert main(["sweep", *stand_in.words_of("dir=s", *words)]) == 0
    where = stand_in.study(Path("s"))
    study = optuna.load_study(study_name=where["study"], storage=where["storage"])
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    by_run = defaultdict(list)
    for path in Path("ranks").glob("*.json"):
        record = json.loads(path.read_text())
        by_run[record["run"]].append(record)
    assert len(by_run) == 2
    assert len({trial.params["optimizer.lr"] for trial in study.trials}) == 2
    for run, records in by_run.items():
        assert sorted(record["rank"] for record in records) == [0, 1]
        assert len({record["config"] for record in records}) == 1
        assert len({record["weights"] for record in records}) == 1
        config = yaml.safe_load((Path(run) / "config.yaml").read_text())
        trial = study.trials[int(Path(run).name)]
        assert config["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert config["data"]["seed"] == trial.params["data.seed"]


@pytest.mark.slow
def test_all_ranks_of_a_pruned_trial_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rank 0 asks the pruner; a rank that went on would wait for it until the test's time is over."""
    monkeypatch.setattr(processes, "Process", Within)
    words = [
        *("trainer.strategy=ddp", "trainer.devices=2", "trainer.max_epochs=3", "test=false"),
        *(f"model._target_=toy_ranks.{PlainNet.__name__}", "~model.width", "~model.dropout"),
        *("optimizer.lr=0.003,1e-9", "pruner=threshold", "pruner_options={upper: 0.75}"),
    ]
    assert main(["sweep", *stand_in.words_of("dir=s", *words)]) == 0
    where = stand_in.study(Path("s"))
    good, dull = optuna.load_study(study_name=where["study"], storage=where["storage"]).trials
    assert (good.state.name, sorted(good.intermediate_values)) == ("COMPLETE", [0, 1, 2])
    assert (dull.state.name, sorted(dull.intermediate_values)) == ("PRUNED", [0])
    assert RunFolder("s/trials/0001").status == "pruned"
