"""Augmentation of whole batches on their device, with a draw of its own for every image.

Each transform takes a batch (see ``spatial``) and returns one. Numbers are drawn from torch's global
generator on the CPU, whatever the batch's device, so that a GPU sees the same augmentation as the CPU and
never waits for a draw.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from vision_apps.core.errors import ConfigError
from vision_apps.datasets.spatial import AnyBatch, move_pixels, pad_border, refuse_companions, warp, windows


class RandomCrop:
    """Pad the border by ``padding`` pixels and cut a window of the old size at a random place.

    With ``constant`` the border is black; fields over the pixels then have no value there and are refused.
    """

    def __init__(self, padding: int = 4, mode: Literal["reflect", "constant"] = "reflect") -> None:
        self.padding = padding
        self.mode = mode

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        if self.mode == "constant":
            refuse_companions(batch, self, "a constant border has no truth; use mode: reflect")
        B, _, H, W = batch.images.shape
        if self.mode == "reflect" and self.padding >= min(H, W):
            raise ConfigError(
                f"data.augment: padding {self.padding} cannot be reflected in images of {H} x {W} pixels"
            )
        top, left = torch.randint(0, 2 * self.padding + 1, (2, B))
        return move_pixels(
            batch, lambda field: windows(pad_border(field, self.padding, self.mode), top, left, H, W)
        )


class Flip:
    """Mirror each image left to right with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        B = len(batch.images)
        chosen = torch.arange(B) + B * (torch.rand(B) < self.p)
        # both versions side by side and one copy of whole images: cheaper than choosing pixel by pixel
        return move_pixels(
            batch, lambda field: torch.cat((field, field.flip(-1))).index_select(0, chosen.to(field.device))
        )


class RandomResizedCrop:
    """Cut a random rectangle (Szegedy et al. 2015, section 6) and scale it to ``image_size`` squared.

    A rectangle that would be longer than the image is cut to it, instead of being drawn again. Scaling blends
    neighbouring pixels, after which no field over the pixels would be true: such data is refused.

    Args:
        image_size: side of the result in pixels.
        scale: range of the share of the area.
        ratio: range of width to height, drawn evenly in the logarithm.
    """

    def __init__(
        self, image_size: int, scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3)
    ) -> None:
        self.image_size = image_size
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        refuse_companions(batch, self, "scaling blends pixels, whose truths cannot follow; use RandomCrop")
        B, _, H, W = batch.images.shape
        area = H * W * torch.empty(B).uniform_(*self.scale)
        aspect = torch.empty(B).uniform_(math.log(self.ratio[0]), math.log(self.ratio[1])).exp()
        wide, high = ((area * aspect).sqrt() / W).clamp(max=1), ((area / aspect).sqrt() / H).clamp(max=1)
        maps = torch.zeros(B, 2, 3)
        maps[:, 0, 0], maps[:, 1, 1] = wide, high
        maps[:, 0, 2] = (1 - wide) * (2 * torch.rand(B) - 1)
        maps[:, 1, 2] = (1 - high) * (2 * torch.rand(B) - 1)
        return batch._replace(images=warp(batch.images, maps, self.image_size, self.image_size, "border"))


class Cutout:
    """Paint a square of ``size`` pixels over each image (DeVries and Taylor 2017).

    Its centre is any pixel, so it may reach over the edge.

    Args:
        mean: RGB in [0, 1] to paint with.
    """

    def __init__(self, size: int, mean: Sequence[float] = (0.5, 0.5, 0.5)) -> None:
        self.size = size
        self.mean = tuple(mean)

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        refuse_companions(batch, self, "it would describe pixels that can no longer be seen")
        images = batch.images
        B, _, H, W = images.shape
        rows = self._covered(H, torch.randint(0, H, (B, 1)))
        columns = self._covered(W, torch.randint(0, W, (B, 1)))
        covered = (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)
        paint = (torch.tensor(self.mean) * 255).round().to(images.device, images.dtype)
        return batch._replace(images=torch.where(covered, paint.view(3, 1, 1), images))

    def _covered(self, length: int, centre: Tensor) -> Tensor:
        start = centre - self.size // 2
        place = torch.arange(length)
        return (place >= start) & (place < start + self.size)


class _Mix:
    """One draw for the batch; each image is mixed with its neighbour in the (shuffled) batch."""

    def __init__(
        self, transform: type[v2.MixUp] | type[v2.CutMix], alpha: float, num_classes: int, p: float
    ) -> None:
        self.mix = transform(alpha=alpha, num_classes=num_classes)
        self.num_classes = num_classes
        self.p = p

    def __call__(self, batch: AnyBatch) -> AnyBatch:
        refuse_companions(batch, self, "two images over each other have no single truth per pixel")
        labels: Tensor | None = getattr(batch, "labels", None)
        if labels is None:
            raise ConfigError(
                f"data.augment: {type(self).__name__} mixes labels, and this data has no field 'labels'"
            )
        if torch.rand(()) >= self.p:
            soft = F.one_hot(labels, self.num_classes).float() if labels.ndim == 1 else labels
            return batch._replace(labels=soft)
        images, soft = self.mix(batch.images.float(), labels)
        return batch._replace(images=images.round().to(batch.images.dtype), labels=soft)


class MixUp(_Mix):
    """Blend pairs of images and their labels (Zhang et al. 2018): labels become float [B, num_classes].

    Args:
        alpha: of the Beta distribution that the share is drawn from.
        p: probability per batch.
    """

    def __init__(self, num_classes: int, alpha: float = 0.2, p: float = 1.0) -> None:
        super().__init__(v2.MixUp, alpha, num_classes, p)


class CutMix(_Mix):
    """Paste a rectangle of another image (Yun et al. 2019): labels become float [B, num_classes] by area.

    Args:
        alpha: of the Beta distribution that the area is drawn from.
        p: probability per batch.
    """

    def __init__(self, num_classes: int, alpha: float = 1.0, p: float = 1.0) -> None:
        super().__init__(v2.CutMix, alpha, num_classes, p)
