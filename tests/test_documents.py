"""The README's commands and the experiments, executed from the first to the last at the smallest size."""

import contextlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from vision_apps.cli import main
from vision_apps.core.pictures import to_pil
from vision_apps.datasets.cifar import CIFAR10
from vision_apps.datasets.coco import CocoJson
from vision_apps.datasets.mask_folder import MaskFolder
from vision_apps.datasets.voc import VocFolder

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
    # the run that the README names
    assert main(["train", "task=colorization", "logger=csv", *SMALLEST, *WORLD]) == 0
    lines = list(readme())
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line)
        if words[0] == "make":  # tests/test_make.py
            assert re.search(rf"^{words[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), line
            continue
        words = ["train", *words[2:]] if words[0] == "python" else words[1:]
        training = words[0] == "train" and "--help" not in words
        if training and not any(word.startswith("resume=") for word in words):
            on_disk = any(word.startswith("data=") for word in words)
            words += [f"{word}" for word in SMALLEST if word.split("=")[0] not in line]
            words += [] if on_disk else WORLD
        if {"data=folder", "data=coco_json"} & set(words):
            words += ["data.image_size=32"]
        if "trainer=ddp" in words:  # its second process needs a command line of its own
            done = subprocess.run(
                [sys.executable, "-m", "vision_apps", *words], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            continue
        expected = 2 if "devicse" in line else 0  # the one that shows what a mistake is answered with
        assert main(words) == expected, f"{line}\n{capsys.readouterr()}"


def script(name: str, monkeypatch: pytest.MonkeyPatch, place: Path) -> ModuleType:
    """An experiment that trains in this process and writes below ``place``."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "experiments" / name / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

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
