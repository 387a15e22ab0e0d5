"""The network of Zhang, Isola, Efros, "Colorful Image Colorization", ECCV 2016 (figure 2)."""

from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from vision_apps.applications.colorization.network import (
    ColorFeatures,
    ColorNetwork,
    convolutions,
    initialise,
    load_released,
    pad_to_multiple,
)

# The deployed Caffe network multiplies the logits by this before the softmax (1 / 0.384); the released
# PyTorch file has no such layer and gives the same colours, so its last convolution must contain the factor.
RELEASED_SCALE = 2.606


class Zhang16(ColorNetwork):
    """The network of Zhang et al. 2016: eight blocks of two or three convolutions; blocks 5 and 6 are
    dilated, block 8 doubles the resolution.

    32,235,385 parameters at width 1 with 313 classes.

    Args:
        head: ``classes`` for a distribution over 313 bins, ``ab`` for the paper's L2 regression.
        width: multiplies the channels of every block.
        weights: local ``colorization_release_v2-*.pth`` or ``eccv16-*.pth`` of the authors; needs width 1 and
            classes.
        weights_scale: by which the logits in that file are multiplied; it is divided out, so that they are
            log-probabilities like those of any other training.
    """

    def __init__(
        self,
        head: Literal["classes", "ab"] = "classes",
        width: float = 1.0,
        weights: str | Path | None = None,
        weights_scale: float = RELEASED_SCALE,
    ) -> None:
        super().__init__()
        c64, c128, c256, c512 = (max(1, round(width * channels)) for channels in (64, 128, 256, 512))
        self.conv1 = nn.Sequential(*convolutions([1, c64, c64], last_stride=2))
        self.conv2 = nn.Sequential(*convolutions([c64, c128, c128], last_stride=2))
        self.conv3 = nn.Sequential(*convolutions([c128, c256, c256, c256], last_stride=2))
        self.conv4 = nn.Sequential(*convolutions([c256, c512, c512, c512]))
        self.conv5 = nn.Sequential(*convolutions([c512, c512, c512, c512], dilation=2))
        self.conv6 = nn.Sequential(*convolutions([c512, c512, c512, c512], dilation=2))
        self.conv7 = nn.Sequential(*convolutions([c512, c512, c512, c512]))
        self.conv8 = nn.Sequential(
            nn.ConvTranspose2d(c512, c256, 4, 2, padding=1),
            nn.ReLU(inplace=True),
            *convolutions([c256, c256, c256], norm=False),
        )
        initialise(self)
        self.decide(head, c256)
        if weights is not None:
            rename = {r"^model8\.6\.": "head.", r"^model(\d)\.": r"conv\1."}
            load_released(self, weights, rename, ignore=r"model_out\..*")
            for values in self.get_submodule("head").parameters():
                values.data /= weights_scale

    def forward(self, lightness: Tensor) -> ColorFeatures:
        """L in 0..100, [B, 1, H, W]."""
        height, width = (-(-size // self.stride) for size in lightness.shape[-2:])
        x = pad_to_multiple(lightness).sub(50).div(100)
        x = self.conv4(self.conv3(self.conv2(self.conv1(x))))
        x = self.conv8(self.conv7(self.conv6(self.conv5(x))))[..., :height, :width]
        return self.decided(x)
