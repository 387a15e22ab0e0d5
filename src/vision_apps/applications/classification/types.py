"""What travels between data, network, module and user."""

from typing import NamedTuple

from torch import Tensor


class LabelBatch(NamedTuple):
    images: Tensor  # uint8 [B, 3, H, W], sRGB
    labels: Tensor  # int64 [B]; after mixup or cutmix float [B, K], rows sum to 1


class ClassAnswer(NamedTuple):
    probabilities: Tensor  # float32 [B, K], rows sum to 1
