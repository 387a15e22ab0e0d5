"""Data sets and networks of one's own: as short as the pages say, and errors that name what is expected."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from pages import REPOSITORY, blocks
from smallest import SMALLEST
from vision_apps.cli import main
from vision_apps.core.config import options, targets
from vision_apps.core.config.check import check
from vision_apps.core.config.compose import compose
from vision_apps.core.data import VisionData
from vision_apps.core.errors import ConfigError


@pytest.mark.parametrize(("page", "most"), [("own-data-set", 15), ("own-network", 10)])
def test_the_class_of_a_page_is_short(page: str, most: int) -> None:
    """Lines of code, without imports."""
    written = next(b for b in blocks(REPOSITORY / f"docs/{page}.md") if b.title and b.title.endswith(".py"))
    lines = [line for line in written.text.splitlines() if line.strip()]
    assert len([line for line in lines if not line.startswith(("import ", "from "))]) <= most


class Plain(Dataset[dict[str, torch.Tensor]]):
    def __init__(self, count: int = 8) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {
            "images": torch.full((3, 16, 16), index, dtype=torch.uint8),
            "labels": torch.tensor(index % 2),
        }


class Wrapped(VisionData):
    fields = ("images", "labels")
    fact_names = ("num_classes", "class_names", "image_size", "mean", "std")

    @property
    def facts(self) -> dict[str, Any]:
        told = {"num_classes": 2, "class_names": ["even", "odd"], "image_size": 16}
        return {**told, "mean": [0.5] * 3, "std": [0.25] * 3}

    def load(self, split: str, fields: tuple[str, ...]) -> Any:
        return Plain()


class NoNetwork:
    pass


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configurations, and this file as the module ``own_code`` that they may name."""
    monkeypatch.setitem(sys.modules, "own_code", sys.modules[__name__])
    for part in (Plain, Wrapped, NoNetwork):
        monkeypatch.setattr(part, "__module__", "own_code")
    monkeypatch.setenv(targets.VARIABLE, "own_code")
    monkeypatch.setenv(options.VARIABLE, "conf")
    for group, name, content in (
        ("data", "classification_plain", "# a Dataset\n_target_: own_code.Plain\ncount: 8\n"),
        ("data", "classification_wrapped", "# the same\n_target_: own_code.Wrapped\nbatch_size: 4\n"),
        ("model", "classification_none", "# no network\n_target_: own_code.NoNetwork\n"),
    ):
        Path("conf", group).mkdir(parents=True, exist_ok=True)
        Path("conf", group, f"{name}.yaml").write_text(content)
    return Path("conf")


def test_a_plain_dataset_is_told_what_is_expected(own: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        check(compose(["task=classification", "data=plain", "model=none"]))
    said = str(refused.value)
    assert "data: own_code.Plain is no vision_apps.core.data.VisionData, of fields, facts and splits" in said
    assert "such as your Dataset: docs/own-data-set.md" in said and "has no parameter" not in said
    assert f"model: own_code.NoNetwork is no {nn.Module.__module__}.Module, that gives" in said


@pytest.mark.slow
def test_a_dataset_is_what_load_may_return(own: Path) -> None:
    words = ["task=classification", "data=wrapped", "model=dense", *SMALLEST]
    assert main(["train", *words]) == 0
