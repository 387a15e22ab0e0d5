"""A model and a data set are added with new files only: nothing that exists is edited."""

import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do

import vision_apps
from vision_apps.cli import main
from vision_apps.core.config import options, targets
from vision_apps.core.config.check import check
from vision_apps.core.config.compose import compose
from vision_apps.core.errors import ConfigError

CODE = """
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vision_apps.core.data import TensorSamples, VisionData


class Mean(nn.Module):
    def __init__(self, num_classes: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Linear(3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.scale * images.mean((2, 3)))


class Colors(VisionData):
    fields = ("images", "labels")
    fact_names = ("num_classes", "class_names", "image_size", "mean", "std")

    def __init__(self, root: str, **loader: Any) -> None:
        super().__init__(**loader)

    @property
    def facts(self) -> dict[str, Any]:
        names = ["red", "green", "blue"]
        return {"num_classes": 3, "class_names": names, "image_size": 8, "mean": [0.3] * 3, "std": [0.5] * 3}

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        labels = torch.arange(6) % 3
        images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
        images[torch.arange(6), labels] = 255
        return TensorSamples(images=images, labels=labels)


class Blind(Colors):
    fields = ("images",)
"""
MODEL = "# the mean colour and one layer\n_target_: my_nets.Mean\nscale: 2.0\n"
DATA = "# three colours\n_target_: my_nets.{name}\nroot: nowhere\nbatch_size: 3\n"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder: one Python file, and three configurations."""
    (tmp_path / "my_nets.py").write_text(CODE)
    for group in ("model", "data"):
        (tmp_path / "conf" / group).mkdir(parents=True)
    (tmp_path / "conf/model/classification_mean.yaml").write_text(MODEL)
    (tmp_path / "conf/data/classification_colors.yaml").write_text(DATA.format(name="Colors"))
    (tmp_path / "conf/data/classification_blind.yaml").write_text(DATA.format(name="Blind"))
    monkeypatch.setenv("VISION_APPS_CONF", str(tmp_path / "conf"))
    monkeypatch.setenv("VISION_APPS_ALLOW", "")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_it_is_listed_with_the_others(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "classification_mean" in options.of_application("model", "classification")
    assert "classification_colors" in options.of_application("data", "classification")
    assert main(["train", "--help"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["model=mean", "the mean colour and one layer"] in lines
    assert ["data=colors", "three colours"] in lines


def test_it_composes_by_its_short_name_and_is_checked(own: Path) -> None:
    targets.allow(["my_nets"])
    config = compose(["task=classification", "model=mean", "data=colors"])
    assert config.model.scale == 2.0
    check(config)
    config.model.scale = "much"
    with pytest.raises(ConfigError, match=r"\n  model\.scale: expected float, got 'much' \(str\)$"):
        check(config)


def test_the_user_is_asked_to_trust_it_first(own: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"model\._target_: my_nets\.Mean is not under .*allow_targets=\[my_nets\]",
    ):
        check(compose(["task=classification", "model=mean"]))


def test_data_that_lacks_labels_does_not_fit(own: Path) -> None:
    targets.allow(["my_nets"])
    with pytest.raises(
        ConfigError, match=r"data: Blind offers images, but .* also needs labels; data that fit: .*_colors"
    ):
        check(compose(["task=classification", "model=mean", "data=blind"]))


@pytest.mark.slow
def test_it_trains(own: Path) -> None:
    words = "task=classification model=mean data=colors allow_targets=[my_nets] trainer=smoke logger=csv"
    path = f"{Path(vision_apps.__file__).parents[1]}:{own}"
    result = subprocess.run(
        [sys.executable, "-m", "vision_apps", "train", *words.split(), "trainer.accelerator=cpu"],
        env={
            "PYTHONPATH": path,
            "VISION_APPS_CONF": str(own / "conf"),
            "OMP_NUM_THREADS": "1",
            "PATH": "/usr/bin:/bin",
        },
        cwd=own,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    assert (own / "runs/classification").is_dir()
