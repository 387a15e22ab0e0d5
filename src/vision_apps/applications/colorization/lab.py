"""8-bit sRGB to CIE Lab (D65, 2 degrees) and back, on whole batches.

L is in 0..100; a and b lie in -86.2..98.2 and -107.9..94.5 for every sRGB colour. Both ways agree with
scikit-image.

The 3x3 products are spelled out element by element on purpose: a matrix product would be rounded to bfloat16
under autocast and to TensorFloat-32 on recent GPUs, and Lab differences of 1e-2 are visible in the soft
targets.
"""

from functools import lru_cache

import torch
from torch import Tensor

# Linear sRGB to XYZ (ITU-R BT.709 primaries, Poynton, "Frequently asked questions about color", 1997,
# question 18).
XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)
# Below the knee the cube root is continued by its tangent. These are the rounded constants of CIE 1976, which
# scikit-image and with it the authors' targets are made with; the exact (6/29)^3 and 841/108 change dark
# colours by 2e-4.
_KNEE = 0.008856
_SLOPE = 7.787


_RGB_FROM_XYZ = torch.linalg.inv(torch.tensor(XYZ_FROM_RGB, dtype=torch.float64)).tolist()
# Linear light in [0, 1] of the 256 sRGB values (IEC 61966-2-1)
_LINEAR_LIGHT = torch.tensor(
    [((v / 255 + 0.055) / 1.055) ** 2.4 if v / 255 > 0.04045 else v / 255 / 12.92 for v in range(256)]
)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # else a table that validation made could not serve training
def _linear_light_on(device: torch.device) -> Tensor:
    return _LINEAR_LIGHT.to(device)


def _linear_rgb(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f"expected uint8 [B, 3, H, W], got {images.dtype} {list(images.shape)}")
    exporting = torch.compiler.is_exporting()  # its stand-in tensors must not stay in the cache
    table = _LINEAR_LIGHT.to(images.device) if exporting else _linear_light_on(images.device)
    # index_select with 32-bit indices: a fifth of the time of table[images]
    linear = table.index_select(0, images.int().flatten()).view(images.shape)
    red, green, blue = linear.unbind(1)
    return red, green, blue


def _weighted(weights: tuple[float, ...] | list[float], x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return (x * weights[0]).add_(y, alpha=weights[1]).add_(z, alpha=weights[2])


def _compress(ratio: Tensor) -> Tensor:
    """CIE f(t): the cube root, linear near black. ``ratio`` >= 0."""
    return torch.where(ratio > _KNEE, ratio.pow(1 / 3), ratio * _SLOPE + 16 / 116)


def rgb_to_lightness(images: Tensor) -> Tensor:
    """L in 0..100, float32 [B, 1, H, W], of uint8 sRGB [B, 3, H, W]."""
    luminance = _weighted(XYZ_FROM_RGB[1], *_linear_rgb(images))
    return _compress(luminance).mul_(116).sub_(16).unsqueeze(1)


def rgb_to_lab(images: Tensor) -> Tensor:
    """Lab, float32 [B, 3, H, W], of uint8 sRGB [B, 3, H, W]."""
    linear = _linear_rgb(images)
    x, y, z = (
        _compress(_weighted([weight / white for weight in row], *linear))
        for row, white in zip(XYZ_FROM_RGB, WHITE, strict=True)
    )
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def rgb_to_ab(images: Tensor, stride: int = 1) -> Tensor:
    """ab, float32 [B, 2, ceil(H / stride), ceil(W / stride)], of uint8 sRGB [B, 3, H, W].

    A ``stride`` takes every stride-th pixel, as the authors' label pipeline does, and converts only those.
    """
    return rgb_to_lab(images[:, :, ::stride, ::stride])[:, 1:]


def lab_to_srgb(lab: Tensor) -> Tensor:
    """sRGB in [0, 1], float32 [B, 3, H, W], of Lab [B, 3, H, W]; colours outside the gamut are clipped."""
    lightness, a, b = lab.float().unbind(1)
    y = (lightness + 16) / 116
    z = (y - b / 200).clamp_min(0)  # as scikit-image does for colours bluer than any light
    xyz = [_expand(f) * white for f, white in zip((y + a / 500, y, z), WHITE, strict=True)]
    linear = torch.stack([_weighted(row, *xyz) for row in _RGB_FROM_XYZ], dim=1).clamp_(0, 1)
    # both branches are finite on [0, 1], so that where() needs no guard
    return torch.where(linear > 0.0031308, linear.pow(1 / 2.4).mul(1.055).sub(0.055), linear * 12.92)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """uint8 sRGB [B, 3, H, W] of Lab [B, 3, H, W]: :func:`lab_to_srgb`, rounded."""
    return lab_to_srgb(lab).mul(255).round_().to(torch.uint8)


def _expand(f: Tensor) -> Tensor:
    """Inverse of :func:`_compress`."""
    return torch.where(f > _KNEE ** (1 / 3), f**3, (f - 16 / 116) / _SLOPE)
