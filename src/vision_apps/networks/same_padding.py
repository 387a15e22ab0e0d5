"""TensorFlow's padding "same" in whole numbers, so that a graph of any size can be exported in seconds.

timm's own form rounds a quotient up, of sizes that are unknown while a graph is traced; after five such
layers one core is busy with it for minutes.
"""

import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn


class SameConv2d(nn.Conv2d):
    """Of stride 2 with odd kernels: to the last bit the values of the ``layer`` of timm whose parameters it
    takes."""

    def __init__(self, layer: Conv2dSame) -> None:
        super().__init__(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            groups=layer.groups,
            bias=layer.bias is not None,
            device="meta",  # the parameters are those of the layer
        )
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, (H + 1) // 2, (W + 1) // 2]."""
        (height, width), (tall, wide) = x.shape[-2:], (side // 2 for side in self.kernel_size)
        # an even side has one row less to fill up, and that one is missing before the first
        x = F.pad(x, (wide - 1 + width % 2, wide, tall - 1 + height % 2, tall))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


def in_whole_numbers(network: nn.Module) -> None:
    """Put `SameConv2d` in place of all layers of timm that it stands for."""
    for name, layer in list(network.named_modules()):
        if (
            type(layer) is Conv2dSame
            and layer.stride == (2, 2)
            and layer.dilation == (1, 1)
            and all(side % 2 and side > 1 for side in layer.kernel_size)
        ):
            network.set_submodule(name, SameConv2d(layer))
