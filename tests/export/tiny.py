"""An application in a few lines: its graph is written in a fraction of a second, and has every kind of
output."""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.core import assembly
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import DataError
from vision_apps.core.module import VisionModule
from vision_apps.core.pictures import to_pil
from vision_apps.export.export import export

SIZE = 8
NAMES = ["dark", "bright"]
FORMATS = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}


class Batch(NamedTuple):
    images: Tensor  # uint8 [B, 3, 8, 8]


class Answer(NamedTuple):
    scores: Tensor  # float32 [B, 2]
    chosen: Tensor  # int64 [B]


class Data(VisionData):
    fields = ("images",)

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
        return TensorSamples(images=images)


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


class Asks(Net):
    """Whether it goes on depends on the picture, which no graph can tell."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images if images.mean() > 0.5 else 1 - images)


class Rare(Net):
    """Has an operation that ONNX lacks."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.special.bessel_j0(super().forward(images))


class Tiny(VisionModule):
    """Dark or bright."""

    batch_type = Batch
    graph_type = Answer
    graph_notes: ClassVar = {"scores": "of dark | bright"}
    outside_graph = ("least",)

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        gain: float = 1.0,
        least: float = -100.0,
        **rest: Any,
    ) -> None:
        super().__init__(network, **rest)
        self.class_names, self.gain, self.least = class_names, gain, least

    def outputs(self, images: Tensor) -> Tensor:
        return self.network(images.float() / 255) * self.gain

    def answer(self, outputs: Tensor, images: Tensor) -> Answer:
        return self._cut(self._whole(outputs))

    def graph(self, images: Tensor) -> Answer:
        return self._whole(self.outputs(images))

    def answer_through(self, graph: Any, images: Tensor) -> Answer:
        return self._cut(graph(images))

    def _whole(self, outputs: Tensor) -> Answer:
        return Answer(outputs, outputs.argmax(1))

    def _cut(self, found: Answer) -> Answer:
        return found._replace(scores=found.scores.clamp(min=self.least))

    def show(self, images: Tensor, answer: Answer) -> list[Tensor]:
        return list(images)

    def describe(self, answer: Answer) -> list[dict[str, Any]]:
        return [{"chosen": int(number)} for number in answer.chosen]

    def example(self) -> Batch:
        generator = torch.Generator().manual_seed(0)
        return Batch(torch.randint(256, (2, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8))


class NoGraph(Tiny):
    graph_type = None


def checkpoint(path: str, network: str = "Net", module: str = "Tiny", **data: Any) -> str:
    """Of random weights."""
    config: dict[str, Any] = {
        "task": {"name": "tiny"},
        "model": {"_target_": f"tiny.{network}"},
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
