"""U-Net: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation",
MICCAI 2015, arXiv:1505.04597."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from vision_apps.applications.segmentation.mirror import window
from vision_apps.core.errors import require_no


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015): two 3 x 3 convolutions a level, max pooling down, 2 x 2
    up-convolutions back, and at each level the maps of the way down beside those of the way up.

    Pictures of any size are taken: they are mirrored beyond their border up to the size that the levels need.
    With valid convolutions that is the paper's overlap-tile strategy: every pixel is decided with its full
    surroundings (section 2).

    Args:
        width: channels of the finest level; each coarser one has twice as many. 64 in the paper.
        depth: how many times the resolution is halved; 4 in the paper.
        padding: ``valid`` as in the paper, where each convolution loses a border of one pixel; ``same`` fills
            it with zeros.
        norm: batch norm after each 3 x 3 convolution, which the paper has not.
        dropout: at the end of the way down (section 3.1).
        skips: without them the way up sees the coarsest maps alone, for comparison.
    """

    def __init__(
        self,
        num_classes: int,
        width: int = 64,
        depth: int = 4,
        padding: Literal["same", "valid"] = "valid",
        norm: bool = False,
        dropout: float = 0.5,
        skips: bool = True,
    ) -> None:
        super().__init__()
        problems = []
        if width < 1:
            problems.append(f"model.width: {width}; expected at least 1 channel")
        if depth < 1:
            problems.append(f"model.depth: {depth}; expected at least 1")
        if padding not in ("same", "valid"):
            problems.append(f"model.padding: {padding}; expected same or valid")
        if not 0 <= dropout < 1:
            problems.append(f"model.dropout: {dropout}; expected 0 or more and below 1")
        require_no(problems)
        self.padding = padding
        self.depth = depth
        self.skips = skips
        channels = [width * 2**level for level in range(depth + 1)]

        def block(before: int, after: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for inputs in (before, after):
                border = 1 if padding == "same" else 0
                layers.append(nn.Conv2d(inputs, after, 3, padding=border, bias=not norm))
                layers += [nn.BatchNorm2d(after)] if norm else []
                layers.append(nn.ReLU(inplace=True))
            return nn.Sequential(*layers)

        self.down = nn.ModuleList(
            block(before, after) for before, after in zip([3, *channels], channels, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        coarse_to_fine = list(reversed(channels[:-1]))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, stride=2) for c in coarse_to_fine)
        self.up = nn.ModuleList(block(2 * c if skips else c, c) for c in coarse_to_fine)
        self.head = nn.Conv2d(width, num_classes, 1)
        for layer in self.modules():  # He et al. 2015, as the paper's section 3
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                gain = 1.0 if layer is self.head else math.sqrt(2)
                # an up-convolution of stride 2 reads one place of each map for each pixel
                places = 1 if isinstance(layer, nn.ConvTranspose2d) else math.prod(layer.kernel_size)
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_channels * places))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K, H, W]."""
        (height, above, below), (width, left, right) = (self._fit(size) for size in pixels.shape[-2:])
        logits = self.convolve(
            window(pixels, -above, pixels.shape[-2] + below, -left, pixels.shape[-1] + right)
        )
        return logits[..., :height, :width]

    def convolve(self, pixels: Tensor) -> Tensor:
        """[B, 3, h, w] -> logits, smaller than the picture with valid convolutions: [B, K, 388, 388] from 572
        (figure 1 of the paper). Sides are such that all levels halve evenly."""
        x, passed = pixels, []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            if level < self.depth:
                passed.append(x)
        x = self.dropout(x)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            x, beside = enlarge(x), passed.pop()
            x = block(torch.cat([_middle(beside, x), x], dim=1) if self.skips else x)
        return self.head(x)

    def _fit(self, size: int) -> tuple[int, int, int]:
        """A side of the picture, and by how much it is continued before and after."""
        if self.padding == "same":
            return size, 0, -size % 2**self.depth
        inside, outside = _valid_sides(size, self.depth)
        before = (inside - outside) // 2
        return size, before, inside - size - before


def _valid_sides(least: int, depth: int) -> tuple[int, int]:
    """Sides of the input and of the output of valid convolutions; the smallest with an output of at least
    ``least``."""
    lost_after = sum(4 * 2**level for level in range(depth))  # two convolutions a level on the way up
    coarsest = max(1, -(-(least + lost_after) // 2**depth))  # after the convolutions of the coarsest level
    side = coarsest + 4
    for _ in range(depth):
        side = 2 * side + 4
    return side, coarsest * 2**depth - lost_after


def _middle(maps: Tensor, like: Tensor) -> Tensor:
    """The middle of ``maps``, of the size of ``like``."""
    (height, width), (h, w) = maps.shape[-2:], like.shape[-2:]
    top, left = (height - h) // 2, (width - w) // 2
    return maps[..., top : top + h, left : left + w]
