"""The command line: what each word does, and that a wrong one costs no import of torch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
from omegaconf import OmegaConf

import vision_apps
from vision_apps.cli import arguments, main
from vision_apps.core import assembly, engine
from vision_apps.core.config import check, compose, options
from vision_apps.prediction import predict
from vision_apps.trained import evaluate

TOY = Path(__file__).parent / "conf"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISION_APPS_CONF", str(TOY))
    monkeypatch.setenv("VISION_APPS_ALLOW", "")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the engine is asked for; nothing is trained."""
    seen: list[tuple[Any, ...]] = []
    for place, name in ((engine, "train"), (engine, "resume"), (engine, "replay"), (evaluate, "test")):
        monkeypatch.setattr(place, name, lambda *given, name=name: seen.append((name, *given)))
    monkeypatch.setattr(
        predict, "predict", lambda run, inputs, out, *rest: seen.append(("predict", run, inputs, out))
    )
    return seen


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            "trian",
            "trian: no such command; did you mean 'train'?; there are: "
            "train, tune, sweep, test, predict, choose, export, serve, runs, compare, dashboard, sync, data",
        ),
        (
            "train task=toy epochs=3 device=cpu batch_size=4",
            "epochs: no such key; did you mean 'trainer.max_epochs=3'?\n"
            "device: no such key; did you mean 'trainer=cpu'?\n"
            "batch_size: no such key; did you mean 'data.batch_size=4'?",
        ),
        ("train task=toy device=cuda:0", "device: no such key; did you mean 'trainer=gpu'?"),
        (
            "train --multi-run",
            "--multi-run: no such option; did you mean '--multirun'?; see --help, settings are key=value",
        ),
        ("train --cfg", "--cfg: expected a value, as in --cfg job"),
        (
            "train task=toy trainer.max_epoch=3",
            "trainer.max_epoch: no such key; did you mean 'trainer.max_epochs'? (a new key is added with "
            "+trainer.max_epoch=3)",
        ),
        (
            "train task=toy model=nett",
            "model=nett: no such model; did you mean 'net'?; there are: toy_net, toy_plain",
        ),
        (
            "train task=toy optimizer.lr=1,2",
            "optimizer.lr=1,2: several values are a sweep and need -m; a list is written "
            "optimizer.lr=[1,2], a text with a comma \"optimizer.lr='1,2'\"",
        ),
        (
            "train resume=runs/x model=net",
            "model=net: a resumed run keeps its model; with resume= only existing keys can be changed, as "
            "in trainer.max_epochs=20. Leave resume= out to start a new run",
        ),
        (
            "train resume=runs/x +a=1",
            "+a=1: a resumed run keeps its a; with resume= only existing keys can be changed, as in "
            "trainer.max_epochs=20. Leave resume= out to start a new run",
        ),
        ("train resume=runs/x -m", "-m: cannot be combined with resume=runs/x, which composes nothing"),
        (
            "test",
            "which run? It is a folder under runs/, a checkpoint, last or best:METRIC\n"
            "vision-apps test RUN [key=value ...] [allow_targets=[PACKAGE]]",
        ),
        ("test runs/x --outt", "--outt: no such option; see --help"),
        ("predict runs/x --with a", "--with a: expected NAME=TEXT, as in --with question='how many?'"),
        ("predict runs/x a.jpg --ot b", "--ot: no such option; did you mean '--out'?; see --help"),
        ("predict runs/x a.jpg --out", "--out: expected a folder, as in --out colored"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    command: str, text: str, capsys: pytest.CaptureFixture[str], calls: list[Any]
) -> None:
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {text}\n"
    assert said.out == ""
    assert calls == []


def test_nothing_said_prints_commands_that_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    for task in options.applications():
        assert f"vision-apps train task={task} trainer=smoke\n" in said


def test_help_lists_everything_on_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for group in options.groups():
        for name, path in options.of_group(group).items():
            owner = options.application_of(name) if group in options.BY_APPLICATION else None
            shown = f"{group}={name.removeprefix(f'{owner}_')}" if owner else name
            about = options.description(path)
            assert about, f"{path} does not begin with a comment that says what it is"
            assert f" {shown} {' '.join(about.split())}" in text, f"{group}={name}"


def test_train_composes_and_allows_what_the_task_names(
    calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "task=toy", "model.width=7", "allow_targets=[toy]"]) == 0
    ((name, config, choices),) = calls
    assert (choices["task"], choices["model"], choices["trainer"]) == ("toy", "toy_net", "auto")
    assert (name, config.model.width, config.task.name) == ("train", 7, "toy")
    assert "hydra" not in config
    assert os.environ["VISION_APPS_ALLOW"] == "toy"
    assert capsys.readouterr().out == "loading torch and lightning ...\n"


@pytest.mark.slow
def test_a_sweep_is_one_run_for_each_combination(calls: list[Any]) -> None:
    assert main(["train", "-m", "task=toy", "seed=1,2", "model.width=3,4"]) == 0
    assert [(config.seed, config.model.width) for _, config, _ in calls] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert [path.name for path in Path().iterdir()] == ["runs"]
    assert [path.name for path in Path("runs/multirun").glob("*/*")] == ["multirun.yaml"]


def test_options_and_settings_may_be_mixed(calls: list[Any]) -> None:
    assert main(["train", "task=toy", "-m", "seed=1,2"]) == 0
    assert len(calls) == 2


def test_hydra_makes_no_folder(calls: list[Any]) -> None:
    assert main(["train", "task=toy"]) == 0
    assert list(Path().iterdir()) == []


def test_cfg_shows_the_configuration(capsys: pytest.CaptureFixture[str], calls: list[Any]) -> None:
    assert main(["train", "task=toy", "--cfg", "job", "--package", "model", "--config-dir", str(TOY)]) == 0
    assert capsys.readouterr().out == "# @package model\n_target_: toy.ToyNet\nwidth: 4\ndropout: 0.5\n"
    assert calls == []


def test_resume_is_left_to_the_engine(calls: list[Any]) -> None:
    assert main(["train", "resume=runs/x", "trainer.max_epochs=9", "allow_targets=[a,b]"]) == 0
    assert calls == [("resume", "runs/x", ["trainer.max_epochs=9"])]
    assert os.environ["VISION_APPS_ALLOW"] == "a,b"


def test_replay_composes_nothing(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--replay", "runs/x", "--checkpoint=last.ckpt"]) == 0
    assert calls == [("replay", "runs/x", "last.ckpt", [])]
    assert capsys.readouterr().out == ""


def test_runs_are_tested_and_used(calls: list[Any]) -> None:
    assert main(["test", "runs/x", "data.root=y"]) == 0
    assert main(["predict", "runs/x", "a.jpg", "--out", "o", "b"]) == 0
    assert calls == [("test", "runs/x", ["data.root=y"]), ("predict", "runs/x", ["a.jpg", "b"], "o")]


def test_a_fault_in_a_run_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(config: Any, choices: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(engine, "train", fault)
    arguments_before = list(sys.argv)
    with pytest.raises(ValueError, match="a bug"):
        main(["train", "task=toy"])
    assert sys.argv == arguments_before
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_data_check_counts_and_opens(toy: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "task=toy", "data.count=5"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "loading torch and lightning ...",
        "train         5 samples",
        "       first 5 drawn in runs/data-check/train.png",
        "val           5 samples",
        "       first 5 drawn in runs/data-check/val.png",
        "test          5 samples",
        "       first 5 drawn in runs/data-check/test.png",
        "num_classes: 2",
        "image_size: 8",
        "every file opens",
    ]


def test_data_check_overwrites_only_its_own(toy: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.png").write_text("mine")
    for count in (5, 6):
        assert main(["data", "check", "task=toy", f"data.count={count}", "out=."]) == 0
        assert f"first {count} drawn in train-2.png" in capsys.readouterr().out
    assert Path("train.png").read_text() == "mine"
    assert sorted(path.name for path in Path().glob("*.png")) == [
        *("test.png", "train-2.png", "train.png", "val.png")
    ]


def test_data_prior_counts_the_training_images(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["data.train_images=8", "data.image_size=16", "data.batch_size=4"]
    assert main(["data", "prior", *small, "out=prior"]) == 0
    assert [path.name for path in Path().iterdir()] == ["prior"]  # the named file, without a suffix added
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "saved to prior; train with it, rare colours weighing more:",
        f"vision-apps train task=colorization {' '.join(small)} module.prior=prior module.rebalance=0.5",
    ]
    words = said[-1].split()[2:]
    config = compose.compose(words)
    check.check(config)
    plain = OmegaConf.to_container(config, resolve=True)
    module = assembly.build_module(plain, {"image_size": 16}, trainable=False)
    assert (module.prior_path, module.rebalance) == ("prior", 0.5)
    assert main(["data", "prior", *small, "out=prior", "data.train_images=few"]) == 2
    assert "data.train_images: expected" in capsys.readouterr().err
    before = Path("prior").read_bytes()
    assert main(["data", "prior", *small, "out=prior"]) == 2
    assert "data prior: out=prior exists already; choose another" in capsys.readouterr().err
    assert Path("prior").read_bytes() == before
    assert main(["data", "prior", *small]) == 2
    assert capsys.readouterr().err == (
        "error: data prior: where to? Add out=prior.npy, and train with module.prior=prior.npy\n"
    )


def test_data_help_lists_what_applications_add(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  check   count the samples of each split, open and draw them, list the broken files (out=FOLDER)",
        "  prior   how common each colour bin is among the training images of a data set (out=FILE)",
    ]


def test_words_are_taken_apart() -> None:
    words = arguments.parse(
        ["a=1", "--info", "defaults", "-m", "--cfg=job", "resume=x", "--config-dir", "c", "b=2"]
    )
    assert words.hydra == ["--info", "defaults", "-m", "--cfg", "job"]
    assert words.config_dirs == [Path("c")]
    assert words.pop("resume") == "x"
    assert words.pop("resume") is None
    assert words.overrides == ["a=1", "b=2"]


NO_TORCH = """
import json, sys
from vision_apps.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit:
        pass
    heavy = {"torch", "pytorch_lightning", "torchvision", "torchmetrics", "wandb", "numpy"} & set(sys.modules)
    assert not heavy, (words, heavy)
"""


def test_answers_and_refusals_import_nothing_heavy() -> None:
    commands = [
        [],
        ["train", "--help"],
        ["train", "--cfg", "job"],
        ["train", "--foo"],
        ["train", "trainer=gpuu"],
        ["train", "trainer.max_epoch=1"],
        ["train", "optimizer.lr=1,2"],
        ["train", "seed=[1"],
        ["train", "resume=x", "model=y"],
        ["test", "--help"],
        ["predict", "--help"],
        ["predict", "x", "--with", "y"],
        ["data", "--help"],
    ]
    path = str(Path(vision_apps.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", NO_TORCH, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
