"""Pictures of any shape brought to one size, and their boxes there and back.

``letterbox`` keeps the aspect: the picture is scaled to just fit, lies at the top left, and the rest is grey.
``stretch`` scales each axis by itself. The scale of an axis is the ratio of the whole pixels after and
before, so that the edges of the picture, and a box that covers it, map to each other exactly.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms.v2 import functional as v2

Fit = Literal["letterbox", "stretch"]
Size = int | Sequence[int]

GREY = 114  # of the letterbox's rest, near the mean of photographs


def height_width(size: Size) -> tuple[int, int]:
    """Height and width in pixels of ``image_size``, which is one side of a square or both."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def content_sizes(sizes: Tensor, size: Size, fit: Fit) -> Tensor:
    """What pictures of these sizes cover once fitted: int64 [..., 2] height and width -> the same."""
    target = torch.tensor(height_width(size), dtype=torch.float64, device=sizes.device)
    if fit == "stretch":
        return target.long().expand(sizes.shape).clone()
    scale = (target / sizes.double()).amin(-1, keepdim=True)
    # at least one pixel of a strip; never more than there is room for
    return (sizes.double() * scale).round().clamp(min=1).minimum(target).long()


def fit_picture(image: Tensor, size: Size, fit: Fit = "letterbox") -> tuple[Tensor, tuple[float, float]]:
    """Scale pictures, antialiased and bilinear.

    Args:
        image: uint8 [3, h, w], or [B, 3, h, w] of one size.

    Returns:
        uint8 [..., 3, H, W], and the scales of x and y.
    """
    height, width = height_width(size)
    before = torch.tensor(image.shape[-2:])
    inner, across = content_sizes(before, size, fit).tolist()
    if (inner, across) != tuple(image.shape[-2:]):
        image = v2.resize(image, [inner, across], antialias=True)
    if (inner, across) != (height, width):
        image = pad(image, (0, width - across, 0, height - inner), value=GREY)
    return image, (across / int(before[1]), inner / int(before[0]))


def _scales(sizes: Tensor, size: Size, fit: Fit) -> Tensor:
    """Of x, y, x, y: float64 [..., 1, 4], for boxes [..., n, 4]."""
    scale = content_sizes(sizes, size, fit).double() / sizes.double()
    return scale.flip(-1).repeat_interleave(2, -1).unflatten(-1, (2, 2)).mT.flatten(-2).unsqueeze(-2)


def fit_boxes(boxes: Tensor, sizes: Tensor, size: Size, fit: Fit = "letterbox") -> Tensor:
    """Boxes in pixels of the file to boxes in pixels of the fitted picture.

    Args:
        boxes: x1, y1, x2, y2, float [..., n, 4].
        sizes: height and width of the files, int64 [..., 2].
    """
    return (boxes.double() * _scales(sizes, size, fit)).to(boxes.dtype)


def unfit_boxes(boxes: Tensor, sizes: Tensor, size: Size, fit: Fit = "letterbox") -> Tensor:
    """The inverse of `fit_boxes`: back to the pixels of the file. What lies in the grey rest comes back
    outside the picture: clip it where that matters."""
    return (boxes.double() / _scales(sizes, size, fit)).to(boxes.dtype)
