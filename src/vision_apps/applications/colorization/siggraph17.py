"""The network of Zhang, Zhu, Isola, Geng, Lin, Yu, Efros, "Real-Time User-Guided Image Colorization with
Learned Deep Priors", SIGGRAPH 2017 (figure 2): skip connections, colour hints, and two answers."""

from pathlib import Path

import torch
from torch import Tensor, nn

from vision_apps.applications.colorization.losses import AB_NORM
from vision_apps.applications.colorization.network import (
    ColorFeatures,
    ColorNetwork,
    convolutions,
    initialise,
    load_released,
    pad_to_multiple,
    undecided,
)


class Siggraph17(ColorNetwork):
    """The network of Zhang et al. 2017, U-shaped: 529 classes at a quarter of the resolution, and regression
    at full resolution.

    34,187,027 parameters at width 1.

    Args:
        width: multiplies the channels of every block.
        mask_centre: what is taken off the hint mask; 0.5 in the authors' PyTorch training, 0 in their Caffe
            one.
        weights: local ``siggraph17-*.pth`` of the authors; needs width 1.
    """

    regression: nn.Conv2d
    neighbours = 1  # classes are learned from hard targets, and regression weighs ten times as much
    regression_stride = 1
    regression_loss = "l1"
    regression_weight = 10.0
    takes_hints = True

    def __init__(
        self, width: float = 1.0, mask_centre: float = 0.5, weights: str | Path | None = None
    ) -> None:
        super().__init__()
        self.mask_centre = mask_centre
        c64, c128, c256, c512 = (max(1, round(width * channels)) for channels in (64, 128, 256, 512))
        self.conv1 = nn.Sequential(*convolutions([4, c64, c64]))
        self.conv2 = nn.Sequential(*convolutions([c64, c128, c128]))
        self.conv3 = nn.Sequential(*convolutions([c128, c256, c256, c256]))
        self.conv4 = nn.Sequential(*convolutions([c256, c512, c512, c512]))
        self.conv5 = nn.Sequential(*convolutions([c512, c512, c512, c512], dilation=2))
        self.conv6 = nn.Sequential(*convolutions([c512, c512, c512, c512], dilation=2))
        self.conv7 = nn.Sequential(*convolutions([c512, c512, c512, c512]))
        self.conv8up = nn.ConvTranspose2d(c512, c256, 4, 2, padding=1)
        self.conv3short8 = nn.Conv2d(c256, c256, 3, padding=1)
        self.conv8 = nn.Sequential(nn.ReLU(inplace=True), *convolutions([c256, c256, c256]))
        self.conv9up = nn.ConvTranspose2d(c256, c128, 4, 2, padding=1)
        self.conv2short9 = nn.Conv2d(c128, c128, 3, padding=1)
        self.conv9 = nn.Sequential(nn.ReLU(inplace=True), *convolutions([c128, c128]))
        self.conv10up = nn.ConvTranspose2d(c128, c128, 4, 2, padding=1)
        self.conv1short10 = nn.Conv2d(c64, c128, 3, padding=1)
        self.conv10 = nn.Sequential(
            nn.ReLU(inplace=True), nn.Conv2d(c128, c128, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)
        )
        initialise(self)
        self.head = undecided(nn.Conv2d(c256, 529, 1))
        self.regression = undecided(nn.Conv2d(c128, 2, 1))
        if weights is not None:
            rename = {
                r"^model_class\.0\.": "head.",
                r"^model_out\.0\.": "regression.",
                r"^model(\d+up|\dshort\d+)\.0\.": r"conv\1.",
                r"^model(\d+)\.": r"conv\1.",
            }
            load_released(self, weights, rename, ignore="(?!)")

    def forward(
        self, lightness: Tensor, hint_ab: Tensor | None = None, hint_mask: Tensor | None = None
    ) -> ColorFeatures:
        """L in 0..100 [B, 1, H, W]; known colours, ab [B, 2, H, W], count where the mask [B, 1, H, W] is
        1."""
        height, width = lightness.shape[-2:]
        mask = torch.zeros_like(lightness) if hint_mask is None else hint_mask.to(lightness.dtype)
        known = lightness.new_zeros(1) if hint_ab is None else hint_ab / AB_NORM
        parts = [(lightness - 50) / 100, (known * mask).expand(-1, 2, -1, -1), mask - self.mask_centre]
        x1 = self.conv1(pad_to_multiple(torch.cat(parts, dim=1)))
        x2 = self.conv2(x1[..., ::2, ::2])
        x3 = self.conv3(x2[..., ::2, ::2])
        x = self.conv4(x3[..., ::2, ::2])
        x = self.conv7(self.conv6(self.conv5(x)))
        x8 = self.conv8(self.conv8up(x) + self.conv3short8(x3))
        x = self.conv9(self.conv9up(x8) + self.conv2short9(x2))
        x = self.conv10(self.conv10up(x) + self.conv1short10(x1))
        ab = torch.tanh(self.regression(x).to(torch.float32)) * AB_NORM
        return ColorFeatures(
            features=x8[..., : -(-height // self.stride), : -(-width // self.stride)],
            ab=ab[..., :height, :width],
        )
