"""Smooth random deformations of whole batches, for pictures of tissue and cells."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core import draws
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.spatial import grid_of, sample_all


@dataclass
class Elastic(BatchTransform):
    """Displace pixels by a smooth random field (Ronneberger et al. 2015, section 3.1): Gaussian displacements
    on a coarse grid, bicubic in between. Images are bilinear, masks take the nearest pixel; past the
    border both are mirrored. A deformed box is no box: such data is refused.

    Args:
        sigma: standard deviation of the displacements, pixels.
        grid: displacement vectors along each side.
        p: probability per picture.
    """

    effects = Effect.DEFORMS | Effect.BLENDS | Effect.REPEATS
    sigma: float = 10.0
    grid: int = 3
    p: float = 1.0

    def __post_init__(self) -> None:
        if self.grid < 2:
            raise ConfigError(
                f"data.augment: Elastic's grid is {self.grid}; expected 2 vectors a side or more"
            )

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        coarse = self.sigma * draws.normal(B, 2, self.grid, self.grid)
        coarse = coarse * (draws.uniform(B, 1, 1, 1) < self.p)
        units = coarse.to(parts.device) * 2 / torch.tensor([W, H], device=parts.device).view(2, 1, 1)
        smooth = F.interpolate(units, size=(H, W), mode="bicubic", align_corners=True)
        still = grid_of(torch.eye(2, 3, device=parts.device).repeat(B, 1, 1), H, W)
        return sample_all(parts, still + smooth.movedim(1, -1), "reflection")
