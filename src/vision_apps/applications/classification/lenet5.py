"""LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86 (11), 1998, section II.B."""

import torch
from torch import Tensor, nn


class ScaledTanh(nn.Module):
    """1.7159 tanh(2x/3): close to the identity at +-1, where its second derivative is largest (LeCun
    et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class LeNet5(nn.Module):
    """LeNet-5 (LeCun et al. 1998, section II.B) in its common form: C3 sees all six maps of S2 (the paper's
    Table I leaves some out), the subsampling layers are plain means (the paper's have a gain and a bias per
    map), and the output is linear with softmax (the paper: radial basis functions against drawn digits).
    62,006 parameters for ten classes: 61,706 with one channel, and 300 for the other two.

    The geometry is that of 32 x 32 pixels; images of another size are brought to it before they arrive here.
    """

    image_size = 32

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 6, 5)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.head = nn.Linear(84, num_classes)
        self.subsample = nn.AvgPool2d(2)
        self.activation = ScaledTanh()

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> logits [B, K]."""
        maps = self.subsample(self.activation(self.c1(images)))  # S2: [B, 6, 14, 14]
        maps = self.subsample(self.activation(self.c3(maps)))  # S4: [B, 16, 5, 5]
        features = self.activation(self.c5(maps)).flatten(1)  # [B, 120]
        return self.head(self.activation(self.f6(features)))
