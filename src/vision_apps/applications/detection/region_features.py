"""What a region detector sees of a region: a warped piece of the picture, or a piece of shared features.

A region is a row of [N, 5]: number of the picture in the batch, x1, y1, x2, y2 in pixels.
"""

import math

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from vision_apps.core.errors import ConfigError

CANONICAL = 14.0  # a box that is so many strides wide belongs to a level: 224 pixels at stride 16


class Crops(nn.Module):
    """Each region cut from the picture and warped to a square, whatever its aspect, with some context around
    it (Girshick et al. 2014, section 2.1 and appendix A). Beyond the picture is the data's mean colour.

    The default context is the paper's: 16 pixels of 227 on each side.

    Args:
        size: side of the square, pixels.
        context: how many times the region's sides are those of what is cut.
        sampling: points per pixel and axis that are averaged; 0 takes as many as the picture has there.
    """

    def __init__(self, size: int = 32, context: float = 227 / 195, sampling: int = 2) -> None:
        super().__init__()
        if context < 1:
            raise ConfigError(f"model.regions.context: {context}, expected at least 1, the region itself")
        self.size, self.context, self.sampling = size, context, sampling

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] and regions [N, 5] -> float32 [N, 3, size, size]."""
        centre = (regions[:, 1:3] + regions[:, 3:]) / 2
        half = (regions[:, 3:] - regions[:, 1:3]) * (self.context / 2)
        wider = torch.cat([regions[:, :1], centre - half, centre + half], dim=1)
        return roi_align(pixels.float(), wider, self.size, 1.0, self.sampling, aligned=True)


class Pooled(nn.Module):
    """Each region of the feature maps brought to a grid of equal size.

    Of several levels each region takes one, by its size (Lin et al. 2017, equation 1).

    Args:
        size: cells of the grid along each side.
        pool: ``pool`` is RoIPool, the maximum in cells of whole features (Girshick 2015, section 2.1);
            ``align`` is RoIAlign, which interpolates and rounds nothing (He et al. 2017, section 3).
        sampling: points per cell and axis of ``align``.
    """

    def __init__(self, size: int = 7, pool: str = "align", sampling: int = 2) -> None:
        super().__init__()
        if pool not in ("align", "pool"):
            raise ConfigError(f"model.regions.pool: {pool!r}, expected align or pool")
        self.size, self.pool, self.sampling = size, pool, sampling

    def forward(self, maps: list[Tensor], strides: list[int], regions: Tensor) -> Tensor:
        """Maps [B, C, h, w] and regions [N, 5] -> float32 [N, C, size, size]."""
        levels = self._levels(regions, strides)
        parts, order = [], []
        for number, (features, stride) in enumerate(zip(maps, strides, strict=True)):
            rows = (levels == number).nonzero().flatten()
            features, own, scale = features.float(), regions[rows], 1 / stride
            if self.pool == "pool":
                parts.append(roi_pool(features, own, self.size, scale))
            else:
                parts.append(roi_align(features, own, self.size, scale, self.sampling, aligned=True))
            order.append(rows)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def _levels(self, regions: Tensor, strides: list[int]) -> Tensor:
        if len(strides) == 1:
            return torch.zeros(len(regions), dtype=torch.int64, device=regions.device)
        sides = (regions[:, 3:] - regions[:, 1:3]).prod(dim=1).clamp(min=1).sqrt()
        doublings = (sides / (CANONICAL * strides[0])).log2().floor()
        top = math.log2(strides[-1] / strides[0])
        return doublings.clamp(0, min(top, len(strides) - 1)).long()


def as_rows(boxes: list[Tensor]) -> Tensor:
    """Boxes [n, 4] of each picture -> regions [N, 5]."""
    return torch.cat([torch.cat([b.new_full((len(b), 1), i), b], dim=1) for i, b in enumerate(boxes)])
