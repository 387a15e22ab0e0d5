"""Which sizes of an input are free, and what they are called."""

from typing import Annotated, Any, NamedTuple

import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch
from torch import Tensor, nn

from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Boxes, Label, Links, Mask, Pixels, PixelTruth, RowsOf, Stays, Text
from vision_apps.core.module import VisionModule
from vision_apps.export import parity, tracing
from vision_apps.trained import description


class Everything(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    masks: Annotated[Tensor, Mask()]
    hints: Annotated[Tensor, PixelTruth()]
    regions: Annotated[Tensor, Boxes()]
    features: Annotated[Tensor, RowsOf("regions")]
    pairs: Annotated[Tensor, Links("regions")]
    questions: Annotated[Tensor, Text()]
    dialogs: Annotated[Tensor, Text()]
    classes: Annotated[Tensor, Label()]
    sizes: Annotated[Tensor, Stays()]
    unknown: Tensor
    empty: Annotated[Tensor, Boxes()]
    missing: Annotated[Tensor | None, Boxes()] = None


class Answer(NamedTuple):
    sums: Tensor  # float32 [B]
    higher: Tensor  # uint8 [B, 3, 2H, W]
    likeness: Tensor  # float32 [B, M]
    nothing: Tensor | None = None


class Sums(VisionModule[Everything, Everything, Answer, Answer]):
    def __init__(self) -> None:
        super().__init__(nn.Identity())
        self.exportable = Exportable(self.forward, Answer, {})

    def outputs(self, inputs: Everything) -> Answer:
        given = [value for value in inputs._asdict().values() if value is not None]
        sums = torch.stack([value.float().reshape(value.shape[0], -1).sum(1) for value in given]).sum(0)
        likeness = inputs.features.sum(2) + inputs.regions.sum(2)
        return Answer(sums, inputs.images.repeat_interleave(2, 2), likeness)

    def answer(self, outputs: Answer, inputs: Everything) -> Answer:
        return outputs

    def example(self) -> Everything:
        shapes = [(2, 3, 8, 6), (2, 8, 6), (2, 2, 8, 6), (2, 5, 4), (2, 5, 7), (2, 3, 2), (2, 4), (2, 2, 6)]
        shapes += [(2,), (2, 2), (2, 9), (2, 0, 4)]
        torch.manual_seed(0)
        images, *rest = (torch.randint(1, 9, shape) for shape in shapes)
        regions, features = (value.float() for value in rest[2:4])
        return Everything(images.to(torch.uint8), *rest[:2], regions, features, *rest[4:])


FREE: dict[str, list[Any]] = {
    "images": ["batch", 3, "height", "width"],
    "masks": ["batch", "height", "width"],
    "hints": ["batch", 2, "height", "width"],
    "regions": ["batch", "regions_length", 4],
    "features": ["batch", "regions_length", 7],
    "pairs": ["batch", "pairs_length", 2],
    "questions": ["batch", "questions_length"],
    "dialogs": ["batch", "dialogs_length_1", "dialogs_length"],
    "classes": ["batch"],
    "sizes": ["batch", 2],
    "unknown": ["batch", 9],
}


def test_names_follow_from_kinds() -> None:
    """What is empty or missing in the example does not go in, and the generator is left as it was."""
    module = Sums()
    values = description.example(module)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    entries = description.entries_of(module, description.example(module))
    assert torch.rand(1) == expected
    assert {entry["name"]: entry["shape"] for entry in entries} == FREE
    for entry in entries:
        assert entry["dtype"] == str(values[entry["name"]].dtype).removeprefix("torch.")


def test_every_kind_is_traced_free() -> None:
    """Sizes that the network makes are named by those that they are made of."""
    module = Sums().eval()
    program, signature = tracing.trace(module)
    assert {entry["name"]: entry["shape"] for entry in signature["inputs"]} == FREE
    assert [(entry["name"], entry["dtype"], entry["shape"]) for entry in signature["outputs"]] == [
        ("sums", "float32", ["batch"]),
        ("higher", "uint8", ["batch", 3, "2*height", "width"]),
        ("likeness", "float32", ["batch", "regions_length"]),
    ]
    example = tracing.as_inputs(module, description.example(module))
    other: Any = parity.resized(module, example, signature["inputs"])
    assert other.images.shape == (2, 3, 10, 9) and other.hints.shape == (2, 2, 10, 9)
    assert other.regions.shape == (2, 8, 4) and other.features.shape == (2, 8, 7)
    assert other.pairs.shape == (2, 5, 2) and other.dialogs.shape == (2, 2, 4)
    given = description.tensors(other)
    for found, expected in zip(
        program.module(check_guards=False)(*given.values()), module(other), strict=False
    ):
        torch.testing.assert_close(found, expected)
