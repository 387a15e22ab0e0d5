"""A residual U-Net for large photographs on small machines.

Zhang, Liu, Wang, "Road extraction by deep residual U-Net", IEEE GRSL 2018: the U-Net's levels of residual
blocks. Here the first layer halves the resolution and the last one brings it back by interpolation, which
costs a quarter of the work for the same widths.
"""

import itertools

from torch import Tensor, cat, nn
from torch.nn.functional import interpolate, max_pool2d

from vision_apps.core.errors import ConfigError


class _Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm, added to their input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first_norm(self.first(x)).relu_()
        summed: Tensor = self.second_norm(self.second(inner)) + self.shortcut(x)
        return summed.relu_()


class ResUNet(nn.Module):
    """A U-Net of residual blocks (Zhang et al. 2018), for pictures of any size; the deepest level is coarser
    by ``stem * 2**depth``.

    Args:
        width: channels of the finest level; each coarser one has twice as many.
        most: at most so many times ``width``.
        depth: how many times the resolution is halved after the first layer.
        stem: stride of the first layer: 1 keeps the full resolution.
        dropout: of whole channels, before the last layer.
    """

    def __init__(
        self,
        num_classes: int,
        width: int = 24,
        depth: int = 4,
        most: int = 8,
        stem: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value in (("width", width), ("depth", depth), ("most", most), ("stem", stem)):
            if value < 1:
                raise ConfigError(f"model.{name}: {value}; expected at least 1")
        channels = [width * min(most, 2**level) for level in range(depth + 1)]
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stem, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.down = nn.ModuleList(_Block(a, b) for a, b in zip([width, *channels], channels, strict=False))
        coarse_to_fine = list(reversed(channels))
        self.up = nn.ModuleList(_Block(a + b, b) for a, b in itertools.pairwise(coarse_to_fine))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K, H / stem, W / stem], rounded up."""
        x, passed = self.stem(pixels), []
        for level, block in enumerate(self.down):
            # rounded up, so that no picture is too small
            x = block(max_pool2d(x, 2, ceil_mode=True) if level else x)
            passed.append(x)
        passed.pop()
        for block in self.up:
            beside = passed.pop()
            x = block(cat((interpolate(x, size=beside.shape[-2:], mode="bilinear"), beside), dim=1))
        return self.head(self.dropout(x))
