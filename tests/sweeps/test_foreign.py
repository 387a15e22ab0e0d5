"""What a stranger's sweep may not do by itself, and what ours then says to go on with."""

import json
from pathlib import Path
from typing import Any

import pytest
import stand_in
from omegaconf import OmegaConf

from vision_apps.cli import main
from vision_apps.core.config.overrides import value
from vision_apps.sweeps import foreign, processes, space

SETUP = {"slurm_setup": ["touch 'mark' # \\"], "timeout_min": 5}
LOGGER = "+logger.x={_target_: pytorch_lightning.loggers.CSVLogger, save_dir: /elsewhere}"


def theirs(*fixed: str, **settings: Any) -> Path:
    folder = Path("s")
    folder.mkdir()
    record = {
        "name": "s",
        "started": "2026-01-01",
        "command": [],
        "task": "toy",
        "first_seed": 0,
        "objectives": {"val/loss": "min"},
        "fixed": stand_in.words_of(*fixed),
        "space": {"model.width": "3,4"},
        "config_dirs": [],
        "settings": {"n_trials": 1, **settings},
    }
    (folder / "sweep.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("said", [[], ["launcher=slurm"], ["slurm={timeout_min: 9}"]])
def test_a_stored_cluster_is_refused(said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = theirs(launcher="slurm", slurm=SETUP)
    assert main(["sweep", "resume=s", *said]) == 2
    told = capsys.readouterr().err
    assert "s, as it was saved, gives its runs to a cluster, with launcher=slurm slurm={slurm_setup" in told
    assert [file.name for file in folder.iterdir()] == ["sweep.json"]


def test_what_the_command_says_of_a_cluster_counts_alone() -> None:
    stored = {"launcher": "slurm", "slurm": SETUP, "jobs": 2}
    words = foreign.submitting(stored)
    assert value(words[1]) == SETUP, "as it is printed it can be typed"
    for said in (words, ["launcher=slurm", "slurm={timeout_min: 9}"], ["launcher=processes"]):
        assert foreign.without_submitting(stored, said, Path("s")) == {"jobs": 2}


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (LOGGER, "logger.x.save_dir: '/elsewhere'"),
        ("+callbacks.x={_target_: pytorch_lightning.callbacks.ModelCheckpoint, dirpath: out}", "x.dirpath"),
        ("+model.pretrained_cfg={url: 'http://127.0.0.1:9/w'}", "model.pretrained_cfg.url"),
        ("data.seed=${oc.env:HOME}", "expected a value, not one that is looked up here"),
    ],
)
def test_a_place_outside_is_refused(
    word: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision_apps.core.config.check.check", lambda config: None)  # of the toy's parameters
    folder = theirs(word)
    assert main(["sweep", "resume=s"]) == 2
    error = capsys.readouterr().err
    assert told in error and "sweep resume=s" in error and word.partition("=")[0] in error
    assert [file.name for file in folder.iterdir()] == ["sweep.json"]


def test_a_place_in_the_sweep_s_folder_is_inside_and_a_download_is_not_heeded() -> None:
    config = OmegaConf.create(
        {"run": {"dir": None}, "logger": {"x": {"save_dir": "${run.dir}"}}, "data": {"download": True}}
    )
    words, run = ["data.download=true"], Path("s/trials/0000")
    assert foreign.needed(config, words, Path("s"), run) == words
    assert foreign.require_inside(config, words, Path("s"), run, words) == []
    assert config.data.download is True
    assert len(foreign.require_inside(config, words, Path("s"), run, [])) == 1
    assert config.data.download is False


@pytest.mark.slow
def test_what_is_named_by_hand_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "command", stand_in.command)
    word = LOGGER.replace("/elsewhere", str(tmp_path / "elsewhere"))
    words = stand_in.words_of("dir=s", word, "model.width=13,3", "fail_fast=true", "jobs=1")
    assert main(["sweep", *words]) == 2
    assert f"go on with: {foreign.command('sweep', 'resume=s', word)}" in capsys.readouterr().err
    assert main(["sweep", "resume=s", "fail_fast=false"]) == 2
    assert not Path("s/trials/0001").exists()
    assert main(["sweep", "resume=s", "fail_fast=false", word]) == 0
    assert Path("s/trials/0001").is_dir()


def test_a_study_cannot_name_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its database may be a stranger's too: what a trial shall try is held as it is begun."""
    from vision_apps.core.errors import ConfigError
    from vision_apps.core.run_folder import RunFolder
    from vision_apps.sweeps import trial

    searched = space.parse(stand_in.words_of(), {"model.width": "3,4"})
    run = RunFolder("s/trials/0000")
    unit = trial.Unit(0, 0, None, run, (LOGGER,))
    with pytest.raises(ConfigError, match=r"logger.x.save_dir"):
        trial.prepare(unit, searched, Path("s"), 1, None, None, [])
    assert not run.path.exists()
