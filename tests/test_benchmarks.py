"""Every row of the benchmark of correctness can be built; all of it takes minutes."""

import importlib.util
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
