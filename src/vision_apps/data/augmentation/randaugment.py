"""Changes of colour with a strength per image, and RandAugment (Cubuk et al. 2020) built on them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as v2

from vision_apps.core import draws
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.spatial import warp

# Each takes images uint8 [B, 3, H, W] and a strength float32 [B], and returns images.
Change = Callable[[Tensor, Tensor], Tensor]


def blend(images: Tensor, towards: Tensor, factor: Tensor) -> Tensor:
    """``factor`` 1 keeps the images, 0 gives ``towards``, more than 1 goes the other way."""
    base = towards.float()
    mixed = base + (images.float() - base) * factor.view(-1, 1, 1, 1)
    return mixed.round().clamp(0, 255).to(torch.uint8)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, images.new_zeros(()), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, v2.rgb_to_grayscale(images, num_output_channels=3), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    grey = v2.rgb_to_grayscale(images).float().mean(dim=(1, 2, 3), keepdim=True)
    return blend(images, grey, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    return blend(images, v2.adjust_sharpness(images, 0.0), factor)  # 0.0: the smoothed images


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest ``bits`` (1 to 8) of every value."""
    step = 2 ** (8 - bits.round().long())
    return (images.long() & (256 - step).view(-1, 1, 1, 1)).to(torch.uint8)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values from ``threshold`` (0 to 256) on."""
    return torch.where(images >= threshold.view(-1, 1, 1, 1), 255 - images, images)


@dataclass
class ColorJitter(BatchTransform):
    """Brightness, then contrast, then saturation, each by a factor between 1 - x and 1 + x, drawn per image.

    Masks and boxes stay true; other truths per pixel may depend on colour and are refused.
    """

    effects = Effect.COLORS
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, _, _ = parts.size
        pictures = parts.pictures
        widths = (self.brightness, self.contrast, self.saturation)
        for change, width in zip((brightness, contrast, saturation), widths, strict=True):
            if width:
                factor = draws.uniform(B, low=max(0.0, 1 - width), high=1 + width).to(parts.device)
                pictures = {name: change(picture, factor) for name, picture in pictures.items()}
        return pictures


_BINS = 30  # the paper's scale of magnitudes: 0 to 30

# What a magnitude m in [0, 1] means, and whether its sign is drawn: the ranges of the paper's appendix.
COLORS: dict[str, tuple[Change, Callable[[Tensor, Tensor], Tensor]]] = {
    "brightness": (brightness, lambda m, sign: 1 + 0.9 * m * sign),
    "contrast": (contrast, lambda m, sign: 1 + 0.9 * m * sign),
    "saturation": (saturation, lambda m, sign: 1 + 0.9 * m * sign),
    "sharpness": (sharpness, lambda m, sign: 1 + 0.9 * m * sign),
    "posterize": (posterize, lambda m, sign: 8 - 4 * m),
    "solarize": (solarize, lambda m, sign: 255 * (1 - m)),
    "autocontrast": (lambda images, _: v2.autocontrast(images), lambda m, sign: m),
    "equalize": (lambda images, _: v2.equalize(images), lambda m, sign: m),
}
_MOVES = ("shear x", "shear y", "translate x", "translate y", "rotate")
_OPERATIONS = (*COLORS, *_MOVES, "identity")
_SHEAR = 0.3
_TRANSLATE = 150 / 331  # of the side: 150 pixels of the 331 that the paper's network takes
_ROTATE = math.radians(30)


@dataclass
class RandAugment(BatchTransform):
    """For each image ``num_ops`` of 14 operations, drawn evenly, all of one magnitude.

    Per operation, the images that drew it are changed together. The moves of an image are composed into one
    affine map and applied after its changes of colour, so it is resampled at most once. What comes in from
    outside is black.

    Args:
        magnitude: 0 to 30.
        magnitude_std: of a normal draw around it per image and operation (0.5 in timm's recipes).
    """

    effects = Effect.COLORS | Effect.TURNS | Effect.ALONE
    num_ops: int = 2
    magnitude: float = 9
    magnitude_std: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.magnitude <= _BINS:
            raise ConfigError(
                f"data.augment: RandAugment's magnitude is {self.magnitude}; expected 0 to {_BINS}"
            )

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        pictures = {name: picture.clone() for name, picture in parts.pictures.items()}
        maps = torch.eye(3).repeat(B, 1, 1)
        for _ in range(self.num_ops):
            drawn = draws.integers(0, len(_OPERATIONS), B)
            level = self.magnitude + self.magnitude_std * draws.normal(B)
            level = level.clamp(0, _BINS) / _BINS
            sign = draws.integers(0, 2, B) * 2.0 - 1
            for number, name in enumerate(_OPERATIONS):
                rows = (drawn == number).nonzero().squeeze(1)  # on the CPU: the device is not waited for
                if name == "identity" or not len(rows):
                    continue
                if name in COLORS:
                    change, strength = COLORS[name]
                    here = rows.to(parts.device)
                    by = strength(level[rows], sign[rows]).to(parts.device)
                    for images in pictures.values():
                        images[here] = change(images[here], by)
                else:
                    maps[rows] = maps[rows] @ move(name, level[rows] * sign[rows])
        moved = (maps != torch.eye(3)).flatten(1).any(1).nonzero().squeeze(1)
        if len(moved):
            here = moved.to(parts.device)
            for images in pictures.values():
                images[here] = warp(images[here], in_shape(maps[moved], H, W), H, W, "zeros")
        return pictures


def move(name: str, level: Tensor) -> Tensor:
    """The map from output to input of one geometric operation, in units of half a side around the centre.

    Args:
        level: float32 [B] in [-1, 1].

    Returns:
        float32 [B, 3, 3].
    """
    matrix = torch.eye(3).repeat(len(level), 1, 1)
    if name == "shear x":
        matrix[:, 0, 1] = _SHEAR * level
    elif name == "shear y":
        matrix[:, 1, 0] = _SHEAR * level
    elif name == "translate x":
        matrix[:, 0, 2] = 2 * _TRANSLATE * level
    elif name == "translate y":
        matrix[:, 1, 2] = 2 * _TRANSLATE * level
    else:
        angle = _ROTATE * level
        matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
        matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin(), angle.sin()
    return matrix


def in_shape(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps [B, 3, 3] made for square images as maps [B, 2, 3] that turn and shear alike in any others."""
    side = torch.tensor([width, height, 1.0]) / max(height, width)
    scaled = maps.clone()
    scaled[:, :2, :2] = maps[:, :2, :2] * side[None, None, :2] / side[None, :2, None]
    return scaled[:, :2]
