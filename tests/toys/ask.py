"""A picture and a sentence to a class: has the picture the color that is asked for?"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.errors import DataError
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Label, Pixels, Text
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule

COLORS = ("red", "green", "blue")
WORDS = ["", "is", "it", "really", *COLORS]  # 0 is past the end


class AskBatch(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W]
    questions: Annotated[Tensor, Text()]  # int64 [B, L]
    labels: Annotated[Tensor, Label()]  # int64 [B], 1 is yes


class AskInputs(NamedTuple):
    images: Annotated[Tensor, Pixels()]
    questions: Annotated[Tensor, Text()]


class AskAnswer(NamedTuple):
    probabilities: Tensor  # float32 [B, 2], of no and yes


class Asked(VisionData):
    fields = ("images", "questions", "labels")
    fact_names = ("vocabulary",)

    def __init__(self, count: int = 48, **loader: Any) -> None:
        super().__init__(**loader)
        self.count = count

    @property
    def facts(self) -> dict[str, Any]:
        return {"vocabulary": WORDS}

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        generator = torch.Generator().manual_seed(len(split))
        shown, asked = torch.randint(3, (2, self.count), generator=generator)
        asked = torch.where(torch.arange(self.count) % 2 == 0, shown, asked)
        images = torch.randint(100, (self.count, 3, 8, 8), generator=generator)
        images[torch.arange(self.count), shown] += 155
        longer = [[1, 2], [1, 2, 3], [1, 2, 3, 3]]
        questions = [torch.tensor([*longer[i % 3], 4 + int(color)]) for i, color in enumerate(asked)]
        return TensorSamples(
            images=images.to(torch.uint8), questions=questions, labels=(shown == asked).long()
        )


class AskNet(nn.Module):
    def __init__(self, vocabulary: Sequence[str], width: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(len(vocabulary), width, padding_idx=0)
        self.pixels = nn.Linear(3, width)
        self.head = nn.Linear(width, 2)

    def forward(self, pixels: Tensor, questions: Tensor) -> Tensor:
        seen: Tensor = self.pixels(pixels.mean((2, 3))) * self.words(questions).sum(1)
        logits: Tensor = self.head(seen)
        return logits


class Ask(VisionModule[AskBatch, AskInputs, Tensor, AskAnswer]):
    words: Mapping[str, str] = {"question": "what is asked, such as 'is it red'"}

    def __init__(self, network: nn.Module, vocabulary: Sequence[str], **rest: Any) -> None:
        super().__init__(network, **rest)
        self.numbers = {word: number for number, word in enumerate(vocabulary) if word}
        self.exportable = Exportable(self.forward, AskAnswer, {"probabilities": "of no and yes"})

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> AskInputs:
        spoken = words.get("question", "").rstrip("?").split()
        if images is None or not spoken or not set(spoken) <= self.numbers.keys():
            raise DataError(f"question: {words.get('question')!r}; expected words of {list(self.numbers)}")
        return AskInputs(images, torch.tensor([[self.numbers[word] for word in spoken]]))

    def outputs(self, inputs: AskInputs) -> Tensor:
        logits: Tensor = self.network(inputs.images.float() / 255, inputs.questions)
        return logits

    def answer(self, outputs: Tensor, inputs: AskInputs) -> AskAnswer:
        return AskAnswer(outputs.float().softmax(1))

    def loss(self, outputs: Tensor, batch: AskBatch) -> dict[str, Part]:
        return {"loss": Part(cross_entropy(outputs.float(), batch.labels, reduction="sum"), len(outputs))}

    def build_metrics(self) -> MetricCollection:
        return MetricCollection({"accuracy": MulticlassAccuracy(2, average="micro")})

    def score(self, metrics: MetricCollection, answer: AskAnswer, batch: AskBatch) -> None:
        metrics.update(answer.probabilities, batch.labels)

    def quality(self, answer: AskAnswer, batch: AskBatch) -> Tensor:
        return answer.probabilities.gather(1, batch.labels[:, None])[:, 0]

    def example(self) -> AskBatch:
        images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
        return AskBatch(images, torch.tensor([[1, 2, 4], [1, 2, 0]]), torch.tensor([0, 1]))
