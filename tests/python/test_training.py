"""A run that is trained from Python: what it gives, what it refuses, and the figures that follow it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_run import CONF, OPTIONS

import vision_apps
from vision_apps.core.config import options, targets
from vision_apps.core.errors import ConfigError, RunError
from vision_apps.core.pictures import from_pil
from vision_apps.python.live import curves, in_notebook


@pytest.fixture
def toy_words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv(targets.VARIABLE, "toy,toy_parts")
    monkeypatch.setenv(options.VARIABLE, str(CONF))
    return [*OPTIONS, "trainer.max_epochs=2"]


def test_a_run_and_what_it_gives(toy_words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    run = vision_apps.train(*toy_words)
    assert run.folder == Path("runs/toy/0001-lively-heron")
    steps, losses = run.history["val/loss"]
    assert len(steps) == 2 and losses[-1] == pytest.approx(run.metrics["val/loss"])
    assert "test/loss" not in run.metrics and repr(run).startswith("runs/toy/0001-lively-heron\n  ")
    assert [path.name for path in run.pictures if "sheet" in path.name][:1] == ["val-sheet-epoch-0000.png"]
    typed = json.loads((run.folder / "environment.json").read_text())["command"]
    assert "train" in typed and "task=toy" in typed and "kernel.json" not in typed
    (answer,) = run.model().predict(torch.zeros(3, 8, 8, dtype=torch.uint8))
    assert from_pil(answer.draw()).shape[0] == 3

    again = vision_apps.train(f"resume={run.folder}", "trainer.max_epochs=3")
    assert again.folder == run.folder and len(again.history["val/loss"][0]) == 3


def test_errors_are_raised(toy_words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"trainer.devicse: no such key; did you mean 'trainer.devices'\?"):
        vision_apps.train(*toy_words, "trainer.devicse=2")
    with pytest.raises(ConfigError, match="task=toys: no such application"):
        vision_apps.train("task=toys")
    with pytest.raises(ConfigError, match="trainer=gpu: a resumed run keeps its trainer; with resume= only"):
        vision_apps.train("resume=runs/x", "trainer=gpu")
    with pytest.raises(RunError, match="is not finite"):
        vision_apps.train(*toy_words, "module.poison=1")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, vision_apps; print({'torch', 'hydra', 'numpy', 'PIL'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_targets_are_trusted_by_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(targets.VARIABLE, "")
    monkeypatch.setenv(options.VARIABLE, str(CONF))
    with pytest.raises(ConfigError, match=r"toy.ToyModule is not under .*allow_targets=\[toy\]"):
        vision_apps.train(*OPTIONS)
    assert vision_apps.train(*OPTIONS, "allow_targets=[toy]", "trainer.max_epochs=1").metrics


def test_curves_show_the_losses_and_what_is_monitored() -> None:
    series = {name: ([1, 2, 3], [0.5, 0.4, 0.2]) for name in ("train/loss", "val/loss", "val/ap")}
    one, both = (curves(series, monitor) for monitor in ("val/loss", "val/ap"))
    assert one.size == both.size and one.tobytes() != both.tobytes()
    assert curves({}, "val/loss").size == one.size
    assert not in_notebook()
