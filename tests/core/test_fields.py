"""What is said of fields beside them."""

from typing import Annotated, NamedTuple, Optional

from torch import Tensor

from vision_apps.core.fields import Label, Pixels, Text, kinds


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
