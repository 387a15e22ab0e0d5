"""A convolutional network that learns small photographs in minutes on two processor cores.

The design follows Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, section 3: a
fixed whitening layer, convolutions that start as the identity, early pooling, scaled logits. It differs where
a processor does: the whitening layer trains nothing, so that no gradient is carried to the full resolution,
and the activation is one that is cheap in bfloat16.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vision_apps.core.errors import ConfigError

PATCH = 2  # side of the patches that the first layer whitens, pixels


class Whitening(nn.Module):
    """Decorrelates patches of 2 x 2 pixels with a fixed convolution.

    The filters are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue,
    and then the negatives of them all: behind an activation that lets only one sign through, both halves of
    every response survive. Before `measure` they pick single values of the patch. They are saved with the
    weights and never trained.

    Args:
        eps: added to the eigenvalues; directions with less variance hold little but compression noise.
    """

    filters: Tensor

    def __init__(self, eps: float = 5e-4) -> None:
        super().__init__()
        self.eps = eps
        values = 3 * PATCH * PATCH
        self.channels = 2 * values
        self.register_buffer("filters", self._both_signs(torch.eye(values)))

    @staticmethod
    def _both_signs(rows: Tensor) -> Tensor:
        return torch.cat((rows, -rows)).reshape(-1, 3, PATCH, PATCH)

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Measure the filters on normalised images [N, 3, H, W]."""
        patches = F.unfold(images.float(), PATCH).transpose(0, 1).flatten(1)
        variances, directions = torch.linalg.eigh(torch.cov(patches).double())
        rows = directions.T / (variances.clamp(min=0) + self.eps).sqrt()[:, None]
        self.filters.copy_(self._both_signs(rows))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 24, H-1, W-1]."""
        return F.conv2d(images, self.filters)


def identity_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that hands its input on in its first channels until training changes it."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[: min(inputs, outputs)])
    return conv


def shift_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation that learns a shift; its scale stays 1."""
    # a run is a thousand steps or fewer: statistics must follow the weights faster than with the usual .1
    norm = nn.BatchNorm2d(channels, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


class Block(nn.Module):
    """Two convolutions, the first of which halves the size: [B, C, H, W] -> [B, width, H // 2, W // 2]."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1 = identity_conv(inputs, width)
        self.norm1 = shift_norm(width)
        self.conv2 = identity_conv(width, width)
        self.norm2 = shift_norm(width)

    def forward(self, maps: Tensor) -> Tensor:
        maps = F.silu(self.norm1(F.max_pool2d(self.conv1(maps), 2)))
        return F.silu(self.norm2(self.conv2(maps)))


class FastNet(nn.Module):
    """After Jordan 2024: whitening, a block for each of ``widths``, the maximum over the picture, one linear
    layer.

    Args:
        image_size: side of the smallest pictures that are to be given, pixels.
        widths: channels of each block.
        logit_scale: factor on the logits; below 1 it keeps the loss soft at large learning rates.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        widths: Sequence[int] = (64, 256, 256),
        logit_scale: float = 1 / 9,
    ) -> None:
        super().__init__()
        smallest = 2 ** len(widths) + PATCH - 1
        if not widths or image_size < smallest:
            raise ConfigError(
                f"model.widths={list(widths)}: expected one block or more, and {len(widths)} of them need "
                f"images of at least {smallest} pixels, these have {image_size}; set fewer or more widths"
            )
        self.logit_scale = logit_scale
        self.whitening = Whitening()
        inputs = [self.whitening.channels, *widths[:-1]]
        self.blocks = nn.Sequential(*[Block(i, width) for i, width in zip(inputs, widths, strict=True)])
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def prepare(self, images: Tensor) -> None:
        """Measure the whitening on normalised training images [N, 3, H, W], once before training; a few
        hundred are enough."""
        self.whitening.measure(images)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised [B, 3, H, W] -> logits [B, K]."""
        maps = self.blocks(F.silu(self.whitening(images)))
        logits: Tensor = self.head(F.adaptive_max_pool2d(maps, 1).flatten(1))
        return self.logit_scale * logits
