"""The command lines in the head of CIFAR-10's configuration turn on what they name."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from vision_apps.applications.classification.types import LabelBatch
from vision_apps.core import assembly
from vision_apps.core.config import check, compose, options
from vision_apps.data.labels.cifar import CIFAR10

HEAD = (options.conf_dir() / "data" / "classification_cifar10.yaml").read_text().splitlines()
COMMANDS = [line.removeprefix("# python train.py ") for line in HEAD if line.startswith("# python train.py")]


def test_every_transform_has_a_command() -> None:
    assert len(COMMANDS) == 5
    for name in ("MixUp", "CutMix", "Cutout", "RandAugment", "ColorJitter"):
        assert sum(f".{name}" in command for command in COMMANDS) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes_builds_and_changes_pictures(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    name = words[-1].split("=")[0].removeprefix("data.augment.")
    fake = [f"data.{key}={value}" for key, value in CIFAR10.fake(tmp_path / "cifar").items()]
    config = compose.compose([*words, *fake])
    check.check(config)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    data = assembly.build_data(plain)
    assert list(data.augment) == ["crop", "flip", name]
    batch = LabelBatch(**data.load("train", ("images", "labels")).__getitems__([0, 1, 2, 3]))
    torch.manual_seed(0)
    changed = data.augment[name](batch)
    assert changed.images.shape == batch.images.shape
    assert not torch.equal(changed.images, batch.images)
