"""Feature maps that see each other: top-down as in Lin et al., "Feature pyramid networks", arXiv:1612.03144,
2017, then bottom-up as in Liu et al., "Path aggregation network", arXiv:1803.01534, 2018, section 3.1."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Module:
    """Convolution, batch norm, SiLU."""
    return Conv2dNormActivation(inputs, outputs, size, stride, activation_layer=nn.SiLU)


class PathAggregation(nn.Module):
    """Maps of any channels and falling size to as many maps of ``width`` channels.

    Args:
        channels: of the maps that come in, finest first.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(convolution(inputs, width, 1) for inputs in channels)
        self.down = nn.ModuleList(convolution(width, width) for _ in channels[1:])
        self.up = nn.ModuleList(convolution(width, width, stride=2) for _ in channels[1:])
        self.merge = nn.ModuleList(convolution(width, width) for _ in channels[1:])

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [lateral(found) for lateral, found in zip(self.lateral, maps, strict=True)]
        for level in reversed(range(len(maps) - 1)):
            coarser = F.interpolate(maps[level + 1], size=maps[level].shape[-2:], mode="nearest")
            maps[level] = self.down[level](maps[level] + coarser)
        for level, coarse in pairwise(range(len(maps))):
            finer = self.up[level](maps[level])
            # an odd finer map gives the rounded-up half, which a backbone need not
            if finer.shape[-2:] != maps[coarse].shape[-2:]:
                finer = F.interpolate(finer, size=maps[coarse].shape[-2:], mode="nearest")
            maps[coarse] = self.merge[level](maps[coarse] + finer)
        return maps
