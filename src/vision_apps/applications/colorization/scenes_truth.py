"""What the best possible colorizer answers and loses on the generated world, exactly, pixel by pixel.

A pixel's row in `scenes.colors.palette` says which colours it can have, and how likely, given the grey
picture. It holds for a viewer who recognises what the pixel shows. Where a picture hides that (an object
behind another), nobody can do better than these figures, and the best may do worse.
"""

from functools import lru_cache

import torch
from torch import Tensor

from vision_apps.applications.colorization.ab_bins import soft_encode
from vision_apps.applications.colorization.lab import rgb_to_ab
from vision_apps.data.scenes.colors import palette


def expected_ab(materials: Tensor) -> Tensor:
    """The mean ab given the grey picture, which is the best answer under L2: float32 [..., 2, H, W].

    Args:
        materials: int [..., H, W], rows of the palette; a strided map is exact too, never interpolate one.
    """
    return _mean_ab(materials.device)[materials.long()].movedim(-1, -3)


def floor(materials: Tensor, neighbours: int = 5, bins: int = 313) -> Tensor:
    """The least cross-entropy with soft-encoded targets, in nat: float32 [..., H, W].

    The expected target minimises the expected cross-entropy, and what is left is its entropy.

    Args:
        materials: int [..., H, W], rows of the palette.
        neighbours, bins: of the soft encoding that the loss uses.
    """
    return _entropy(neighbours, bins, materials.device)[materials.long()]


def _palette_ab() -> Tensor:
    """float32 [1, 2, M, C]"""
    return rgb_to_ab(palette().colors.permute(2, 0, 1)[None])


@lru_cache(maxsize=8)
def _mean_ab(device: torch.device) -> Tensor:
    return torch.einsum("mc,zamc->ma", palette().probabilities, _palette_ab()).to(device)


@lru_cache(maxsize=8)
def _entropy(neighbours: int, bins: int, device: torch.device) -> Tensor:
    indices, weights = soft_encode(_palette_ab(), neighbours, bins)  # [1, K, M, C]
    probabilities = palette().probabilities
    mass = (weights[0] * probabilities).permute(1, 0, 2).flatten(1).double()
    target = torch.zeros(len(probabilities), bins, dtype=torch.float64)
    target.scatter_add_(1, indices[0].permute(1, 0, 2).flatten(1), mass)
    return torch.special.entr(target).sum(1).float().to(device)
