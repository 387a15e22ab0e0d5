"""GoogLeNet: Szegedy et al., "Going deeper with convolutions", CVPR 2015 (arXiv:1409.4842, 2014), Table 1."""

from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from vision_apps.networks.auxiliary import AuxiliaryLogits, Logits


class Widths(NamedTuple):
    """One row of table 1 of Szegedy et al. 2015: channels of the branches of an inception module."""

    one: int
    reduce3: int
    three: int
    reduce5: int
    five: int
    pool: int


INCEPTIONS = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU. Szegedy et al. 2015 have no normalisation, which is younger."""
    return Conv2dNormActivation(inputs, outputs, kernel, stride, norm_layer=partial(nn.BatchNorm2d, eps=1e-3))


class Inception(nn.Module):
    """Four branches side by side, joined by channel (Szegedy et al. 2015, figure 2b)."""

    def __init__(self, inputs: int, widths: Widths, large_kernel: int) -> None:
        super().__init__()
        self.one = conv(inputs, widths.one, 1)
        self.three = nn.Sequential(conv(inputs, widths.reduce3, 1), conv(widths.reduce3, widths.three, 3))
        self.five = nn.Sequential(
            conv(inputs, widths.reduce5, 1), conv(widths.reduce5, widths.five, large_kernel)
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(inputs, widths.pool, 1))
        self.outputs = widths.one + widths.three + widths.five + widths.pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.one(x), self.three(x), self.five(x), self.pool(x)), dim=1)


class AuxiliaryHead(nn.Module):
    """A classifier on intermediate maps, used while training only (Szegedy et al. 2015, section 5)."""

    def __init__(self, inputs: int, channels: int, units: int, num_classes: int) -> None:
        super().__init__()
        # section 5 pools 5 x 5 at stride 3; from its 14 x 14 maps that is this 4 x 4 grid
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = conv(inputs, channels, 1)
        self.hidden = nn.Linear(16 * channels, units)
        self.dropout = nn.Dropout(0.7)
        self.head = nn.Linear(units, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = torch.relu(self.hidden(self.conv(self.pool(x)).flatten(1)))
        return self.head(self.dropout(features))


class GoogLeNet(nn.Module):
    """GoogLeNet (Szegedy et al. 2015): nine inception modules and two auxiliary heads behind 4a and 4d.

    For 1,000 classes and the ``imagenet`` stem 13,004,888 parameters, 6,624,904 without the auxiliary heads:
    with ``large_kernel=3`` the same function as torchvision's ``googlenet`` and its weights, whose "5 x 5"
    branch is 3 x 3.

    Args:
        image_size: side of the square input, pixels; only decides ``stem="auto"``.
        stem: ``imagenet`` divides the size by 8 before the first inception module, ``small`` by 2; ``auto``
            is ``small`` up to 64 pixels.
        width: factor on all layers but the last.
        large_kernel: of the third branch; 5 is Table 1's.
        dropout: probability of dropping a feature before the last layer.
        auxiliary_weight: of each auxiliary loss; 0 leaves the auxiliary heads out.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int = 224,
        stem: Literal["auto", "imagenet", "small"] = "auto",
        width: float = 1.0,
        large_kernel: Literal[3, 5] = 3,
        dropout: float = 0.2,
        auxiliary_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.auxiliary_weight = auxiliary_weight
        small = stem == "small" or (stem == "auto" and image_size <= 64)

        def scaled(channels: int) -> int:
            return max(1, round(channels * width))

        def inceptions(inputs: int, *names: str) -> tuple[nn.Sequential, int]:
            modules = []
            for name in names:
                modules.append(Inception(inputs, Widths(*map(scaled, INCEPTIONS[name])), large_kernel))
                inputs = modules[-1].outputs
            return nn.Sequential(*modules), inputs

        # pooling with ceil_mode: 112 -> 56 -> 28 -> 14 -> 7, as in Table 1
        self.stem = nn.Sequential(
            conv(3, scaled(64), 3) if small else conv(3, scaled(64), 7, 2),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            conv(scaled(64), scaled(64), 1),
            conv(scaled(64), scaled(192), 3),
            nn.Identity() if small else nn.MaxPool2d(3, 2, ceil_mode=True),
        )
        self.stage3, channels = inceptions(scaled(192), "3a", "3b")
        self.pool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.stage4a, channels_4a = inceptions(channels, "4a")
        self.stage4d, channels_4d = inceptions(channels_4a, "4b", "4c", "4d")
        self.stage4e, channels = inceptions(channels_4d, "4e")
        self.pool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.stage5, channels = inceptions(channels, "5a", "5b")
        self.auxiliary = nn.ModuleList(
            AuxiliaryHead(inputs, scaled(128), scaled(1024), num_classes)
            for inputs in (channels_4a, channels_4d)
            if auxiliary_weight > 0
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Logits:
        """[B, 3, H, W] -> logits [B, K]; while training, the auxiliary logits as well."""
        maps_4a = self.stage4a(self.pool3(self.stage3(self.stem(images))))
        maps_4d = self.stage4d(maps_4a)
        features = self.pool(self.stage5(self.pool4(self.stage4e(maps_4d)))).flatten(1)
        logits: Tensor = self.head(self.dropout(features))
        if not self.training or not self.auxiliary:
            return logits
        heads = zip(self.auxiliary, (maps_4a, maps_4d), strict=True)
        return AuxiliaryLogits(logits, tuple(head(maps) for head, maps in heads), self.auxiliary_weight)
