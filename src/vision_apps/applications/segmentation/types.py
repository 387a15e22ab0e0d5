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


class AuxiliaryLogits(NamedTuple):
    """What a network with an auxiliary head returns while it trains; otherwise it returns ``logits``
    alone."""

    logits: Tensor  # [B, K, h, w]
    auxiliary: Tensor  # [B, K, h', w']
    weight: float  # of the auxiliary loss in the sum
