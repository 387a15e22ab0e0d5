"""The residual U-Net: sizes, and what each part of it is for."""

import pytest
import torch

from vision_apps.applications.segmentation.resunet import ResUNet
from vision_apps.core.errors import ConfigError


@pytest.mark.parametrize(("size", "stem"), [((64, 96), 2), ((37, 53), 2), ((33, 20), 1), ((1, 1), 2)])
def test_any_size(size: tuple[int, int], stem: int) -> None:
    network = ResUNet(5, width=4, depth=3, stem=stem).eval()
    expected = [-(-side // stem) for side in size]
    assert list(network(torch.randn(2, 3, *size)).shape) == [2, 5, *expected]


def test_parameters_of_the_configuration() -> None:
    assert sum(p.numel() for p in ResUNet(11).parameters()) == 2_897_411


def test_channels_double_up_to_a_limit() -> None:
    network = ResUNet(2, width=4, depth=4, most=4)
    assert [block.first.out_channels for block in network.down] == [4, 8, 16, 16, 16]


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"model\.stem: 0; expected at least 1"):
        ResUNet(2, stem=0)
