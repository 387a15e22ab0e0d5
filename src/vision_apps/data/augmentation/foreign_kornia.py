"""Transforms of kornia.augmentation as augmentations: those of colours for any batch, those that move pixels
where nothing lies over the pictures. kornia is no dependency: ``pip install kornia``."""

import torch
from kornia.augmentation import GeometricAugmentationBase2D, IntensityAugmentationBase2D
from torch import Tensor, nn

from vision_apps.core import draws
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts

_MOVES = Effect.TURNS | Effect.BLENDS | Effect.OUTSIDE | Effect.ALONE
_COVER = ("RandomErasing", "RandomTransplantation")  # parts are painted over
_NOT_OURS = ("Normalize", "Denormalize", "RandomDissolving")  # the last one downloads a diffusion model


class Kornia(BatchTransform):
    """A two-dimensional transform of kornia.augmentation, given one picture at a time as float in [0, 1].

    Args:
        transform: of colours, or one that moves pixels, which masks and boxes do not follow.

    Raises:
        ConfigError: any other, or a batch that has a field which would no longer be true.
    """

    def __init__(self, transform: object) -> None:
        self.name = type(transform).__name__
        colors = isinstance(transform, IntensityAugmentationBase2D) and self.name not in _NOT_OURS
        if not isinstance(transform, nn.Module) or not (
            colors or isinstance(transform, GeometricAugmentationBase2D)
        ):
            raise ConfigError(
                f"data.augment: {self.name} is no augmentation of batches: of kornia, two-dimensional "
                "transforms of one picture are, such as kornia.augmentation.RandomMotionBlur; see also "
                "vision_apps.data.augmentation"
            )
        self.transform = transform
        self.effects = (Effect.COVERS if self.name in _COVER else Effect.COLORS) if colors else _MOVES

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, _, _ = parts.size
        made: dict[str, list[Tensor]] = {name: [] for name in parts.pictures}
        with draws.apart(B, parts.device) as seed:
            for index in range(B):
                for name, picture in parts.pictures.items():
                    seed(index)  # several pictures of one sample are changed alike
                    found = self.transform(picture[index : index + 1].float() / 255)
                    made[name].append((found.clamp(0, 1) * 255).round().to(picture.dtype))
        for name, values in made.items():
            if len({value.shape for value in values}) > 1 or values[0].shape[1] != 3:
                shapes = sorted({tuple(value.shape[1:]) for value in values})
                raise ConfigError(
                    f"data.augment: {self.name} does not fit {name!r}: it makes pictures of {shapes[0]}"
                    f"{f' and {shapes[-1]}' if len(shapes) > 1 else ''}; expected one size and 3 channels"
                )
        return {name: torch.cat(values) for name, values in made.items()}
