"""The classes of other data under the numbers of a run."""

from typing import Annotated, NamedTuple

import pytest
import torch
from torch import Tensor

from vision_apps.core.class_names import renumbering
from vision_apps.core.data import TensorSamples
from vision_apps.core.errors import DataError
from vision_apps.core.fields import Boxes, Label, Mask, MultiHot, OfFile, Pixels, RowsOf
from vision_apps.core.renumbering import Renumbered


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    labels: Annotated[Tensor, Label()]
    masks: Annotated[Tensor, Mask()]
    truths: Annotated[Tensor, OfFile(255, classes=True)]
    files: Annotated[Tensor, OfFile()]
    boxes: Annotated[Tensor, Boxes("kinds")]
    kinds: Annotated[Tensor, RowsOf("boxes")]
    scores: Annotated[Tensor, RowsOf("boxes")]


SAMPLE = {
    "images": torch.tensor([0, 1]),
    "labels": torch.tensor(1),
    "masks": torch.tensor([[0, 1], [255, 0]], dtype=torch.uint8),
    "truths": torch.tensor([[1, 255, 0]], dtype=torch.uint8),
    "files": torch.tensor([[1, 255, 0]], dtype=torch.uint8),
    "boxes": torch.tensor([[0.0, 1, 0, 1]]),
    "kinds": torch.tensor([1, 0, -1]),
    "scores": torch.tensor([1, 0, -1]),
}


def test_by_name() -> None:
    assert renumbering(["a", "b"], ["a", "b"]) is None
    assert renumbering(["b", "a"], ["a", "b"]) == [1, 0]
    assert renumbering(["b", "c"], ["a", "b", "c"]) == [1, 2]
    assert renumbering(["a", "b"], ["a", "b", "c"]) == [0, 1]
    with pytest.raises(
        DataError, match="d, e of these data are not among a, b, c, which it was trained with"
    ):
        renumbering(["a", "d", "e"], ["a", "b", "c"])


@pytest.mark.parametrize("in_memory", [False, True])
def test_labels_boxes_and_masks(in_memory: bool) -> None:
    samples = TensorSamples(**{k: v[None] for k, v in SAMPLE.items()}) if in_memory else [SAMPLE]
    found = Renumbered(samples, [2, 0], Batch)
    assert (len(found), found.in_memory) == (1, in_memory)
    got = {k: v[0] for k, v in found.__getitems__([0]).items()} if in_memory else found[0]
    assert {name: value.tolist() for name, value in got.items()} == {
        "images": [0, 1],
        "labels": 0,
        "masks": [[2, 0], [255, 2]],
        "truths": [[0, 255, 2]],
        "files": [[1, 255, 0]],
        "boxes": [[0, 1, 0, 1]],
        "kinds": [0, 2, -1],
        "scores": [1, 0, -1],
    }
    assert all(got[name].dtype == SAMPLE[name].dtype for name in got)


class Tagged(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    multi_hot: Annotated[Tensor, MultiHot()]


def test_columns_of_classes_go_where_the_run_has_them() -> None:
    numbers = renumbering(["c", "a"], ["a", "b", "c"])
    assert numbers == [2, 0]
    images, multi_hot = torch.tensor([[0], [1]]), torch.tensor([[1, 0], [1, 1]], dtype=torch.uint8)
    samples = Renumbered(TensorSamples(images=images, multi_hot=multi_hot), numbers, Tagged, 3)
    found = samples.__getitems__([0, 1])
    assert found["multi_hot"].tolist() == [[0, 0, 1], [1, 0, 1]]
    assert found["multi_hot"].dtype == torch.uint8
    assert found["images"].tolist() == [[0], [1]]
