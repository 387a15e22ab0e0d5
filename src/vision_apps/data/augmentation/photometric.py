"""Photometric distortion of whole batches: Liu et al. 2016, section 2.2, after Howard 2013."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from vision_apps.core import draws
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts


def shift_hue(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue and keep HSV's saturation and value.

    Args:
        pixels: float [B, 3, H, W], RGB of any range.
        turns: float [B], 1 is once around.
    """
    value, low = pixels.amax(1), pixels.amin(1)
    chroma = value - low
    red, green, blue = pixels.unbind(1)
    sector = torch.where(
        value == red,
        (green - blue) / chroma,
        torch.where(value == green, (blue - red) / chroma + 2, (red - green) / chroma + 4),
    )
    sector = torch.where(chroma > 0, sector, 0.0) + 6 * turns.view(-1, 1, 1)
    # a channel falls from the value to the lowest and back, each one a third of the circle apart
    at = (sector[:, None] + torch.tensor([5.0, 3.0, 1.0], device=pixels.device).view(1, 3, 1, 1)) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(at, 4 - at).clamp(0, 1)


@dataclass
class Photometric(BatchTransform):
    """Brightness, contrast, saturation and hue, each with probability ``p`` per picture; contrast before or
    after the last two, as often one as the other.

    Masks and boxes stay true; other truths per pixel may depend on colour and are refused.

    Args:
        brightness: largest change to either side, as a share of the range.
        contrast: the factor is 1 - x to 1 + x, around the picture's mean grey.
        saturation: the factor is 1 - x to 1 + x, around each pixel's grey.
        hue: largest turn to either side, 0.5 is half around (18 degrees: 0.05).
        p: probability of each change.
    """

    effects = Effect.COLORS
    brightness: float = 0.125
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.05
    p: float = 0.5

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, _, _ = parts.size
        widths = (self.brightness, self.contrast, self.saturation, self.hue)
        bright, contrast, saturation, hue = (self._drawn(B, width) for width in widths)
        early = draws.uniform(B) < 0.5
        return {
            name: _distorted(picture, bright, contrast, saturation, hue, early)
            for name, picture in parts.pictures.items()
        }

    def _drawn(self, count: int, width: float) -> Tensor:
        """By how much each picture changes, 0 where it does not: float32 [count]."""
        change = draws.uniform(count, low=-width, high=width)
        return change * (draws.uniform(count) < self.p)


def _distorted(
    images: Tensor, bright: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor, early: Tensor
) -> Tensor:
    pixels = images.float()
    pixels = (pixels + 255 * on(pixels, bright)).clamp_(0, 255)
    pixels = _contrast(pixels, on(pixels, contrast * early))
    pixels = _saturation(pixels, on(pixels, saturation))
    turned = hue.nonzero().squeeze(1)  # on the CPU: the device is not waited for
    if len(turned):
        here = turned.to(images.device)
        pixels[here] = shift_hue(pixels[here], hue[turned].to(images.device))
    pixels = _contrast(pixels, on(pixels, contrast * ~early))
    return pixels.round().to(images.dtype)


def on(pixels: Tensor, change: Tensor) -> Tensor:
    """[B] -> [B, 1, 1, 1] on the device of the pixels."""
    return change.to(pixels.device).view(-1, 1, 1, 1)


def _contrast(pixels: Tensor, change: Tensor) -> Tensor:
    mean = v2.rgb_to_grayscale(pixels).mean(dim=(1, 2, 3), keepdim=True)
    return torch.addcmul(pixels, pixels - mean, change).clamp_(0, 255)


def _saturation(pixels: Tensor, change: Tensor) -> Tensor:
    return torch.addcmul(pixels, pixels - v2.rgb_to_grayscale(pixels), change).clamp_(0, 255)
