"""The README's commands and the experiments, executed from the first to the last at the smallest size."""

import contextlib
import csv
import importlib.util
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torchvision.io import read_image

from vision_apps.cli import main
from vision_apps.core.pictures import to_pil
from vision_apps.data.boxes.coco import CocoJson
from vision_apps.data.boxes.voc import VocFolder
from vision_apps.data.labels.cifar import CIFAR10
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.prediction.video import VideoFile

REPOSITORY = Path(__file__).parents[1]
SMALLEST = [
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "data.limit_train=8",
    "data.limit_val=4",
    "data.limit_test=4",
    "data.batch_size=4",
]
WORLD = ["data.train_images=8", "data.val_images=4", "data.test_images=4"]


def readme() -> Iterator[str]:
    for block in re.findall(
        r"^```\w*\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL
    ):
        for line in block.splitlines():
            if re.match(r"(python train\.py|vision-apps|make) ", line):
                yield line.split(" #")[0].strip()


def photos(folder: Path, count: int = 8) -> None:
    """What a user might have: two classes, a folder each, and pictures lying about."""
    for index in range(count):
        for name in ("cats", "dogs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            picture = torch.randint(0, 256, (3, 40 + index, 48), dtype=torch.uint8)
            to_pil(picture).save(folder / name / f"{index}.png")


def film(name: str) -> None:
    file = VideoFile(Path(name), 10)
    for number in range(4):
        file.write(torch.full((3, 32, 32), 60 * number, dtype=torch.uint8), number / 10)
    file.close()


def smallest(words: list[str]) -> list[str]:
    """Of a command that trains: what makes it as small as possible and does not undo what it says."""
    given = {word.split("=")[0] for word in words}
    small = [word for word in SMALLEST if word.split("=")[0] not in given]
    if words[0] == "sweep":
        if "sweep=colorization" in words:  # which varies the batch size
            small.remove("data.batch_size=4")
        words = [re.sub(r"^(n_trials|seeds)=.*", r"\1=2", word) for word in words]
        small += ["logger=csv", *(["n_trials=2"] if "sweep=colorization" in words else [])]
    return [*words, *small, *([] if any(word.startswith("data=") for word in words) else WORLD)]


def serve(words: list[str]) -> None:
    """A dashboard from its start to Ctrl-C."""
    command = [sys.executable, "-m", "vision_apps", *words, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if "http://" in line)
        with urllib.request.urlopen(address) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith("dashboard ended\n")
    assert process.returncode == 0


@pytest.mark.slow
def test_every_command_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos")
    photos(tmp_path / "holiday")
    CocoJson.fake(tmp_path / "cells")
    MaskFolder.fake(tmp_path / "roads")
    for path in (tmp_path / "holiday" / "cats").iterdir():
        path.rename(tmp_path / "holiday" / path.name)
    (tmp_path / "photo.jpg").write_bytes((tmp_path / "photos" / "dogs" / "0.png").read_bytes())
    film("garden.mp4")
    # the run that the README names
    assert main(["train", "task=colorization", "logger=csv", *SMALLEST, *WORLD]) == 0
    lines = list(readme())
    assert {shlex.split(line)[1] for line in lines if line.startswith("vision-apps")} >= {
        *("sweep", "runs", "compare", "dashboard", "sync", "export", "predict", "test", "data")
    }
    for line in lines:
        words = shlex.split(line)
        if words[0] == "make":  # tests/test_make.py
            assert re.search(rf"^{words[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), line
            continue
        words = ["train", *words[2:]] if words[0] == "python" else words[1:]
        training = words[0] in ("train", "sweep") and "--help" not in words
        if training and not any(word.startswith("resume=") for word in words):
            words = smallest(words)
        if {"data=folder", "data=coco_json"} & set(words):
            words += ["data.image_size=32"]
        if words[0] == "dashboard":
            serve(words)
            continue
        if "trainer=ddp" in words:  # its second process needs a command line of its own
            done = subprocess.run(
                [sys.executable, "-m", "vision_apps", *words], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            continue
        expected = 2 if "devicse" in line else 0  # the one that shows what a mistake is answered with
        assert main(words) == expected, f"{line}\n{capsys.readouterr()}"
    with open("runs/sweeps/0003-jade-fox/results.csv") as file:  # two rates, two seeds each
        assert [row["state"] for row in csv.DictReader(file)] == ["complete", "complete"]
    assert Path("comparison/index.html").is_file()
    rows = Path("colored/predictions.jsonl").read_text().splitlines()
    assert len(rows) == 1 + len(list(Path("holiday").glob("*.png")))


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "experiments" / name / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(name: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> ModuleType:
    """An experiment that trains in this process and writes below ``place``."""
    module = loaded(name)

    def run(command: list[Any], check: bool) -> None:
        assert check and Path(command[1]) == REPOSITORY / "train.py"
        with contextlib.chdir(place):
            assert main(["train", *command[2:]]) == 0

    monkeypatch.setattr(module, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(module, "HERE", place)
    monkeypatch.setattr(module, "RUNS", place / "runs")
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn_vs_dense", "colorization_cifar10"])
def test_an_experiment_writes_its_table_and_picture(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = script(name, monkeypatch, tmp_path)
    data = CIFAR10.fake(tmp_path / "cifar")
    extra = [f"data.{key}={value}" for key, value in data.items()]
    monkeypatch.setattr(sys, "argv", ["run.py", *extra, "logger=csv", *SMALLEST])
    experiment.main()
    written = (tmp_path / "table.md").read_text()
    assert written.count("\n|") >= 3
    assert len(list(tmp_path.glob("*.png"))) == 1
    trained = sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    experiment.main()  # finished runs are not trained again
    assert trained == sorted(path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("best.ckpt"))
    assert (tmp_path / "table.md").read_text() == written


@pytest.mark.slow
@pytest.mark.parametrize("data", ["scenes", "bccd"])
def test_the_detectors_are_compared(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = script("detectors", monkeypatch, tmp_path)
    own = ["data.image_size=32", *WORLD]
    if data == "bccd":
        given = VocFolder.fake(tmp_path / "voc")
        own = [f"data.{key}={value}" for key, value in given.items()]
    monkeypatch.setattr(sys, "argv", ["run.py", data, *own, "logger=csv", *SMALLEST])
    experiment.main()
    lines = (tmp_path / f"{data}.md").read_text().splitlines()
    assert len(lines) == 2 + len(experiment.DETECTORS) + 1
    assert all(line.count("|") == 10 for line in lines)
    with_recall = [line for line in lines if line.split("|")[5].strip().endswith("%")]
    assert [line.split("|")[1].strip() for line in with_recall] == ["R-CNN", "Fast R-CNN", "Faster R-CNN"]
    assert len(list(tmp_path.glob(f"{data}-*.png"))) == len(experiment.DETECTORS)


@pytest.mark.slow
def test_the_losses_are_swept_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = loaded("colorization_loss")
    monkeypatch.setattr(experiment, "HERE", tmp_path)
    data = [f"data.{key}={value}" for key, value in CIFAR10.fake(tmp_path / "cifar").items()]
    small = [word.replace("max_epochs=1", "max_epochs=2") for word in SMALLEST]  # one point is no curve
    monkeypatch.setattr(sys, "argv", ["run.py", *data, "seeds=1", "logger=csv", *small])
    experiment.main()
    assert (tmp_path / "table.md").read_text().count("experiment=colorization") == 3
    for name in ("curves.png", "pictures.png"):
        assert read_image(tmp_path / name).float().std() > 10, f"{name} is empty"
