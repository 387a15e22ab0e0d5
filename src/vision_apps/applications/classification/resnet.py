"""ResNet: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, Table 1 and section
4.2."""

from typing import Literal

from torch import Tensor, nn

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Basic(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, figure 5, left)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = projection(inputs, width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        return self.relu(residual + self.shortcut(x))


class Bottleneck(nn.Module):
    """1 x 1 down to ``width``, 3 x 3, 1 x 1 up to four times ``width`` (He et al. 2016, figure 5, right). The
    stride is in the 3 x 3 convolution, as in the authors' later code and in all published weights, not in the
    first convolution."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * width)
        self.shortcut = projection(inputs, 4 * width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.relu(self.norm1(self.conv1(x)))
        residual = self.relu(self.norm2(self.conv2(residual)))
        residual = self.norm3(self.conv3(residual))
        return self.relu(residual + self.shortcut(x))


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity where shapes agree, else a 1 x 1 convolution (He et al. 2016, section 3.3, option B)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """ResNet (He et al. 2016, table 1): four stages of residual blocks. With the ``imagenet`` stem and 1,000
    classes: 11,689,512 parameters (18 layers), 21,797,672 (34), 25,557,032 (50), the same function as
    torchvision's ``resnet18``, ``resnet34``, ``resnet50``.

    Args:
        depth: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        image_size: side of the square input, pixels; only decides ``stem="auto"``, any size is taken.
        stem: ``imagenet`` is 7 x 7 at stride 2 and pooling, ``cifar`` is 3 x 3 at stride 1 and none (section
            4.2); ``auto`` is ``cifar`` up to 64 pixels.
        width: channels of the first stage; each later stage doubles them.
        zero_init: start every block as its shortcut (Goyal et al. 2017, section 5.1).
    """

    def __init__(
        self,
        num_classes: int,
        image_size: int = 224,
        depth: Literal[18, 34, 50, 101, 152] = 18,
        stem: Literal["auto", "imagenet", "cifar"] = "auto",
        width: int = 64,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        small = stem == "cifar" or (stem == "auto" and image_size <= 64)
        block = Basic if depth < 50 else Bottleneck
        kernel, stride = (3, 1) if small else (7, 2)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1),
        )
        blocks: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(STAGES[depth]):
            for i in range(count):
                blocks.append(block(channels, width * 2**stage, 2 if stage > 0 and i == 0 else 1))
                channels = width * 2**stage * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init and isinstance(module, Bottleneck):
                nn.init.zeros_(module.norm3.weight)
            elif zero_init and isinstance(module, Basic):
                nn.init.zeros_(module.norm2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, K]."""
        features = self.pool(self.blocks(self.stem(images))).flatten(1)
        return self.head(features)
