"""AlexNet: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
NIPS 2012; and its one-tower form: Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", arXiv:1404.5997, 2014."""

from typing import Literal

from torch import Tensor, nn

from vision_apps.core.errors import ConfigError

WIDTHS = {2012: (96, 256, 384, 384, 256), 2014: (64, 192, 384, 256, 256)}


class AlexNet(nn.Module):
    """AlexNet (Krizhevsky et al. 2012): five convolutions and three linear layers.

    For 1,000 classes and the ``imagenet`` stem, ``version=2012`` has the paper's 60,965,224 parameters:
    convolutions 2, 4 and 5 see only their own graphics card's half of the maps (section 3.2), here two
    groups, and responses 1 and 2 are normalised (section 3.3). ``version=2014`` has 61,100,840, one tower and
    no normalisation; torchvision's ``alexnet`` is this one.

    Args:
        image_size: side of the square input, pixels; decides ``stem="auto"``; at least 63 for the
            ``imagenet`` stem and 15 for the ``small`` one.
        stem: ``imagenet`` begins with 11 x 11 at stride 4 and ends with 6 x 6 maps, ``small`` begins with
            5 x 5 at stride 1 and ends with 3 x 3 maps; ``auto`` is ``small`` up to 64 pixels.
        width: factor on all layers but the last.
        dropout: probability of dropping a unit of the first two linear layers (section 4.2).
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int = 224,
        version: Literal[2012, 2014] = 2012,
        stem: Literal["auto", "imagenet", "small"] = "auto",
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        w1, w2, w3, w4, w5 = (max(2, 2 * round(channels * width / 2)) for channels in WIDTHS[version])
        units = max(1, round(4096 * width))
        paper = version == 2012
        groups = 2 if paper else 1
        small = stem == "small" or (stem == "auto" and image_size <= 64)
        smallest = 15 if small else 63  # below it a pooling layer is larger than its input
        if image_size < smallest:
            remedy = "model=classification_cnn" if small else "model.stem=small"
            raise ConfigError(
                f"model.image_size: AlexNet with this stem takes {smallest} pixels or more, these images "
                f"have {image_size}; try {remedy}"
            )
        grid = 3 if small else 6
        kernel, stride = (5, 1) if small else (11, 4)
        self.features = nn.Sequential(
            nn.Conv2d(3, w1, kernel, stride, padding=2),
            nn.ReLU(),
            response_norm() if paper else nn.Identity(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(w1, w2, 5, padding=2, groups=groups),
            nn.ReLU(),
            response_norm() if paper else nn.Identity(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(w2, w3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(w3, w4, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(w4, w5, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.AdaptiveAvgPool2d(grid),  # the identity at 224 and at 32 pixels
        )
        self.hidden = nn.Sequential(
            nn.Linear(w5 * grid**2, units),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(units, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K]."""
        return self.head(self.hidden(self.features(images).flatten(1)))


def response_norm() -> nn.Module:
    """x / (2 + 1e-4 * sum of squares over 5 neighbouring maps)**0.75 (Krizhevsky et al. 2012, section 3.3);
    torch divides alpha by 5."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
