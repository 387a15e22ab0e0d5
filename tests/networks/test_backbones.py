"""Backbones: what they promise about their maps is what comes out."""

import pytest
import torch

from vision_apps.core.errors import ConfigError, RunError
from vision_apps.networks.backbones import Small, Timm


@pytest.mark.parametrize("backbone", [Small(16, 3), Small(64), Timm("resnet10t", None, (2, 3))])
@pytest.mark.parametrize("size", [(64, 96), (37, 50)])
def test_channels_and_strides_are_true(backbone: torch.nn.Module, size: tuple[int, int]) -> None:
    maps = backbone.eval()(torch.randn(2, 3, *size))
    assert [m.shape[1] for m in maps] == backbone.channels
    expected = [[-(-side // stride) for side in size] for stride in backbone.strides]
    assert [list(m.shape[2:]) for m in maps] == expected


def test_the_finest_comes_first() -> None:
    assert Small(16, 3).strides == [8, 16, 32]
    assert Timm("resnet10t", None, (1, 3)).strides == [4, 16]


def test_what_timm_has_not_is_told() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.name: resnet19 is not a network of timm .*; did you"):
        Timm("resnet19")
    with pytest.raises(ConfigError, match=r"model\.backbone\.weights: a9 is not a set .* of resnet18; did"):
        Timm("resnet18", "a9")
    with pytest.raises(RunError, match=r"timm cannot make resnet10t with levels \[9\] .*Choose others"):
        Timm("resnet10t", None, [9])


def test_weights_that_cannot_be_had_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **rest: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("timm.create_model", refuse)
    with pytest.raises(RunError, match=r"no route to host.*model\.backbone\.weights=null"):
        Timm("resnet18", "DEFAULT")
