"""Every row of the benchmark of correctness can be built, and the loops written by hand run; all of it takes
minutes."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

from vision_apps.core import assembly
from vision_apps.core.config import check, compose, targets
from vision_apps.core.fields import required

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


correctness = _script("correctness")


@pytest.mark.parametrize("name", correctness.ROWS)
def test_a_row_of_correctness_is_checked_and_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(correctness.MADE))
    monkeypatch.setenv(targets.VARIABLE, "shapes")
    few = ["data.train_images=4", "data.test_images=2"]
    config = compose.compose([*correctness.ROWS[name].words.split(), *few], [correctness.MADE / "conf"])
    check.check(config)
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    data = assembly.build_data(plain)
    module = assembly.build_module(plain, data.facts, trainable=False)
    assert required(module.batch_type) <= set(data.fields)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["training_step.py", "--worker", "cnn", "hand"],
        ["faster_rcnn_step.py", "--worker", "hand", "--batch", "1", "--steps", "1"],
        ["caption_metrics.py"],
        [
            "together.py",
            "--rounds",
            "1",
            "--pictures",
            "8",
            "--words",
            "task=vqa",
            "--words",
            "task=captioning",
        ],
        ["navigation.py", "--rounds", "1", "--episodes", "8"],
        ["scene_graphs.py", "--rounds", "1", "--pictures", "3", "--objects", "4", "--predicates", "5"],
        ["chaos.py", "--minutes", "0", "--only", "bits"],
        ["grid_features.py", "--pictures", "30", "--epochs", "1", "--rounds", "1"],
    ],
    ids=lambda words: words[0],
)
def test_a_benchmark_runs(words: list[str]) -> None:
    """A configuration that gains a key must not end them."""
    script, *rest = words
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *rest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any(word.replace(".", "", 1).isdigit() for word in done.stdout.split()), done.stdout
