"""Augmentation of whole batches on their device, with a draw of its own for every image.

Numbers are drawn as `core.draws` says: whatever the device and the number of processes, a picture's are the
same.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from vision_apps.core import draws
from vision_apps.core.conventions import Size, height_width
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import Label
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.objects import MIN_SHARE
from vision_apps.data.augmentation.spatial import move_pixels, pad_border, paint, resample, shifted, windows


@dataclass
class RandomCrop(BatchTransform):
    """Pad the border by ``padding`` pixels and cut a window of the old size at a random place.

    With ``constant`` the border is black; masks have their void there, and other truths per pixel are
    refused. A reflected border shows parts of objects again, so boxes are refused with it.

    Args:
        min_share: of an object's area that has to be left of it.
    """

    padding: int = 4
    mode: Literal["reflect", "constant"] = "reflect"
    min_share: float = MIN_SHARE

    def __post_init__(self) -> None:
        self.effects = Effect.REPEATS if self.mode == "reflect" else Effect.OUTSIDE

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        padding, mode = self.padding, self.mode
        B, H, W = parts.size
        if mode == "reflect" and padding >= min(H, W):
            raise ConfigError(
                f"data.augment: padding {padding} cannot be reflected in images of {H} x {W} pixels"
            )
        top, left = (draws.integers(0, 2 * padding + 1, B) for _ in range(2))
        return move_pixels(
            parts,
            lambda field, fill: windows(pad_border(field, padding, mode, fill), top, left, H, W),
            shifted(padding - left, padding - top),
            self.min_share,
        )


def _turns(directions: bool) -> Effect:
    """What mirroring and turning do: where nothing says directions, all that is said of a picture stays."""
    return Effect.TURNS if directions else Effect(0)


@dataclass
class Flip(BatchTransform):
    """Mirror each image with probability ``p``: left to right, or top to bottom with ``vertical``.

    Args:
        directions: what is said of the pictures may say left or right, and is refused; false where it never
            does, as of pictures from above.
    """

    p: float = 0.5
    axis: Literal["horizontal", "vertical"] = "horizontal"
    directions: bool = True

    def __post_init__(self) -> None:
        self.effects = _turns(self.directions)
        if self.axis not in ("horizontal", "vertical"):
            raise ConfigError(f"data.augment: Flip's axis is {self.axis!r}; expected horizontal or vertical")

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        flipped = draws.uniform(B) < self.p
        chosen = torch.arange(B) + B * flipped
        row, dim, length = (0, -1, W) if self.axis == "horizontal" else (1, -2, H)
        forward = torch.eye(2, 3).repeat(B, 1, 1)
        forward[flipped, row, row], forward[flipped, row, 2] = -1, length
        # both versions side by side and one copy of whole images: cheaper than choosing pixel by pixel
        return move_pixels(
            parts,
            lambda field, _: torch.cat((field, field.flip(dim))).index_select(0, chosen.to(field.device)),
            forward,
        )


@dataclass
class Rotate90(BatchTransform):
    """Turn each image by 0 to 3 quarters, drawn evenly: for pictures without an up, from above or through a
    microscope. They have to be square.

    Args:
        directions: as `Flip` has it.
    """

    directions: bool = True

    def __post_init__(self) -> None:
        self.effects = _turns(self.directions)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        if H != W:
            raise ConfigError(
                f"data.augment: Rotate90 needs square images, these are {H} x {W} pixels; use Flip along "
                "both axes"
            )
        turns = draws.integers(0, 4, B)
        # x, y of the output from x, y of the input, counter-clockwise as ``torch.rot90``
        quarters = torch.tensor(
            [
                [[1, 0, 0], [0, 1, 0]],
                [[0, 1, 0], [-1, 0, W]],
                [[-1, 0, W], [0, -1, W]],
                [[0, -1, W], [1, 0, 0]],
            ],
            dtype=torch.float32,
        )
        chosen = turns * B + torch.arange(B)
        return move_pixels(
            parts,
            lambda field, _: torch.cat([field.rot90(k, (-2, -1)) for k in range(4)]).index_select(
                0, chosen.to(field.device)
            ),
            quarters[turns],
        )


@dataclass
class RandomResizedCrop(BatchTransform):
    """Cut a random rectangle (Szegedy et al. 2015, section 6) and scale it to ``image_size``.

    A rectangle that would be longer than the image is cut to it, instead of being drawn again. Scaling blends
    neighbouring pixels, after which truths per pixel but masks no longer hold: such data is refused.

    Args:
        image_size: of the result in pixels: a side, or height and width.
        scale: range of the share of the area.
        ratio: range of width to height, drawn evenly in the logarithm.
        min_share: of an object's area that has to be left of it.
    """

    effects = Effect.BLENDS
    image_size: Size
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    min_share: float = MIN_SHARE

    def __post_init__(self) -> None:
        key = f"data.augment: {type(self).__name__}'s image_size"
        self.height, self.width = height_width(self.image_size, key)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        area = H * W * draws.uniform(B, low=self.scale[0], high=self.scale[1])
        aspect = draws.uniform(B, low=math.log(self.ratio[0]), high=math.log(self.ratio[1])).exp()
        wide, high = ((area * aspect).sqrt() / W).clamp(max=1), ((area / aspect).sqrt() / H).clamp(max=1)
        maps = torch.zeros(B, 2, 3)
        maps[:, 0, 0], maps[:, 1, 1] = wide, high
        maps[:, 0, 2] = (1 - wide) * (2 * draws.uniform(B) - 1)
        maps[:, 1, 2] = (1 - high) * (2 * draws.uniform(B) - 1)
        return resample(parts, maps, self.height, self.width, min_share=self.min_share)


@dataclass
class Cutout(BatchTransform):
    """Paint a square of ``size`` pixels over each image (DeVries and Taylor 2017).

    Its centre is any pixel, so it may reach over the edge.

    Args:
        mean: RGB in [0, 1] to paint with.
    """

    effects = Effect.COVERS
    size: int
    mean: Sequence[float] = (0.5, 0.5, 0.5)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        rows = self._covered(H, draws.integers(0, H, B, 1))
        columns = self._covered(W, draws.integers(0, W, B, 1))
        covered = (rows[:, None, :, None] & columns[:, None, None, :]).to(parts.device)
        color = paint(self.mean)
        return {
            name: torch.where(covered, color.to(picture.device, picture.dtype), picture)
            for name, picture in parts.pictures.items()
        }

    def _covered(self, length: int, centre: Tensor) -> Tensor:
        start = centre - self.size // 2
        place = torch.arange(length)
        return (place >= start) & (place < start + self.size)


@dataclass
class _Mix(BatchTransform):
    """One draw for the batch; each image is mixed with its neighbour in the (shuffled) batch, in the
    process's share of it where several train."""

    effects = Effect.MIXES
    transform: ClassVar[type[v2.MixUp] | type[v2.CutMix]]
    num_classes: int
    alpha: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        last = operator.itemgetter(-1)
        self.mix = self.transform(alpha=self.alpha, num_classes=self.num_classes, labels_getter=last)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        found = parts.of(Label)
        if len(found) != 1:
            raise ConfigError(
                f"data.augment: {type(self).__name__} mixes the classes of pictures: expected one field of "
                f"kind Label, for instance 'labels', not {list(found)}"
            )
        ((name, (labels, _)),) = found.items()
        before = parts.pictures
        with draws.alike():
            if torch.rand(()) >= self.p:
                return {name: F.one_hot(labels, self.num_classes).float() if labels.ndim == 1 else labels}
            *pictures, soft = self.mix(
                *(tv_tensors.Image(picture.float()) for picture in before.values()), labels
            )
        mixed = zip(before.items(), pictures, strict=True)
        return {name: soft} | {key: after.round().to(picture.dtype) for (key, picture), after in mixed}


@dataclass
class MixUp(_Mix):
    """Blend pairs of images and their labels (Zhang et al. 2018): labels become float [B, num_classes].

    Args:
        alpha: of the Beta distribution that the share is drawn from.
        p: probability per batch.
    """

    transform = v2.MixUp
    alpha: float = 0.2


class CutMix(_Mix):
    """Paste a rectangle of another image (Yun et al. 2019): labels become float [B, num_classes] by area.

    Args:
        alpha: of the Beta distribution that the area is drawn from.
        p: probability per batch.
    """

    transform = v2.CutMix
