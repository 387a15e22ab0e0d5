"""What travels between data, network, module and user.

Boxes are float32 x1, y1, x2, y2 in pixels, y down, the second corner exclusive. A relation is a row of three
numbers: the subject's row of the boxes, the object's, and the predicate.
"""

from typing import Annotated, Literal, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Boxes, Links, Pixels, RowsOf, Stays

Protocol = Literal["predcls", "sgcls", "sgdet"]

# Which of boxes and classes are given (Xu et al., CVPR 2017, section 4.1): both, the boxes, nothing.
PROTOCOLS: tuple[Protocol, ...] = ("predcls", "sgcls", "sgdet")


class SceneGraphBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, M, 4], zero rows past the objects
    boxes: Annotated[Tensor, Boxes("box_labels", ignored="ignored")]
    box_labels: Annotated[Tensor, RowsOf("boxes")]  # int64 [B, M], 0..K-1, -1 where there is no object
    ignored: Annotated[Tensor, RowsOf("boxes", empty=0)]  # bool [B, M]: objects that are looked at by nobody
    sizes: Annotated[Tensor, Stays()]  # int64 [B, 2], height and width of the picture before it was fitted
    # int64 [B, R, 3]: subject, object, predicate 0..Q-1; rows of -1 are none
    relations: Annotated[Tensor, Links("boxes", columns=(0, 1), directional=True)]


class SceneGraphInputs(NamedTuple):
    """With boxes and classes it is predcls, with boxes sgcls, with neither sgdet."""

    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    # float32 [B, M, 4] in pixels of the images; none: those that the detector in the checkpoint finds
    boxes: Annotated[Tensor | None, Boxes("box_labels")] = None
    # int64 [B, M]: 0..K-1, K where the class is asked, -1 where there is no object
    box_labels: Annotated[Tensor | None, RowsOf("boxes")] = None


class Told(NamedTuple):
    """What a network says of objects and pairs of them."""

    objects: Tensor  # logits of the classes [B, M, K]
    labels: Tensor  # int64 [B, M]: those that pairs were told with, 0..K-1, -1 where there is no object
    predicates: Tensor  # logits [B, P, Q + 1], the last of no relation; before any prior
    pairs: Tensor  # int64 [B, P, 2]: subject and object, rows of the objects
    # the same without what was seen of the two objects and where they are; only if it was asked for
    wiped: Tensor | None = None


class SceneGraphOutputs(NamedTuple):
    """Objects, and what the network says of them."""

    boxes: Tensor  # float32 [B, M, 4] in pixels of the picture
    scores: Tensor  # float32 [B, M], 0..1: how sure the detector is; 1 of what was given
    given: Tensor  # bool [B, M]: the class was given, or found with the box
    told: Told


class SceneGraphAnswer(NamedTuple):
    """A graph of a picture; where several protocols are measured one for each of them, in their order, else
    G is 1."""

    object_boxes: Tensor  # float32 [B, G, M, 4] in pixels of the picture, zero rows past the objects
    object_labels: Tensor  # int64 [B, G, M], 0..K-1, -1 where there is no object
    object_scores: Tensor  # float32 [B, G, M], 0..1, of the class; 0 where there is no object
    # float32 [B, G, M, M, Q]: how likely each predicate holds from a subject (row) to an object (column); 0
    # where one of them is none, and of an object to itself
    predicates: Tensor


def present(labels: Tensor) -> Tensor:
    """Which rows are objects, bool, and which class of int64 labels of any shape."""
    return labels >= 0


def pair_mask(there: Tensor) -> Tensor:
    """Which ordered pairs are of two different objects: bool [..., M] -> bool [..., M, M]."""
    different = ~there.new_ones(there.shape[-1], there.shape[-1]).tril().triu()
    return there[..., :, None] & there[..., None, :] & different
