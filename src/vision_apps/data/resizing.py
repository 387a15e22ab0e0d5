"""Pictures of any shape brought to one size, and their boxes there and back.

``letterbox`` keeps the aspect: the picture is scaled to just fit, lies at the top left, and the rest is grey.
``stretch`` scales each axis by itself. The scale of an axis is the ratio of the whole pixels after and
before, so that the edges of the picture, and a box that covers it, map to each other exactly.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.v2 import functional as v2

from vision_apps.core.conventions import Size, height_width

ResizeMode = Literal["letterbox", "stretch"]

LETTERBOX_GREY = 114  # of the rest, near the mean of photographs
_LONGEST = 8  # sides: a longer strip is cut before resizing, which would otherwise blow it up to any size


def content_sizes(sizes: Tensor, size: Size, mode: ResizeMode) -> Tensor:
    """The part of ``size`` that pictures of these sizes cover: height and width, int64 [..., 2] both."""
    target = torch.tensor(height_width(size), dtype=torch.float64, device=sizes.device)
    if mode == "stretch":
        return target.long().expand(sizes.shape).clone()
    scale = (target / sizes.double()).amin(-1, keepdim=True)
    # at least one pixel of a strip; never more than there is room for
    return (sizes.double() * scale).round().clamp(min=1).minimum(target).long()


def resize_picture(
    image: Tensor, size: Size, mode: ResizeMode = "letterbox"
) -> tuple[Tensor, tuple[float, float]]:
    """Bring pictures to height and width H, W, antialiased and bilinear.

    Args:
        image: uint8 [3, h, w], or [B, 3, h, w] of one size.

    Returns:
        uint8 [..., 3, H, W], and the scales of x and y.
    """
    height, width = height_width(size)
    if tuple(image.shape[-2:]) == (height, width):
        return image, (1.0, 1.0)
    before = torch.tensor(image.shape[-2:])
    inner, across = content_sizes(before, size, mode).tolist()
    if (inner, across) != tuple(image.shape[-2:]):
        image = v2.resize(image, [inner, across], antialias=True)
    if (inner, across) != (height, width):
        image = pad(image, (0, width - across, 0, height - inner), value=LETTERBOX_GREY)
    return image, (across / int(before[1]), inner / int(before[0]))


def _scales(sizes: Tensor, size: Size, mode: ResizeMode) -> Tensor:
    """Of x, y, x, y: float64 [..., 1, 4], for boxes [..., n, 4]."""
    scale = content_sizes(sizes, size, mode).double() / sizes.double()
    return scale.flip(-1).repeat_interleave(2, -1).unflatten(-1, (2, 2)).mT.flatten(-2).unsqueeze(-2)


def resize_boxes(boxes: Tensor, sizes: Tensor, size: Size, mode: ResizeMode = "letterbox") -> Tensor:
    """Boxes in pixels of the file to boxes in pixels of the resized picture.

    Args:
        boxes: x1, y1, x2, y2, float [..., n, 4].
        sizes: height and width of the files, int64 [..., 2].
        size: of the resized picture.
    """
    return (boxes.double() * _scales(sizes, size, mode)).to(boxes.dtype)


def restore_boxes(boxes: Tensor, sizes: Tensor, size: Size, mode: ResizeMode = "letterbox") -> Tensor:
    """Boxes in pixels of the resized picture back to pixels of the file. What lies in the letterbox's grey
    rest comes back outside the picture: clip it where that matters.

    Args:
        boxes: x1, y1, x2, y2, float [..., n, 4].
        sizes: height and width of the files, int64 [..., 2].
        size: of the resized picture.
    """
    return (boxes.double() / _scales(sizes, size, mode)).to(boxes.dtype)


def resize_and_center_crop(image: Tensor, size: int, resize: int | None = None) -> Tensor:
    """Scale the short side to ``resize`` pixels (``size`` by default), antialiased, and cut the central
    square out: uint8 [..., 3, H, W] -> [..., 3, size, size]."""
    height, width = image.shape[-2:]
    limit = _LONGEST * min(height, width)
    if max(height, width) > limit:
        image = v2.center_crop(image, [min(height, limit), min(width, limit)])
    image = v2.resize(image, [resize or size], antialias=True)
    return v2.center_crop(image, [size, size])
