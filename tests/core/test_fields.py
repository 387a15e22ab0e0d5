"""What is said of fields beside them."""

from typing import Annotated, NamedTuple, Optional

import pytest
import torch
from torch import Tensor

from vision_apps.core.errors import DataError
from vision_apps.core.fields import Label, Pixels, Stays, Text, kinds, padded


class Said(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    inside: Annotated[Tensor | None, Text(empty=1)] = None
    outside: Annotated[Tensor, Text(empty=2)] | None = None
    optional: Optional[Annotated[Tensor, "of whom", Label()]] = None  # noqa: UP045 - people write it
    unsaid: Tensor | None = None


def test_kinds_of_fields_that_may_be_missing() -> None:
    assert kinds(Said) == {
        "images": Pixels(),
        "inside": Text(empty=1),
        "outside": Text(empty=2),
        "optional": Label(),
    }


def test_what_stays_is_filled_up_where_it_says_what_with() -> None:
    values = [torch.tensor([3, 4]), torch.tensor([5])]
    assert [value.tolist() for value in padded(values, "answers", Stays(empty=-1))] == [[3, 4], [5, -1]]
    with pytest.raises(DataError, match=r"differ in the shape of 'answers'.*Stays\(empty="):
        padded(values, "answers", Stays())
