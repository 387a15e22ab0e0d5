"""What a checkpoint from elsewhere can make the program do: build networks, and nothing else."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from torch import nn

import vision_apps
from vision_apps.core import assembly
from vision_apps.core.augmentation import Augmentation
from vision_apps.core.config import targets
from vision_apps.core.data import VisionData
from vision_apps.core.errors import CheckpointError, ConfigError
from vision_apps.prediction.predict import predict

MODULE = {"_target_": "vision_apps.applications.classification.module.Classification"}
NET = {"_target_": "vision_apps.applications.classification.dense.Dense"}
SAVE = {
    "_target_": "vision_apps.applications.colorization.rebalancing.save_prior",
    "path": "victim.npy",
    "prior": {"_target_": "torch.nn.Identity"},
}


def public() -> Iterator[tuple[str, Any]]:
    """Every public class and function that the package defines, by its dotted name."""
    for found in pkgutil.walk_packages(vision_apps.__path__, "vision_apps."):
        if any(part.startswith("_") for part in found.name.split(".")):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == found.name
            if own and not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)):
                yield f"{found.name}.{name}", value


def intended(name: str, value: Any) -> bool:
    home = name.rpartition(".")[0]
    if home == "vision_apps.core.schedules":
        return True
    if not inspect.isclass(value):
        return False
    if home.startswith(("vision_apps.core.", "vision_apps.cli.")):
        return issubclass(value, pl.Callback | Logger | pl.plugins.CheckpointIO)
    return issubclass(value, nn.Module | VisionData | Augmentation | pl.Callback)


def test_of_the_package_only_parts_of_a_run() -> None:
    allowed, wanted = set(), set()
    for name, value in public():
        if intended(name, value):
            wanted.add(name)
        try:
            targets.resolve(name)
        except ConfigError:
            continue
        allowed.add(name)
    assert allowed == wanted
    assert len(wanted) > 30
    assert "vision_apps.data.public.download" not in wanted


def test_a_network_is_made_of_less_than_a_run() -> None:
    for name in ("torch.nn.Linear", "torchvision.models.resnet18", "timm.create_model", NET["_target_"]):
        assert callable(targets.resolve_network(name))
    for name in (
        "pytorch_lightning.Trainer",
        "pytorch_lightning.loggers.CSVLogger",
        "torch.optim.SGD",
        "vision_apps.core.schedules.warmup_cosine",
        "vision_apps.data.labels.mnist.MNIST",
    ):
        assert callable(targets.resolve(name))
        with pytest.raises(ConfigError, match="is not a part of a network"):
            targets.resolve_network(name)


def hostile(**config: Any) -> str:
    whole = {"model": NET, "module": MODULE, **config}
    torch.save({"state_dict": {}, "config": whole, "facts": {}}, "hostile.ckpt")
    return "hostile.ckpt"


@pytest.mark.parametrize(
    "config",
    [
        {"model": SAVE},
        {"module": {**MODULE, "loss": SAVE}},
        {"model": {**NET, "layers": [{"deep": SAVE}]}},
        {
            "model": {
                "_target_": "vision_apps.data.labels.mnist.MNIST",
                "root": "victim.npy",
                "download": True,
            }
        },
        {"model": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "victim.npy"}},
        {"model": {"_target_": "timm.create_model", "_args_": ["resnet18", True, {"file": "victim.npy"}]}},
    ],
)
def test_a_hostile_checkpoint_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"^hostile\.ckpt: what its config describes cannot be built: "):
        predict(hostile(**config), ["photo.png"], "out")
    assert {path.name for path in Path().iterdir()} == {"hostile.ckpt"}


def test_weights_to_start_from_are_left_out() -> None:
    node = {
        "weights": "missing.pth",
        "pretrained": True,
        "parts": [{"checkpoint_path": "missing.pth", "width": 2, "weights": [0.5, 0.5]}],
    }
    assert assembly.untrained(node) == {
        "weights": None,
        "pretrained": False,
        "parts": [{"checkpoint_path": "", "width": 2, "weights": [0.5, 0.5]}],
    }
    zhang = {
        "_target_": "vision_apps.applications.colorization.zhang16.Zhang16",
        "width": 1 / 16,
        "weights": "gone.pth",
    }
    module_node = {"_target_": "vision_apps.applications.colorization.module.Colorization"}
    config: dict[str, Any] = {"model": zhang, "module": module_node}
    with pytest.raises(CheckpointError, match=r"^model\.weights: gone\.pth does not exist"):
        assembly.build_module(config, {}, trainable=True)
    module = assembly.build_module(config, {}, trainable=True, trained=True)
    assert zhang["weights"] == "gone.pth"  # the configuration itself stays as it was

    # nor is anything built of what a checkpoint says of data, whatever it is
    config["data"] = {"_target_": "vision_apps.data.labels.mnist.MNIST", "root": "victim", "download": SAVE}
    again = assembly.rebuild({"config": config, "facts": {}, "state_dict": module.state_dict()})
    assert again.state_dict().keys() == module.state_dict().keys()
    assert not list(Path().iterdir())


BASE: dict[str, Any] = {"config": {"model": NET, "module": MODULE}, "facts": {}, "state_dict": {}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"config": None},
            "it.ckpt: the checkpoint has no 'config': it was not written by a vision_apps run",
        ),
        ({"config": [1]}, "it.ckpt: the checkpoint has no 'config'"),
        ({"facts": 3}, "it.ckpt: the checkpoint has no 'facts'"),
        ({"config": {"module": MODULE}}, "its config describes no 'model' with a _target_"),
        ({"config": {"model": "net", "module": MODULE}}, "its config describes no 'model'"),
        ({"config": {"model": NET, "module": {}}}, "its config describes no 'module'"),
        (
            {"config": {"model": {**NET, "color": 1}, "module": MODULE}},
            "cannot be built: TypeError: .*color",
        ),
        ({"config": {"model": {"_target_": "gone.Net"}, "module": MODULE}}, r"allow_targets=\[gone\]"),
        ({}, "cannot be built: .* needs "),  # what the facts would give
    ],
)
def test_a_foreign_checkpoint_is_refused(change: dict[str, Any], text: str) -> None:
    if "color" in text:
        change["facts"] = {"num_classes": 2, "image_size": 8}
    with pytest.raises(CheckpointError, match=text):
        assembly.rebuild({**BASE, **change}, "it.ckpt")
