"""From the pixels of pictures to what a network expects."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PixelNormalization(nn.Module):
    """Pixels 0..255 of any type to (pixels / 255 - mean) / std, in the type that the module has.

    Args:
        network: its own ``mean`` and ``std``, or those of its ``backbone``, go before the data's.
        mean, std: of the data, 3 floats in [0, 1] units.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        parts = (network, getattr(network, "backbone", None))
        for name, of_data in (("mean", mean), ("std", std)):
            own = (getattr(part, name, None) for part in parts)
            values = next((value for value in own if value is not None), of_data)
            # persistent: learned weights mean nothing under another normalisation
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32).reshape(-1, 1, 1).clone())

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W], 0..255 -> [B, 3, H, W]."""
        dtype = self.mean.dtype
        # one pass over the pixels where the formula as written takes three
        return torch.addcmul(-self.mean / self.std, images.to(dtype), 1 / (255 * self.std))
