"""Zooms and crops for detection and segmentation: every picture through a window of its own, and the whole
batch resampled once. Boxes, proposals and masks follow.

A window says which part of the input the output shows. Where it reaches over the picture the colour ``mean``
is painted and masks have their void.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.core import draws
from vision_apps.core.conventions import Size, height_width
from vision_apps.core.errors import ConfigError
from vision_apps.data.augmentation.effects import BatchTransform, Effect, Parts
from vision_apps.data.augmentation.objects import MIN_SHARE, middle_inside
from vision_apps.data.augmentation.spatial import resample

MID_GREY = (0.5, 0.5, 0.5)  # RGB in [0, 1], of what lies outside a picture


def window_maps(windows: Tensor, height: int, width: int) -> Tensor:
    """Windows x1, y1, x2, y2 [B, 4] in pixels of pictures of ``height`` x ``width`` as maps [B, 2, 3] for
    ``spatial.warp``."""
    side = torch.tensor([width, height], dtype=windows.dtype, device=windows.device)
    low, high = windows[:, :2], windows[:, 2:]
    scale, middle = (high - low) / side, (high + low) / side - 1
    return torch.cat((torch.diag_embed(scale), middle[..., None]), dim=-1)


def require_range(transform: object, name: str, values: Sequence[float]) -> None:
    """Refuse a parameter that is not two positive numbers in order."""
    if len(values) != 2 or not 0 < values[0] <= values[1]:
        raise ConfigError(
            f"data.augment: {type(transform).__name__}'s {name} is {list(values)}; expected [smallest, "
            "largest], both above 0"
        )


@dataclass
class ZoomOut(BatchTransform):
    """Place the picture at random on a larger canvas and scale that to the picture's size: small objects for
    SSD (Liu et al. 2016, section 3.6).

    Args:
        max_ratio: the canvas' sides are 1 to this many times the picture's, drawn evenly.
        p: probability per picture.
        mean: RGB in [0, 1] of the canvas.
    """

    effects = Effect.BLENDS | Effect.OUTSIDE
    max_ratio: float = 4.0
    p: float = 0.5
    mean: Sequence[float] = MID_GREY

    def __post_init__(self) -> None:
        if self.max_ratio < 1:
            raise ConfigError(f"data.augment: ZoomOut's max_ratio is {self.max_ratio}; expected 1 or more")

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        ratio = draws.uniform(B, low=1, high=self.max_ratio)
        place = draws.uniform(B, 2)
        ratio = torch.where(draws.uniform(B) < self.p, ratio, 1.0)[:, None]
        side = torch.tensor([W, H])
        low = (1 - ratio) * side * place
        maps = window_maps(torch.cat((low, low + ratio * side), dim=1), H, W)
        return resample(parts, maps, H, W, fill=self.mean)


@dataclass
class RandomZoom(BatchTransform):
    """Scale the picture around its middle and shift it, at its size (scale jitter, as of Ghiasi et al. 2021).

    Args:
        scale: range of the factor, drawn evenly in the logarithm: below 1 the picture shrinks.
        translate: largest shift to either side, as a share of the side.
        p: probability per picture.
        mean: RGB in [0, 1] of what lies outside.
        min_share: of an object's area that has to be left of it.
    """

    effects = Effect.BLENDS | Effect.OUTSIDE
    scale: Sequence[float] = (0.5, 1.5)
    translate: float = 0.1
    p: float = 1.0
    mean: Sequence[float] = MID_GREY
    min_share: float = MIN_SHARE

    def __post_init__(self) -> None:
        require_range(self, "scale", self.scale)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        scale = log_uniform(B, self.scale)
        shift = self.translate * (2 * draws.uniform(B, 2) - 1)
        chosen = draws.uniform(B) < self.p
        scale = torch.where(chosen, scale, 1.0)[:, None]
        shift = shift * chosen[:, None]
        side = torch.tensor([W, H])
        middle, half = (0.5 - shift / scale) * side, side / scale / 2
        maps = window_maps(torch.cat((middle - half, middle + half), dim=1), H, W)
        return resample(parts, maps, H, W, fill=self.mean, min_share=self.min_share)


@dataclass
class ScaleCrop(BatchTransform):
    """Scale the picture by a random factor and cut a window of ``size`` at a random place: the common
    augmentation of segmentation (Chen et al. 2017, section 4.1). A picture smaller than the window lies
    somewhere in it.

    Args:
        size: of the result in pixels: a side, or height and width; not that of whole pictures.
        scale: range of the factor, drawn evenly in the logarithm.
        mean: RGB in [0, 1] of what lies outside.
        min_share: of an object's area that has to be left of it.
    """

    effects = Effect.BLENDS | Effect.OUTSIDE
    size: Size
    scale: Sequence[float] = (0.5, 2.0)
    mean: Sequence[float] = MID_GREY
    min_share: float = MIN_SHARE

    def __post_init__(self) -> None:
        self.height, self.width = height_width(self.size, f"data.augment: {type(self).__name__}'s size")
        require_range(self, "scale", self.scale)

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        seen = torch.tensor([self.width, self.height]) / log_uniform(B, self.scale)[:, None]
        low = (torch.tensor([W, H]) - seen) * draws.uniform(B, 2)  # inside where it fits, around it elsewhere
        maps = window_maps(torch.cat((low, low + seen), dim=1), H, W)
        return resample(parts, maps, self.height, self.width, fill=self.mean, min_share=self.min_share)


@dataclass
class IoUCrop(BatchTransform):
    """Cut a patch that overlaps an object by at least a drawn amount and scale it to the picture's size (Liu
    et al. 2016, section 2.2, "Data augmentation").

    For every picture one of ``overlaps`` or "no patch" is drawn evenly, then the first of ``trials`` patches
    that fits is taken: with sides of 0.3 to 1 times the picture's and a shape of 1:2 to 2:1, an IoU of at
    least that with some object, and the middle of some object inside. Objects whose middle is in the patch
    stay. Without such a patch the picture stays as it is; of a picture without objects any patch will do.

    Args:
        overlaps: smallest IoUs; 0 stands for any patch.
        min_side: smallest side as a share of the picture's.
        trials: patches that are drawn for each picture.
    """

    effects = Effect.BLENDS
    overlaps: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    min_side: float = 0.3
    trials: int = 50

    def __post_init__(self) -> None:
        if not self.overlaps or not all(0 <= value <= 1 for value in self.overlaps):
            raise ConfigError(
                f"data.augment: IoUCrop's overlaps are {list(self.overlaps)}; expected IoUs, 0 to 1"
            )

    def changed(self, parts: Parts) -> dict[str, Tensor]:
        B, H, W = parts.size
        least = torch.tensor([*self.overlaps, torch.inf])  # no patch reaches the last
        needed = least[draws.integers(0, len(least), B)][:, None]  # [B, 1]
        side = torch.tensor([W, H])
        extent = draws.uniform(B, self.trials, 2, low=self.min_side, high=1) * side
        low = (side - extent) * draws.uniform(B, self.trials, 2)
        patches = torch.cat((low, low + extent), dim=-1)  # [B, T, 4]
        aspect = extent[..., 0] / extent[..., 1]
        fits = (aspect >= 0.5) & (aspect <= 2) & needed.isfinite()
        # from here on the device, for which the objects are
        patches, fits, needed = (values.to(parts.device) for values in (patches, fits, needed))
        objects = [one for one in parts.objects if one.kind.present] or parts.objects
        if sum(one.boxes.shape[1] for one in objects):
            there = torch.cat(
                [one.there if one.ignored is None else one.there & ~one.ignored for one in objects], dim=1
            )
            overlap, inside = patch_overlaps(patches, torch.cat([one.boxes for one in objects], dim=1))
            most = overlap.masked_fill(~there[:, None], 0).amax(-1)
            some = (inside & there[:, None]).any(-1)
            fits &= ((most >= needed) & some) | ~there.any(1, keepdim=True)
        first = fits.byte().argmax(1)[:, None, None].expand(-1, -1, 4)
        whole = torch.tensor([0.0, 0.0, W, H], device=parts.device)
        chosen = torch.where(fits.any(1, keepdim=True), patches.gather(1, first)[:, 0], whole)
        return resample(parts, window_maps(chosen, H, W), H, W, min_share=0.0, centred=True)


def log_uniform(count: int, limits: Sequence[float]) -> Tensor:
    """float32 [count], drawn evenly in the logarithm."""
    low, high = torch.tensor(limits).log().tolist()
    return draws.uniform(count, low=low, high=high).exp()


def patch_overlaps(patches: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """IoU of every patch [B, T, 4] with every box [B, M, 4] of the same picture, and whether the box's middle
    lies in the patch: float32 and bool [B, T, M]."""
    return box_iou(patches, boxes), middle_inside(boxes[:, None], patches)
