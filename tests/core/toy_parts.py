"""Networks with parts: what is frozen, has a rate of its own, or is taken from another run."""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from toy import ToyAnswer, ToyBatch, ToyData, ToyModule

from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import Part
from vision_apps.data.labels.folder import ImageFolder


class PartsNet(nn.Module):
    """Two layers to freeze, each a convolution with batch normalisation, dropout, and a head."""

    def __init__(self, num_classes: int, width: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.backbone = nn.Sequential(layer(3, width, dropout), layer(width, width, dropout))
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images).mean((2, 3)))
        return logits


def layer(inputs: int, outputs: int, dropout: float) -> nn.Module:
    return Layer(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.Dropout(dropout)
    )


class Layer(nn.Sequential):
    """One of a backbone's."""


class Wrapped(nn.Module):
    """The same backbone under another name, which it offers as a property, and another head."""

    def __init__(self, num_classes: int, width: int = 4, dropout: float = 0.5) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"features": PartsNet(num_classes, width, dropout).backbone})
        self.neck = nn.Conv2d(width, width, 1)
        self.top = nn.Linear(width, num_classes)

    @property
    def backbone(self) -> nn.Module:
        return self.inner["features"]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.top(self.neck(self.backbone(images)).mean((2, 3)))
        return logits


class PlainParts(nn.Module):
    """Two layers and a head with nothing random and nothing that depends on how a batch is shared."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 8), nn.Tanh(), nn.Linear(8, 8))
        self.head = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits


class NamedData(ToyData):
    """Pictures whose classes have names."""

    fact_names = ("num_classes", "image_size", "class_names")

    def __init__(self, class_names: list[str], **rest: Any) -> None:
        super().__init__(**rest)
        self.class_names = class_names

    @property
    def facts(self) -> dict[str, Any]:
        return {"num_classes": len(self.class_names), "image_size": 8, "class_names": list(self.class_names)}


class Twice(ImageFolder):
    """Two samples of each picture, as if there were two questions."""

    def split_up(self, *words: Any) -> Any:
        splits = super().split_up(*words)
        self._files = {
            split: files.take(torch.arange(len(files)).repeat(2)) for split, files in splits.items()
        }
        self._in_splits = {split: names * 2 for split, names in self._in_splits.items()}
        return self._files


def state_below(state: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


class Watch(pl.Callback):
    """Of each step: the weights after it, which parameters had a gradient, which parts were training."""

    seen: ClassVar[list[tuple[dict[str, Tensor], dict[str, bool], dict[str, bool]]]] = []

    def on_train_start(self, *_: Any) -> None:
        self.seen.clear()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        state = {name: value.clone() for name, value in pl_module.state_dict().items()}
        learned = {name: p.grad is not None for name, p in pl_module.named_parameters()}
        modes = {name: part.training for name, part in pl_module.named_modules()}
        self.seen.append((state, learned, modes))


class Mirrored(PartsNet):
    """Looks at the picture and at its mirror image."""

    def forward(self, images: Tensor) -> Tensor:
        both = self.backbone(images) + 2 * self.backbone(images.flip(-1))
        logits: Tensor = self.head(both[..., : both.shape[-1] // 2].mean((2, 3)))
        return logits


class Levels(PartsNet):
    """Both layers by name, of a backbone that is told which of them to give."""

    def __init__(
        self, num_classes: int, width: int = 4, levels: tuple[str, ...] = ("fine", "coarse")
    ) -> None:
        super().__init__(num_classes, width, 0.5)
        self.backbone: nn.Module = LevelsBackbone(width, levels)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.backbone(images)
        logits: Tensor = self.head(sum(one.mean((2, 3)) for one in maps.values()))
        return logits


class LevelsBackbone(nn.Module):
    def __init__(self, width: int, levels: tuple[str, ...]) -> None:
        super().__init__()
        self.levels = levels
        self.first, self.second = layer(3, width, 0.5), layer(width, width, 0.5)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fine = self.first(images)
        maps = {"fine": fine, "coarse": self.second(fine)[..., ::2, ::2]}
        return {name: maps[name] for name in self.levels}


class Halves(PartsNet):
    """Gives the backbone parts of pictures."""

    def forward(self, images: Tensor) -> Tensor:
        halves = torch.cat(images.chunk(2, -1))
        logits: Tensor = self.head(sum(self.backbone(halves).chunk(2)).mean((2, 3)))
        return logits


class Around(PartsNet):
    """Calls the parts of its backbone, and never that itself."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone[1](self.backbone[0](images)).mean((2, 3)))
        return logits


class Freely(ToyModule):
    """Learns and answers in ways of its own, as what is said word by word does: nothing for ``outputs``."""

    def outputs(self, inputs: ImageInputs) -> Tensor:
        raise NotImplementedError

    def training_outputs(self, batch: ToyBatch) -> Tensor:
        logits: Tensor = self.network(batch.images.float() / 255)
        return logits

    def evaluate(self, batch: ToyBatch) -> tuple[dict[str, Part], ToyAnswer]:
        logits = self.training_outputs(batch)
        return self.loss(logits, batch), self.answer(logits, self.inputs(batch))

    def forward(self, inputs: ImageInputs) -> ToyAnswer:
        return self.answer(self.network(inputs.images.float() / 255), inputs)
