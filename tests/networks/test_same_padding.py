"""Padding in whole numbers gives what timm's own gives."""

import pytest
import timm
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from vision_apps.networks.same_padding import SameConv2d, in_whole_numbers


@pytest.mark.parametrize("kernel", [3, 5, 7, (3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_timm_s_to_the_last_bit(kernel: int | tuple[int, int], bias: bool) -> None:
    layer = Conv2dSame(4, 6, kernel, stride=2, groups=2, bias=bias)
    ours = SameConv2d(layer)
    assert dict(ours.named_parameters()) == dict(layer.named_parameters())
    for size in ((1, 1), (2, 3), (8, 9), (31, 32)):
        pixels = torch.randn(2, 4, *size)
        assert torch.equal(ours(pixels), layer(pixels)), size


def test_only_what_it_stands_for_is_replaced() -> None:
    kept = [
        Conv2dSame(4, 4, 3, stride=4),
        Conv2dSame(4, 4, 3, stride=2, dilation=2),
        Conv2dSame(4, 4, 2, stride=2),
    ]
    network = nn.Sequential(Conv2dSame(4, 4, 3, stride=2), nn.Sequential(*kept), nn.Conv2d(4, 4, 3, stride=2))
    in_whole_numbers(network)
    assert type(network[0]) is SameConv2d
    assert list(network[1]) == kept and type(network[2]) is nn.Conv2d


def test_a_state_fits_as_before() -> None:
    network = timm.create_model("tf_efficientnet_lite0")
    names = list(network.state_dict())
    in_whole_numbers(network)
    assert list(network.state_dict()) == names
    assert sum(type(layer) is SameConv2d for layer in network.modules()) == 5
