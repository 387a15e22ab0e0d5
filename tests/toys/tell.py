"""A picture to a sequence of varying length: how many bright stripes there are, told one by one."""

from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torchmetrics import MeanMetric

from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.fields import ImageInputs, Pixels, Text
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.core.presentation import Presentation

MOST = 4  # stripes
END, STRIPE = 1, 2  # 0 is past the end


class TellBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, 8, 8]
    captions: Annotated[Tensor, Text(directional=False)]  # int64 [B, L], END is the last


class TellAnswer(NamedTuple):
    captions: Tensor  # int64 [B, L]


class Told(VisionData):
    fields = ("images", "captions")

    def __init__(self, count: int = 48, **loader: Any) -> None:
        super().__init__(**loader)
        self.count = count

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        generator = torch.Generator().manual_seed(len(split))
        stripes = torch.randint(1, MOST + 1, (self.count,), generator=generator)
        images = torch.randint(50, (self.count, 3, 8, 8), generator=generator)
        for image, number in zip(images, stripes, strict=True):
            image[:, :, : 2 * number : 2] += 200
        captions = [torch.tensor([*[STRIPE] * int(number), END]) for number in stripes]
        return TensorSamples(images=images.to(torch.uint8), captions=captions)


class TellNet(nn.Module):
    """Logits [B, L, 3] of each next word, from the picture and the words before."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.start = nn.Linear(8, width)
        self.words = nn.Embedding(3, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, pixels: Tensor, before: Tensor) -> Tensor:
        start = self.start(pixels.mean((1, 2)))
        read, _ = self.memory(self.words(before), start[None].contiguous())
        logits: Tensor = self.head(read)
        return logits


class TellPresentation(Presentation[TellBatch, ImageInputs, TellAnswer]):
    def describe(self, inputs: ImageInputs, answer: TellAnswer) -> list[dict[str, Any]]:
        return [{"stripes": int((row == STRIPE).sum())} for row in answer.captions]


class Tell(VisionModule[TellBatch, ImageInputs, Tensor, TellAnswer]):
    def __init__(self, network: nn.Module, **rest: Any) -> None:
        super().__init__(network, **rest)
        self.presentation = TellPresentation()

    def training_outputs(self, batch: TellBatch) -> Tensor:
        """Each word after the true ones before it."""
        logits: Tensor = self.network(batch.images.float() / 255, pad(batch.captions[:, :-1], (1, 0)))
        return logits

    def forward(self, inputs: ImageInputs) -> TellAnswer:
        """Each word after the likeliest ones before it, to the end of the last."""
        words = torch.zeros(len(inputs.images), 1, dtype=torch.int64, device=inputs.images.device)
        ended = torch.zeros(len(words), dtype=torch.bool, device=words.device)
        while not ended.all() and words.shape[1] <= MOST + 1:
            new = self.network(inputs.images.float() / 255, words)[:, -1].argmax(1)
            words = torch.cat((words, torch.where(ended, 0, new)[:, None]), dim=1)
            ended |= new == END
        return TellAnswer(words[:, 1:])

    def evaluate(self, batch: TellBatch) -> tuple[dict[str, Part], TellAnswer]:
        return self.loss(self.training_outputs(batch), batch), self(self.inputs(batch))

    def loss(self, outputs: Tensor, batch: TellBatch) -> dict[str, Part]:
        """The mean over the words, of which a batch has more or fewer."""
        words = batch.captions.flatten()
        total = cross_entropy(outputs.float().flatten(0, 1), words, ignore_index=0, reduction="sum")
        return {"loss": Part(total, (words != 0).sum())}

    def build_metrics(self) -> dict[str, MeanMetric]:
        return {"exact": MeanMetric()}

    def score(self, metrics: dict[str, MeanMetric], answer: TellAnswer, batch: TellBatch) -> None:
        metrics["exact"].update(self.quality(answer, batch))

    def quality(self, answer: TellAnswer, batch: TellBatch) -> Tensor:
        told, true = ((captions == STRIPE).sum(1) for captions in (answer.captions, batch.captions))
        return (told == true).float()

    def example(self) -> TellBatch:
        images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
        return TellBatch(images, torch.tensor([[STRIPE, END, 0], [STRIPE, STRIPE, END]]))
