"""An application in a few lines: its graph is written in a fraction of a second, and has every kind of
output."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.core import assembly
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import DataError
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Fields, ImageInputs, Pixels, Text
from vision_apps.core.module import VisionModule
from vision_apps.core.pictures import to_pil
from vision_apps.core.presentation import Presentation
from vision_apps.export.export import export

SIZE = 8
NAMES = ["dark", "bright"]
FORMATS = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}


class Batch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, 8, 8]


class Asked(NamedTuple):
    """A picture and numbers below 9, at most 6 of them: batch and inputs."""

    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, 8, 8]
    questions: Annotated[Tensor, Text()]  # int64 [B, L]


class Answer(NamedTuple):
    scores: Tensor  # float32 [B, 2]
    chosen: Tensor  # int64 [B]


class Data(VisionData):
    fields = ("images", "questions")
    fact_names = ("class_names", "image_size")

    def __init__(self, licence: str | None = None, broken: bool = False, **loader: Any) -> None:
        super().__init__(**loader)
        self.licence, self.broken = licence, broken

    @property
    def facts(self) -> dict[str, Any]:
        return {"class_names": NAMES, "image_size": SIZE}

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        if self.broken:
            raise DataError("the disk with the pictures is away\nmount it")
        generator = torch.Generator().manual_seed(len(split))
        images = torch.randint(256, (5, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        questions = [torch.randint(1, 9, (length,), generator=generator) for length in (2, 5, 1, 4, 6)]
        return TensorSamples(images=images, questions=questions)


class Net(nn.Module):
    """Takes any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.conv(images).relu().mean((2, 3)))


class OneSize(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIZE * SIZE, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))


class Branches(Net):
    """Whether it goes on depends on the picture, which no graph can tell."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.mean() > 0.5 else 1 - images)


class Rare(Net):
    """Has an operation that ONNX lacks."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.special.bessel_j0(super().forward(images))


class Reads(nn.Module):
    """A picture and numbers; of one length only where ``length`` is given."""

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.seen, self.length = Net(), length
        self.words = nn.Embedding(9, 2, padding_idx=0)
        self.places = nn.Parameter(torch.randn(6, 2))

    def forward(self, images: Tensor, questions: Tensor) -> Tensor:
        words = self.words(questions)
        if self.length is not None:
            return self.seen(images) + words.reshape(-1, self.length, 2).sum(1)
        told = (questions > 0).unsqueeze(-1)
        return self.seen(images) + ((words + self.places[: questions.shape[1]]) * told).sum(1)


class TinyPresentation(Presentation[Any, Any, Answer]):
    def describe(self, inputs: Fields, answer: Answer) -> list[dict[str, Any]]:
        return [{"chosen": int(number)} for number in answer.chosen]


class TinyExport(Exportable[ImageInputs, Answer]):
    """All but the cut."""

    def __init__(self, module: "Tiny") -> None:
        super().__init__(module.forward, Answer, {"scores": "of dark | bright"}, ("least",))
        self.module = module

    def outputs(self, inputs: ImageInputs) -> Answer:
        return whole(self.module.outputs(inputs))

    def answer(self, graph: Callable[[ImageInputs], Answer], inputs: ImageInputs) -> Answer:
        return self.module.cut(graph(inputs))


def whole(outputs: Tensor) -> Answer:
    return Answer(outputs, outputs.argmax(1))


class Tiny(VisionModule[Batch, ImageInputs, Tensor, Answer]):
    """Dark or bright."""

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        gain: float = 1.0,
        least: float = -100.0,
        **rest: Any,
    ) -> None:
        super().__init__(network, **rest)
        self.presentation = TinyPresentation()
        self.exportable = TinyExport(self)
        self.class_names, self.gain, self.least = class_names, gain, least

    def outputs(self, inputs: ImageInputs) -> Tensor:
        return self.network(inputs.images.float() / 255) * self.gain

    def answer(self, outputs: Tensor, inputs: ImageInputs) -> Answer:
        return self.cut(whole(outputs))

    def cut(self, found: Answer) -> Answer:
        return found._replace(scores=found.scores.clamp(min=self.least))

    def example(self) -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.randint(256, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8))


class Agent(Tiny):
    """One of whom no part is tensor operations alone."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.exportable = None


class Refuses(Tiny):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.exportable.refusal = lambda: "Net is asked word by word"


class Asks(VisionModule[Asked, Asked, Tensor, Answer]):
    """Dark or bright, or what the numbers say."""

    words: Mapping[str, str] = {"question": "numbers from 1 to 8"}

    def __init__(self, network: nn.Module, class_names: list[str], **rest: Any) -> None:
        super().__init__(network)
        self.presentation = TinyPresentation()
        self.exportable = Exportable(self.forward, Answer, {"questions": "numbers from 1 to 8"})
        self.class_names = class_names

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> Asked:
        assert images is not None
        return Asked(images, torch.tensor([[int(word) for word in words["question"].split()]]))

    def outputs(self, inputs: Asked) -> Tensor:
        return self.network(inputs.images.float() / 255, inputs.questions)

    def answer(self, outputs: Tensor, inputs: Asked) -> Answer:
        return whole(outputs)

    def example(self) -> Asked:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        return Asked(images, torch.tensor([[1, 2, 3, 4, 5], [8, 1, 0, 0, 0]]))


def checkpoint(path: str, network: str | dict[str, Any] = "Net", module: str = "Tiny", **data: Any) -> str:
    """Of random weights; ``network`` is the name of a class, or its whole node."""
    config: dict[str, Any] = {
        "task": {"name": "tiny"},
        "model": {"_target_": f"tiny.{network}"} if isinstance(network, str) else network,
        "module": {"_target_": f"tiny.{module}", "gain": 1.0, "least": -100.0},
        "data": {"_target_": "tiny.Data", **data},
    }
    facts = {"class_names": NAMES, "image_size": SIZE}
    torch.manual_seed(0)
    state = assembly.build_module(config, facts, trainable=False).state_dict()
    torch.save({"state_dict": state, "config": config, "facts": facts}, path)
    return path


def exported(kind: str, **changes: Any) -> Path:
    """``model.<suffix>`` here, as `export` writes it."""
    return export(checkpoint("model.ckpt", **changes), kind)


def picture(name: str = "photo.png", height: int = SIZE, width: int = SIZE) -> str:
    generator = torch.Generator().manual_seed(height)
    to_pil(torch.randint(256, (3, height, width), generator=generator, dtype=torch.uint8)).save(name)
    return name


def here() -> set[str]:
    """Every file here, also what is hidden."""
    return {str(path) for path in Path().rglob("*") if path.is_file()}
