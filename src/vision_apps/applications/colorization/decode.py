"""From a distribution over the bins to a colour image (Zhang et al. 2016, section 2.3)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from vision_apps.applications.colorization.lab import lab_to_rgb
from vision_apps.applications.colorization.losses import as_rows, chunk_size, pixel_chunks

TEMPERATURE = 0.38  # equation 5: between the mean (1), which is dull, and the mode (0), which is blotchy

_JOINED_PIXELS = 1 << 22  # turned into RGB at once


class DecodedColors(NamedTuple):
    ab: Tensor  # float32 [B, 2, h, w]
    entropy: Tensor  # float32 [B, h, w], nat, of the distribution at temperature 1: 0 is certain


def annealed_mean(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    bins: Tensor,
    temperature: float = TEMPERATURE,
    chunk: int | None = None,
) -> DecodedColors:
    """The mean colour of softmax(logits / temperature), the logits being a 1x1 convolution of ``features``.

    Not differentiable: it is how a trained network answers.

    Args:
        features: [B, C, h, w], any float type.
        weight, bias: of the head, [Q, C, 1, 1] and [Q].
        bins: their ab, float32 [Q, 2].
        chunk: pixels whose logits are held at once; by default what suits the device.
    """
    batch, _, height, width = features.shape
    head, offset = weight.flatten(1).to(features.dtype), bias.float()
    # one product gives both sums and their divisor
    mean_of = torch.cat([bins, torch.ones_like(bins[:, :1])], dim=1)

    def decoded(some: Tensor) -> tuple[Tensor, Tensor]:
        logits = (as_rows(some) @ head.T).float() + offset
        logits -= logits.amax(1, keepdim=True)
        exponential = logits.exp()
        total = exponential.sum(1)
        entropy = total.log() - (exponential * logits).sum(1) / total
        sums = logits.div_(temperature).exp_() @ mean_of
        return sums[:, :2] / sums[:, 2:], entropy

    if torch.compiler.is_exporting():  # a graph holds no loop over a batch of unknown size, and no autocast
        color, entropy = decoded(features)
        return DecodedColors(
            color.view(batch, height, width, 2).permute(0, 3, 1, 2), entropy.view(batch, height, width)
        )
    colors = features.new_empty((batch, height, width, 2), dtype=torch.float32)
    entropies = features.new_empty((batch, height, width), dtype=torch.float32)
    chunk = chunk or chunk_size(features.device)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        for images, rows in pixel_chunks(batch, height, width, chunk):
            color, entropy = decoded(features[images, :, rows])
            colors[images, rows] = color.view_as(colors[images, rows])
            entropies[images, rows] = entropy.view_as(entropies[images, rows])
    return DecodedColors(colors.permute(0, 3, 1, 2), entropies)


def upsample_ab(ab: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """ab at ``size`` (height, width), bilinear, from ab at every ``stride``-th pixel of an image of that
    size.

    The targets are the pixels 0, stride, 2 stride, ...: each value is put back where it was taken. Plain
    bilinear resizing would take it for the middle of a block and shift all colours by (stride - 1) / 2
    pixels.
    """
    height, width = ((n - 1) * stride + 1 for n in ab.shape[-2:])
    placed = interpolate(ab.float(), size=(height, width), mode="bilinear", align_corners=True)
    below, right = max(0, size[0] - height), max(0, size[1] - width)
    return pad(placed, (0, right, 0, below), mode="replicate")[..., : size[0], : size[1]]


def join(lightness: Tensor, ab: Tensor) -> Tensor:
    """uint8 sRGB [B, 3, H, W] from L [B, 1, H, W] and ab [B, 2, H, W].

    The conversion holds a dozen numbers per pixel; of large images it holds only those of some rows.
    """
    batch, _, height, width = lightness.shape
    # an exported graph holds no loop over a size that is not known
    rows = height if torch.compiler.is_exporting() else max(1, _JOINED_PIXELS // (batch * width))
    if rows >= height:
        return lab_to_rgb(torch.cat([lightness, ab], dim=1))
    images = torch.empty((batch, 3, height, width), dtype=torch.uint8, device=lightness.device)
    for top in range(0, height, rows):
        part = slice(top, top + rows)
        images[:, :, part] = lab_to_rgb(torch.cat([lightness[:, :, part], ab[:, :, part]], dim=1))
    return images
