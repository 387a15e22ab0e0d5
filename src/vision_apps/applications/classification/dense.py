"""A fully connected network: what convolutions are compared with."""

from torch import Tensor, nn


class Dense(nn.Module):
    """Pixels in one row, ``depth`` hidden layers of equal width, one linear layer.

    At 32 x 32 pixels and ten classes, depth 2 and width 30 give 93,430 parameters, as many as the default
    ``Cnn`` (94,762) within 2 %.

    Args:
        image_size: side of the square input, pixels.
        depth: hidden layers; 0 is multinomial logistic regression.
        width: units of each hidden layer.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        depth: int = 2,
        width: int = 256,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        layers: list[nn.Module] = [nn.Flatten()]
        features = 3 * image_size**2
        for _ in range(depth):
            layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
            features = width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, image_size, image_size] -> logits [B, K]."""
        return self.head(self.hidden(images))
