"""A complete application in a few lines: what the engine's tests train."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from vision_apps.core import draws
from vision_apps.core.augmentation import Augmentation
from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import ImageInputs, Label, Pixels
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.core.presentation import Presentation


class ToyBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, 8, 8]
    labels: Annotated[Tensor, Label()]  # int64 [B]


class ToyAnswer(NamedTuple):
    scores: Tensor  # float32 [B, K]


class ToyData(VisionData):
    """Bright or dark pictures."""

    fields = ("images", "labels")
    fact_names = ("num_classes", "image_size")

    def __init__(self, count: int = 50, **loader: Any) -> None:
        super().__init__(**loader)
        self.count = count

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_classes": 2, "image_size": 8}

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        generator = torch.Generator().manual_seed({"train": 1, "val": 2, "test": 3}[split])
        labels = torch.randint(2, (self.count,), generator=generator)
        noise = torch.randint(0, 156, (self.count, 3, 8, 8), generator=generator)
        return TensorSamples(
            images=(noise + 100 * labels[:, None, None, None]).to(torch.uint8), labels=labels
        )


class ToyNet(nn.Module):
    def __init__(self, num_classes: int, width: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.norm(self.conv(images)).relu().mean((2, 3))))


def noise(batch: ToyBatch) -> ToyBatch:
    drawn = draws.integers(0, 8, *batch.images.shape).to(batch.images)
    return batch._replace(images=batch.images ^ drawn)


class Early(Augmentation):
    """One that ends before the run does, and remembers what it was given."""

    given: ClassVar[list[int]] = []  # the sum of each batch

    def __init__(self, until: float) -> None:
        self.until = until

    def __call__(self, batch: ToyBatch) -> ToyBatch:
        self.given.append(int(batch.images.sum()))
        return noise(batch)


class ToyPresentation(Presentation[ToyBatch, ImageInputs, ToyAnswer]):
    def describe(self, inputs: ImageInputs, answer: ToyAnswer) -> list[dict[str, Any]]:
        return [{"bright": float(row[1])} for row in answer.scores]


class ToyModule(VisionModule[ToyBatch, ImageInputs, Tensor, ToyAnswer]):
    def __init__(self, network: nn.Module, num_classes: int, poison: int | None = None, **rest: Any) -> None:
        super().__init__(network, **rest)
        if poison is not None and poison < 0:
            raise ConfigError(f"module.poison: {poison}; expected at least 0")
        self.presentation = ToyPresentation()
        self.num_classes = num_classes
        self.poison = poison  # the step whose loss is made NaN

    def outputs(self, inputs: ImageInputs) -> Tensor:
        return self.network(inputs.images.float() / 255)

    def answer(self, outputs: Tensor, inputs: ImageInputs) -> ToyAnswer:
        return ToyAnswer(outputs.float().softmax(1))

    def loss(self, outputs: Tensor, batch: ToyBatch) -> dict[str, Part]:
        loss = nn.functional.cross_entropy(outputs.float(), batch.labels, reduction="sum")
        if self.poison is not None and self.training and self.trainer.global_step == self.poison:
            loss = loss * torch.nan
        return {"loss": Part(loss, len(outputs))}

    def build_metrics(self) -> MetricCollection:
        return MetricCollection({"accuracy": MulticlassAccuracy(self.num_classes, average="micro")})

    def score(self, metrics: Any, answer: ToyAnswer, batch: ToyBatch) -> None:
        metrics.update(answer.scores, batch.labels)

    def baselines(self, batch: ToyBatch) -> dict[str, ToyAnswer]:
        return {"constant": ToyAnswer(torch.tensor([[1.0, 0.0]]).expand(len(batch.labels), 2))}


class Note(pl.Callback):
    """A callback of somebody's own."""

    def __init__(self, folder: str, num_classes: int, name: str = "note.txt") -> None:
        self.path, self.num_classes = Path(folder) / name, num_classes

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.path.write_text(str(self.num_classes))
