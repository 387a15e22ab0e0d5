"""What a network of this folder is given, whether a picture has one class or several."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.core.explaining import Explained
from vision_apps.core.fields import ImageInputs
from vision_apps.data.resizing import resize_and_center_crop
from vision_apps.networks.auxiliary import Logits, main_logits, require_classes
from vision_apps.networks.pixels import PixelNormalization

WHITENED = 5000  # training images that a network's first layer is measured on: patches by the million


class SquareInput:
    """The part of a `VisionModule` between pictures and logits.

    A network may carry what it expects of its input in attributes ``image_size`` (pixels), ``mean`` and
    ``std``: they go before the data's.
    """

    network: nn.Module
    num_classes: int
    training: bool
    normalize: PixelNormalization

    def take_squares(
        self,
        image_size: int,
        resize: int | None,
        mean: Sequence[float],
        std: Sequence[float],
        flip_test: bool,
    ) -> None:
        """What the constructor was told, see `Classification`."""
        self.flip_test = flip_test
        self.fitted = (image_size, resize)
        self.image_size: int = getattr(self.network, "image_size", None) or image_size
        self.normalize = PixelNormalization(self.network, mean, std)

    @property
    def note(self) -> str:
        """On ``images``, for a model card."""
        image_size, resize = self.fitted
        return (
            "sRGB, 0 to 255: red, green, blue; not normalised. Of a photo with its short side "
            f"scaled to {resize or image_size} px (bilinear, antialiased) the middle {image_size} x "
            f"{image_size}"
        )

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> ImageInputs:
        """Scaled and cut as the data's files are."""
        assert images is not None
        return ImageInputs(resize_and_center_crop(images, *self.fitted))

    def outputs(self, inputs: ImageInputs) -> Logits:
        """Logits [B, K]."""
        pixels = self._pixels(inputs.images)
        outputs: Logits = self.network(pixels)
        require_classes(self.network, outputs, self.num_classes)
        if self.flip_test and not self.training:
            outputs = (outputs + self.network(pixels.flip(-1))) / 2
        return outputs

    def _pixels(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, H, W] -> [B, 3, S, S], S = ``image_size``: the middle square, resized, normalised."""
        size = self.image_size
        height, width = images.shape[-2:]
        # an exported graph takes any size, so it resizes always; to the same size that changes nothing
        if torch.compiler.is_exporting() or (height, width) != (size, size):
            side = torch.sym_min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            square = images[..., top : top + side, left : left + side].to(self.normalize.mean.dtype)
            images = F.interpolate(square, (size, size), mode="bilinear", antialias=True)
        pixels: Tensor = self.normalize(images)
        return pixels

    def explained(self, inputs: ImageInputs) -> Explained:
        """Of the most likely class, of the picture as it is."""
        logits = main_logits(self.network(self._pixels(inputs.images)))
        return Explained(logits.float().amax(1))

    @property
    def prepare_samples(self) -> int:
        return WHITENED if hasattr(self.network, "prepare") else 0

    def prepare(self, batch: Any) -> None:
        cast(Any, self.network).prepare(self._pixels(batch.images))

    def some_images(self, generator: torch.Generator) -> Tensor:
        """Two pictures of noise, uint8 [2, 3, S, S]."""
        shape = (2, 3, self.image_size, self.image_size)
        return torch.randint(256, shape, generator=generator, dtype=torch.uint8)
