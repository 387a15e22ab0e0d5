"""The words of `vision-apps export`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import FORMATS

import vision_apps
from vision_apps.cli import main
from vision_apps.export import export as exporting


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "x.ckpt --format onx",
            "--format onx: expected onnx, torch-export, safetensors; did you mean 'onnx'?",
        ),
        ("x.ckpt --format=pt", "--format pt: expected onnx, torch-export, safetensors"),
        ("x.ckpt --format", "--format: expected one of onnx, torch-export, safetensors"),
        ("x.ckpt --out", "--out: expected a file, as in --out model.onnx"),
        ("x.ckpt --fromat onnx", "--fromat: no such option; did you mean '--format'?; see --help"),
        ("x.ckpt gain=3", "gain=3: expected module.key=value, such as module.flip_test=true; see --help"),
        ("x.ckpt y.ckpt", "y.ckpt: expected module.key=value, such as module.flip_test=true; see --help"),
        (
            "--format onnx",
            "which run? It is a folder under runs/, a checkpoint, last or best:METRIC\n"
            "vision-apps export RUN [--format FORMAT] [--out FILE] [module.key=value ...] "
            "[allow_targets=[PACKAGE]]",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    words: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "export", unexpected)
    assert main(["export", *words.split()]) == 2
    said = capsys.readouterr()
    assert said.err == f"error: {told}\n"
    assert said.out == ""


def unexpected(*given: Any) -> None:
    raise AssertionError(f"export was begun: {given}")


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(word: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "export", unexpected)
    assert main(["export", "x.ckpt", word]) == 0
    said = capsys.readouterr().out
    for name in (*FORMATS, "--format", "--out", "module.key=value", "allow_targets"):
        assert name in said


def test_words_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(exporting, "export", lambda *words: given.append(words))
    for words in (
        "x",
        "x module.a=1 --format=torch-export module.b.c=[1,2]",
        "--out Model.PT2 x",  # the name says the format
        "x --out model.zip",
        "x --out model.onnx --format safetensors",
        "x allow_targets=[mine]",
    ):
        assert main(["export", *words.split()]) == 0
    assert given == [
        ("x", "onnx", None, []),
        ("x", "torch-export", None, ["module.a=1", "module.b.c=[1,2]"]),
        ("x", "torch-export", "Model.PT2", []),
        ("x", "onnx", "model.zip", []),
        ("x", "safetensors", "model.onnx", []),
        ("x", "onnx", None, []),
    ]
    assert os.environ["VISION_APPS_ALLOW"] == "tiny,mine"


@pytest.mark.parametrize("arrange", [lambda: None, lambda: Path("gone").mkdir()])
def test_no_such_run(arrange: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    arrange()
    assert main(["export", "gone"]) == 2
    assert "expected a run folder (runs/<task>/<number>-<words>), a checkpoint" in capsys.readouterr().err


NO_TORCH = """
import json, sys
from vision_apps.cli import main
for words in json.loads(sys.argv[1]):
    main(["export", *words])
    heavy = {"torch", "pytorch_lightning", "torchvision", "numpy", "onnx", "safetensors"} & set(sys.modules)
    assert not heavy, (words, heavy)
"""


def test_answers_and_refusals_import_nothing_heavy() -> None:
    words = [[], ["--help"], ["x", "--format", "onx"], ["x", "gain=3"]]
    result = subprocess.run(
        [sys.executable, "-c", NO_TORCH, json.dumps(words)],
        env={**os.environ, "PYTHONPATH": str(Path(vision_apps.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
