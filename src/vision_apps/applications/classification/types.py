"""What travels between data, network, module and user."""

from typing import Annotated, NamedTuple

from torch import Tensor

from vision_apps.core.fields import Label, MultiHot, Pixels


class LabelBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    labels: Annotated[Tensor, Label()]  # int64 [B]; after mixup or cutmix float [B, K], rows sum to 1


class ClassAnswer(NamedTuple):
    probabilities: Tensor  # float32 [B, K], rows sum to 1


def hard(labels: Tensor) -> Tensor:
    """The class with the largest share: int64 [B] from int64 [B] or float [B, K]."""
    return labels.argmax(dim=1) if labels.ndim == 2 else labels


class MultiLabelBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W], sRGB
    multi_hot: Annotated[Tensor, MultiHot()]  # uint8 [B, K], 1 where the class is there; float after mixup


class MultiLabelAnswer(NamedTuple):
    probabilities: Tensor  # float32 [B, K], of each class by itself
    present: Tensor  # bool [B, K], at each class's threshold
