"""A small convolutional network, the default: minutes on two processor cores."""

from torch import Tensor, nn


class Cnn(nn.Module):
    """``depth`` times convolution 3 x 3, batch normalisation, ReLU, with the size halved and the width
    doubled in between; mean over the picture; one linear layer. Takes any image size.

    Args:
        depth: convolutions.
        width: channels of the first; layer i has ``width * 2**i``. 32 gives 94,762 parameters for ten
            classes.
        dropout: probability of dropping a feature before the linear layer.
    """

    def __init__(
        self,
        num_classes: int,
        depth: int = 3,
        width: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for i in range(depth):
            if i > 0:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))  # ceil: one pixel stays one pixel
            # the normalisation's shift takes the place of the bias
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels, width = width, 2 * width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K]."""
        features = self.pool(self.features(images)).flatten(1)
        return self.head(self.dropout(features))
