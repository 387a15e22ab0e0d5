"""What travels between data, network, module and user."""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Mask, Pixels


class SegmentationBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    masks: Annotated[Tensor, Mask()]  # uint8 [B, H, W], class 0..K-1, 255 = ignored


class SegmentationAnswer(NamedTuple):
    masks: Tensor  # uint8 [B, H, W], class 0..K-1


class ScoredMasks(NamedTuple):
    """What an exported graph gives."""

    masks: Tensor  # uint8 [B, H, W], class 0..K-1
    logits: Tensor  # float32 [B, K, H, W]
