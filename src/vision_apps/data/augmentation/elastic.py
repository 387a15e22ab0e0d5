"""Smooth random deformations of whole batches, for pictures of tissue and cells."""

import torch
import torch.nn.functional as F

from vision_apps.core.augmentation import Augmentation
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.spatial import MASKS, AnyBatch, grid_of, refuse_companions, sample


class Elastic(Augmentation):
    """Displace pixels by a smooth random field (Ronneberger et al. 2015, section 3.1): Gaussian displacements
    on a coarse grid, bicubic in between. Images are bilinear, ``masks`` take the nearest pixel; past the
    border both are mirrored. A deformed box is no box: such data is refused.

    Args:
        sigma: standard deviation of the displacements, pixels.
        grid: displacement vectors along each side.
        p: probability per picture.
    """

    def __init__(self, sigma: float = 10.0, grid: int = 3, p: float = 1.0) -> None:
        if grid < 2:
            raise ConfigError(f"data.augment: Elastic's grid is {grid}; expected 2 vectors a side or more")
        self.sigma = sigma
        self.grid = grid
        self.p = p

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        reason = "after a deformation a box is no longer the smallest around its object; use RandomZoom"
        refuse_companions(batch, self, reason, but=(MASKS,))
        images = batch.images
        B, _, H, W = images.shape
        coarse = self.sigma * torch.randn(B, 2, self.grid, self.grid)
        coarse = coarse * (torch.rand(B, 1, 1, 1) < self.p)
        units = coarse.to(images.device) * 2 / torch.tensor([W, H], device=images.device).view(2, 1, 1)
        smooth = F.interpolate(units, size=(H, W), mode="bicubic", align_corners=True)
        grid = grid_of(images, torch.eye(2, 3).repeat(B, 1, 1), H, W) + smooth.movedim(1, -1)
        fields = {"images": sample(images, grid, "reflection")}
        masks = getattr(batch, MASKS, None)
        if masks is not None:
            fields[MASKS] = sample(masks, grid, "reflection", mode="nearest")
        return batch._replace(**fields)
