"""What travels between data, detectors, module and user.

Boxes are float32 x1, y1, x2, y2 in pixels, y down, the second corner exclusive.
"""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Boxes, Pixels, RowsOf, Stays


class DetectionBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, M, 4], zero rows past the objects
    boxes: Annotated[Tensor, Boxes("box_labels", ignored="ignored")]
    box_labels: Annotated[Tensor, RowsOf("boxes")]  # int64 [B, M], 0..K-1, -1 where there is no object
    # bool [B, M]: neither trained on nor counted (VOC difficult, COCO crowd)
    ignored: Annotated[Tensor, RowsOf("boxes", empty=0)]
    sizes: Annotated[Tensor, Stays()]  # int64 [B, 2], height and width of the picture before it was fitted
    # float32 [B, P, 4], zero rows are none; P = 0 where the data has no proposals
    proposals: Annotated[Tensor, Boxes()]
    # float32 [B, M], pixels of the file: as annotated (COCO's masks), or that of the box; none: of the boxes
    areas: Annotated[Tensor | None, RowsOf("boxes", empty=0)] = None


class DetectionInputs(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, P, 4] in pixels of the images; none, or P = 0: the network finds its own where it needs any
    proposals: Annotated[Tensor | None, Boxes()] = None


class DetectionAnswer(NamedTuple):
    boxes: Tensor  # float32 [B, D, 4] in pixels of the picture that was given, best first, zero padded
    scores: Tensor  # float32 [B, D], 0..1
    labels: Tensor  # int64 [B, D], 0..K-1, -1 where there is no detection


class Target(NamedTuple):
    """The objects of one picture."""

    boxes: Tensor  # float32 [n, 4]
    labels: Tensor  # int64 [n]
    ignored: Tensor  # float32 [m, 4]: regions that count neither as object nor as background


class Detections(NamedTuple):
    """What was found in one picture, best first."""

    boxes: Tensor  # float32 [d, 4]
    scores: Tensor  # float32 [d]
    labels: Tensor  # int64 [d]


class Candidates(NamedTuple):
    """All that a detector with a fixed number of places says, before suppression."""

    boxes: Tensor  # float32 [B, N, 4], in pixels of the network's input, clipped to it
    scores: Tensor  # float32 [B, N, K], 0..1
