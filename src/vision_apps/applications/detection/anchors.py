"""Reference boxes on the cells of feature maps."""

from collections.abc import Sequence

import torch
from torch import Tensor


def centres(shape: tuple[int, int], stride: int, device: torch.device | None = None) -> Tensor:
    """Centres x, y in pixels of a map's cells, row by row: float32 [h * w, 2] for ``shape`` = (h, w)."""
    ys, xs = (stride * (torch.arange(n, device=device, dtype=torch.float32) + 0.5) for n in shape)
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1).reshape(-1, 2)


def shapes(scales: Sequence[float], aspects: Sequence[float]) -> Tensor:
    """Width and height of every scale in every aspect (height / width) at equal area: float32 [s * a, 2]."""
    root = torch.tensor(aspects, dtype=torch.float32).sqrt()
    forms = torch.stack([1 / root, root], dim=-1)
    return (torch.tensor(scales, dtype=torch.float32)[:, None, None] * forms).reshape(-1, 2)


def anchors(
    shape: tuple[int, int],
    stride: int,
    scales: Sequence[float],
    aspects: Sequence[float],
    device: torch.device | None = None,
) -> Tensor:
    """Anchors of one level, those of a cell together: float32 [h * w * s * a, 4], also beyond the border.

    Args:
        scales: square roots of the areas, in strides.
        aspects: height / width.
    """
    middle = centres(shape, stride, device)[:, None]
    half = stride * shapes(scales, aspects).to(middle.device)[None] / 2
    return torch.cat([middle - half, middle + half], dim=-1).reshape(-1, 4)
