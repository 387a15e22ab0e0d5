"""Objects from nodes, and what no node may name."""

import functools

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from vision_apps.core.config import targets
from vision_apps.core.config.instantiate import build
from vision_apps.core.errors import ConfigError


def test_nested_nodes_lists_and_interpolations() -> None:
    config = OmegaConf.create(
        {
            "width": 3,
            "net": {
                "_target_": "torch.nn.Sequential",
                "_args_": [
                    {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": "${width}"},
                    {"_target_": "torch.nn.ReLU"},
                ],
            },
        }
    )
    net = build(config.net)
    assert isinstance(net, nn.Sequential)
    assert net(torch.zeros(1, 2)).shape == (1, 3)


def test_plain_data_stays_plain() -> None:
    built = build(OmegaConf.create({"a": [1, {"b": None}], "c": "text"}))
    assert built == {"a": [1, {"b": None}], "c": "text"}
    assert type(built) is dict
    assert type(built["a"]) is list


def test_partial_takes_the_rest_later() -> None:
    optimizer = build({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.5})
    assert isinstance(optimizer, functools.partial)
    assert optimizer([nn.Parameter(torch.zeros(1))]).defaults["lr"] == 0.5


def test_what_is_given_is_passed_itself_and_wins() -> None:
    linear = build({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, out_features=5)
    assert linear.out_features == 5
    first = nn.Linear(1, 1)
    assert build({"_target_": "torch.nn.ModuleList"}, modules=[first])[0] is first


def test_given_without_a_target_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="lr given, but the node has no _target_"):
        build({"weight": 1}, lr=1)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        build({"_target_": "torch.nn.Conv2d", "_args_": [3], "stride": 2})
    assert str(error.value) == (
        "Conv2d needs out_channels, kernel_size: not in the configuration, and not among the facts of the "
        "data"
    )


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (
            {"_target_": "torchvision.transforms.v2.GaussianBlur", "kernel_size": 4},
            "torchvision.transforms.v2.GaussianBlur with kernel_size=4: Kernel size value should be an odd",
        ),
        (
            {
                "_target_": "kornia.augmentation.RandomMotionBlur",
                "kernel_size": 4,
                "angle": 3.0,
                "direction": 1.0,
            },
            "kornia.augmentation.RandomMotionBlur with kernel_size=4, angle=3.0, direction=1.0: `kernel",
        ),
        (
            {"_target_": "torch.nn.Dropout", "p": 2},
            "torch.nn.Dropout with p=2: dropout probability has to be",
        ),
        (
            {"_target_": "timm.create_model", "model_name": "resnet_of_mine"},
            "timm.create_model with model_name=resnet_of_mine: Unknown model",
        ),
    ],
)
def test_what_another_package_refuses_is_told_in_a_line(node: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(node)
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from vision_apps.data.augmentation import crops

    def broken(self: crops.Flip) -> None:
        raise ValueError("of ours")

    monkeypatch.setattr(crops.Flip, "__post_init__", broken)
    with pytest.raises(ValueError, match="of ours"):
        build({"_target_": "vision_apps.data.augmentation.crops.Flip"})


@pytest.mark.parametrize(
    "target",
    [
        "torch.nn.Conv2d",
        "torch.optim.AdamW",
        "torch.optim.lr_scheduler.StepLR",
        "torchvision.models.resnet18",
        "torchvision.transforms.v2.RandomHorizontalFlip",
        "torchmetrics.classification.MulticlassAccuracy",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "pytorch_lightning.loggers.CSVLogger",
        "timm.create_model",
        "vision_apps.core.schedules.warmup_cosine",
        "vision_apps.core.picture_log.Pictures",
    ],
)
def test_parts_of_a_run_may_be_named(target: str) -> None:
    assert callable(targets.resolve(target))


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.hub.load",
        "torch.jit.load",
        "torch.utils.cpp_extension.load_inline",
        "torch.nn.Module.load_state_dict",
        "torch.nn.modules.module.os.system",
        "torch.serialization.pickle.loads",
        "torch.distributed.nn.api.remote_module.RemoteModule",
        "torchvision.datasets.CIFAR10",
        "torchvision.datasets.utils.download_and_extract_archive",
        "torchvision.models.get_weight",
        "pytorch_lightning.LightningModule.load_from_checkpoint",
        "pytorch_lightning.utilities.cloud_io.pl_load",
        "timm.models.load_checkpoint",
        "vision_apps.core.config.targets.allow",
        "vision_apps.core.engine.train",
        "vision_apps.core.engine.os.system",
        "vision_apps.core.engine.RunFolder",
        "vision_apps.cli.main",
    ],
)
def test_nothing_else_may_be_named(target: str) -> None:
    with pytest.raises(ConfigError):
        targets.resolve(target)


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "subprocess.Popen", "numpy.load", "evil.run"]
)
def test_other_packages_are_refused_before_they_are_imported(
    target: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    package = target.split(".")[0]
    with pytest.raises(ConfigError) as error:
        build({"_target_": target})
    assert str(error.value) == (
        f"{target} is not under vision_apps, torch, torchvision, torchmetrics, pytorch_lightning, timm, "
        f"kornia; if you trust it, add allow_targets=[{package}] to the command (or set "
        f"VISION_APPS_ALLOW={package})"
    )


def test_the_user_allows_a_package_but_not_what_it_imports(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_parts.py").write_text("from subprocess import Popen\ndef double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VISION_APPS_ALLOW", "")
    targets.allow(["my_parts"])
    assert build({"_target_": "my_parts.double", "x": 4}) == 8
    with pytest.raises(ConfigError, match=r"^my_parts\.Popen is not a part of a run"):
        targets.resolve("my_parts.Popen")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (None, "expected a dotted name like torch.optim.AdamW, got None"),
        ("AdamW", "expected a dotted name like torch.optim.AdamW, got 'AdamW'"),
        ("torch.optim.SGDD", "torch.optim has no 'SGDD'; did you mean 'SGD'?"),
        ("torch.optin.AdamW", "there is no module torch.optin; did you mean 'torch.optim'?"),
        ("torch.optim", "torch.optim is a module: add the name of a class or function in it"),
        ("torch._C.Foo", "torch._C.Foo is not a public name"),
    ],
)
def test_a_name_that_is_not_there(target: object, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        targets.resolve(target)
    assert str(error.value) == text
