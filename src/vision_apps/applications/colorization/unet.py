"""A small encoder and decoder with skips, for small pictures and machines without a GPU."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vision_apps.applications.colorization.network import (
    ColorFeatures,
    ColorNetwork,
    initialise,
    pad_to_multiple,
)


def _block(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Two 3x3 convolutions, each with norm and ReLU; the first is strided."""
    layers: list[nn.Module] = []
    for index, channels in enumerate((before, after)):
        layers.append(nn.Conv2d(channels, after, 3, stride if index == 0 else 1, padding=1))
        layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class ColorUNet(ColorNetwork):
    """After Ronneberger, Fischer, Brox 2015; it decides at a quarter of the resolution, as Zhang et al. 2016.

    Args:
        head: ``classes`` for a distribution over 313 bins, ``ab`` for L2 regression.
        channels: at half the resolution; 2, 4 and 4 times as many further down.
    """

    def __init__(self, head: Literal["classes", "ab"] = "classes", channels: int = 32) -> None:
        super().__init__()
        c = channels
        self.at_half = _block(1, c, stride=2)
        self.at_quarter = _block(c, 2 * c, stride=2)
        self.at_eighth = _block(2 * c, 4 * c, stride=2)
        self.at_sixteenth = _block(4 * c, 4 * c, stride=2)
        self.to_eighth = _block(4 * c + 4 * c, 4 * c)
        self.to_quarter = _block(4 * c + 2 * c, 4 * c)
        initialise(self)
        self.decide(head, 4 * c)

    def forward(self, lightness: Tensor) -> ColorFeatures:
        """L in 0..100, [B, 1, H, W]."""
        height, width = (-(-size // self.stride) for size in lightness.shape[-2:])
        half = self.at_half(pad_to_multiple(lightness).sub(50).div(25))
        quarter = self.at_quarter(half)
        eighth = self.at_eighth(quarter)
        x = self.to_eighth(torch.cat([_enlarge(self.at_sixteenth(eighth), eighth), eighth], dim=1))
        x = self.to_quarter(torch.cat([_enlarge(x, quarter), quarter], dim=1))
        return self.decided(x[..., :height, :width])


def _enlarge(maps: Tensor, like: Tensor) -> Tensor:
    return interpolate(maps, size=like.shape[-2:], mode="nearest")
