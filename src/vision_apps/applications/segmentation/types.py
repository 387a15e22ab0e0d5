"""What travels between data, network, module and user."""

from typing import NamedTuple

from torch import Tensor


class SegmentationBatch(NamedTuple):
    images: Tensor  # uint8 [B, 3, H, W], sRGB
    masks: Tensor  # uint8 [B, H, W], class 0..K-1, 255 = ignored


class SegmentationAnswer(NamedTuple):
    masks: Tensor  # uint8 [B, H, W], class 0..K-1


class ScoredMasks(NamedTuple):
    """What an exported graph gives."""

    masks: Tensor  # uint8 [B, H, W], class 0..K-1
    logits: Tensor  # float32 [B, K, H, W]
