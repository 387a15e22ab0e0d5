"""Two small applications: a picture and what is asked about it, and a way from here to there without one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from vision_apps.core import assembly, checkpoint_io
from vision_apps.core.errors import DataError
from vision_apps.core.fields import Pixels, Stays, Text
from vision_apps.core.module import VisionModule
from vision_apps.core.presentation import Presentation


class Scale(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))


class Question(NamedTuple):
    images: Annotated[Tensor, Pixels()]  # uint8 [B, 3, H, W]
    questions: Annotated[Tensor, Text()]  # int64 [B, L], the length of each word
    shades: Annotated[Tensor, Stays()]  # float32 [B, N]; N differs, and nothing fills it up
    hints: Annotated[Tensor | None, Stays()] = None  # int64 [B]


class Sums(NamedTuple):
    bright: Tensor  # float32 [B], the mean of the picture
    letters: Tensor  # int64 [B], of the question
    shade: Tensor  # float32 [B]


class QuestionModule(VisionModule[Question, Question, Tensor, Sums]):
    words: ClassVar[Mapping[str, str]] = {
        "question": "what is asked about the picture",
        "shades": "a list of numbers",
        "hint": "a number",
    }
    batches: ClassVar[list[int]] = []

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> Question:
        assert images is not None
        if "question" not in words:
            raise DataError("question: none was asked; expected words, as in --with question='how bright?'")
        lengths = [len(word) for word in words["question"].split()]
        shades = torch.tensor([json.loads(words.get("shades", "[0]"))], dtype=torch.float32)
        hints = torch.tensor([int(words["hint"])]) if "hint" in words else None
        return Question(images, torch.tensor([lengths]), shades, hints)

    def outputs(self, inputs: Question) -> Tensor:
        self.batches.append(len(inputs.images))
        return inputs.images.float().mean((1, 2, 3)) * self.network.factor

    def answer(self, outputs: Tensor, inputs: Question) -> Sums:
        return Sums(outputs, inputs.questions.sum(1), inputs.shades.sum(1))


class Way(NamedTuple):
    starts: Annotated[Tensor, Stays()]  # int64 [B, 2]
    goals: Annotated[Tensor, Stays()]  # int64 [B, 2]


class Steps(NamedTuple):
    steps: Tensor  # int64 [B]


class WayPresentation(Presentation[Way, Way, Steps]):
    def draw_answer(self, inputs: Way, answer: Steps) -> list[Tensor]:
        return [torch.full((3, 4, 6), int(steps), dtype=torch.uint8) for steps in answer.steps]


class WayModule(VisionModule[Way, Way, Tensor, Steps]):
    words: ClassVar[Mapping[str, str]] = {"start": "x,y of where to begin", "goal": "x,y of where to end"}

    def __init__(self, network: nn.Module, drawn: bool = True, **rest: Any) -> None:
        super().__init__(network, **rest)
        if drawn:
            self.presentation = WayPresentation()

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> Way:
        assert images is None
        if missing := {"start", "goal"} - words.keys():
            raise DataError(f"{min(missing)}: expected x,y")
        return Way(
            *(torch.tensor([json.loads(f"[{words[name].strip('[]')}]")]) for name in ("start", "goal"))
        )

    def outputs(self, inputs: Way) -> Tensor:
        return (inputs.starts - inputs.goals).abs().sum(1)

    def answer(self, outputs: Tensor, inputs: Way) -> Steps:
        return Steps(outputs)


def saved(name: str, **settings: Any) -> str:
    """A checkpoint of an application, ``Question`` or ``Way``."""
    config = {
        "task": {"name": name.lower()},
        "model": {"_target_": "asking.Scale"},
        "module": {"_target_": f"asking.{name}Module", **settings},
    }
    state = assembly.build_module(config, {}, trainable=False).state_dict()
    path = Path(f"{name.lower()}.ckpt")
    checkpoint_io.save({"state_dict": state, "config": config, "facts": {}}, path)
    return str(path)
