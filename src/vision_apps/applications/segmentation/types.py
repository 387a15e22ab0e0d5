"""What travels between data, network, module and user."""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Mask, OfFile, Pixels, Stays


class SegmentationBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    masks: Annotated[Tensor, Mask()]  # uint8 [B, H, W], class 0..K-1, 255 = ignored
    sizes: Annotated[Tensor | None, Stays()] = None  # int64 [B, 2], height and width of the files
    # uint8 [B, h, w], the masks as they are in the files, to be measured with; 255 past a file's end
    truths: Annotated[Tensor | None, OfFile(255, classes=True)] = None


class TiledBatch(NamedTuple):
    """A `SegmentationBatch` to be measured at the files' own scale."""

    images: Annotated[Tensor, Pixels()]
    masks: Annotated[Tensor, Mask()]
    sizes: Annotated[Tensor | None, Stays()] = None
    truths: Annotated[Tensor | None, OfFile(255, classes=True)] = None
    files: Annotated[Tensor | None, OfFile()] = None  # uint8 [B, 3, h, w]


class SegmentationAnswer(NamedTuple):
    # uint8 [B, H, W], class 0..K-1, in pixels of the picture that was given; where the files of a batch are
    # measured, those of the largest, and 255 past a smaller one's end
    masks: Tensor


class ScoredMasks(NamedTuple):
    """What an exported graph gives."""

    masks: Tensor  # uint8 [B, H, W], class 0..K-1
    logits: Tensor  # float32 [B, K, H, W]
