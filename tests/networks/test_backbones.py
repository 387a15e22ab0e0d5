"""Backbones: what they promise about their maps is what comes out."""

import pytest
import torch

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
