"""What travels between data, captioners, module and user."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Boxes, Pixels, RowsOf, Text

if TYPE_CHECKING:
    from vision_apps.applications.captioning.captioner import Seen


class CaptionBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # int64 [B, R, L]: numbers of words, the end, zeros; a row of zeros where a picture has fewer captions
    captions: Annotated[Tensor, Text()]
    # uint8 [B, R, M]: the words of all captions as UTF-8, a space between two, zeros past the end; also those
    # that the vocabulary lacks or that are past L. None: as the numbers say
    references: Annotated[Tensor | None, Text()] = None
    # float32 [B, M, 4], x1, y1, x2, y2 in pixels, y down; zero rows past the objects
    boxes: Annotated[Tensor | None, Boxes("box_labels")] = None
    box_labels: Annotated[Tensor | None, RowsOf("boxes")] = None  # int64 [B, M], -1 where there is no object
    # what is looked at: float32 [B, R, 4] as ``boxes``, zero rows past the regions; and what is known of each
    regions: Annotated[Tensor | None, Boxes()] = None
    region_features: Annotated[Tensor | None, RowsOf("regions", empty=0)] = None  # float32 [B, R, D]


class CaptionInputs(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, R, 4], x1, y1, x2, y2 in pixels, zero rows past the regions. None: those that the
    # network's own detector finds, if it has one
    regions: Annotated[Tensor | None, Boxes()] = None
    region_features: Annotated[Tensor | None, RowsOf("regions", empty=0)] = None  # float32 [B, R, D]


class CaptionAnswer(NamedTuple):
    """The best captions, the likeliest first; where there are fewer than N, all values of one are 0."""

    words: Tensor  # int64 [B, N, T]: numbers of words, the end, zeros; without the end it was cut off
    log_probabilities: Tensor  # float32 [B, N], nat, of the whole caption
    # float32 [B, N, T, h, w], 0..1: where each word was looked for, in the picture as the network saw it; of
    # no places where regions alone were looked at
    maps: Tensor
    # where regions were looked at: float32 [B, R, 4] in pixels of the picture, zero rows past them; and how
    # much at each, [B, N, T, R], which with the map sums to 1
    region_boxes: Tensor | None = None
    region_weights: Tensor | None = None


class CaptionOutputs(NamedTuple):
    """What a captioner says of each word of given captions, after the words before it."""

    captions: Tensor  # int64 [B, R, L], zeros past the end
    logits: Tensor  # [B, R, L, V]
    maps: Tensor  # [B, R, L, P], each sums to 1
    seen: "Seen | None" = None  # what was looked at
