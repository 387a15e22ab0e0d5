"""An agent in a corridor of seven cells, told where it stands and where to go."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torchmetrics import MeanMetric

from vision_apps.core.data import TensorSamples, VisionData
from vision_apps.core.episodes import Environment
from vision_apps.core.errors import DataError
from vision_apps.core.fields import Stays
from vision_apps.core.losses import Part, mean
from vision_apps.core.module import VisionModule
from vision_apps.core.presentation import Drawn, Presentation

CELLS = 7
LEFT, STAY, RIGHT = range(3)


class Episodes(NamedTuple):
    starts: Annotated[Tensor, Stays()]  # int64 [B]
    goals: Annotated[Tensor, Stays()]  # int64 [B]


class Path(NamedTuple):
    cells: Tensor  # int64 [B, CELLS], one after each step


class Corridor:
    def reset(self, inputs: Episodes) -> Episodes:
        return inputs

    def observe(self, state: Episodes) -> Tensor:
        return one_hot(state.goals - state.starts + CELLS - 1, 2 * CELLS - 1).float()

    def step(self, state: Episodes, actions: Tensor) -> Episodes:
        return state._replace(starts=(state.starts + actions - STAY).clamp(0, CELLS - 1))


def expert(state: Episodes) -> Tensor:
    return (state.goals - state.starts).sign() + STAY


class Walks(VisionData):
    fields = ("starts", "goals")

    def load(self, split: str, fields: tuple[str, ...]) -> TensorSamples:
        generator = torch.Generator().manual_seed(len(split))
        starts, goals = torch.randint(CELLS, (2, 48), generator=generator)
        return TensorSamples(starts=starts, goals=goals)


class WalkPresentation(Presentation[Episodes, Episodes, Path]):
    def draw_with_truth(self, batch: Episodes, answer: Path) -> Drawn:
        return Drawn(self.draw_answer(batch, answer), ("steps downwards, the goal in green",))

    def draw_answer(self, inputs: Episodes, answer: Path) -> list[Tensor]:
        pictures = torch.full((len(answer.cells), 3, CELLS, CELLS), 255, dtype=torch.uint8)
        pictures[torch.arange(len(pictures)), ::2, :, inputs.goals.cpu()] = 0
        for picture, cells in zip(pictures, answer.cells.cpu(), strict=True):
            picture[:, torch.arange(CELLS), cells] = 60
        return list(pictures)

    def describe(self, inputs: Episodes, answer: Path) -> list[dict[str, Any]]:
        rows = zip(answer.cells.tolist(), inputs.goals.tolist(), strict=True)
        return [{"path": cells, "arrived": cells[-1] == goal} for cells, goal in rows]


class Walk(VisionModule[Episodes, Episodes, list[Tensor], Path]):
    words: Mapping[str, str] = {"start": f"a cell, 0 to {CELLS - 1}", "goal": f"a cell, 0 to {CELLS - 1}"}
    world: Environment[Episodes, Episodes, Tensor] = Corridor()

    def __init__(self, network: nn.Module, **rest: Any) -> None:
        super().__init__(network, **rest)
        self.presentation = WalkPresentation()

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> Episodes:
        cells = [words.get(name, "") for name in self.words]
        if not all(cell.isdecimal() and int(cell) < CELLS for cell in cells):
            raise DataError(f"start, goal: {' and '.join(map(repr, cells))}; expected 0 to {CELLS - 1} each")
        return Episodes(*(torch.tensor([int(cell)]) for cell in cells))

    def outputs(self, inputs: Episodes) -> list[Tensor]:
        """What is thought of every cell on the expert's way, [B, 3] each."""
        state, thoughts = self.world.reset(inputs), []
        for _ in range(CELLS):
            thoughts.append(self.network(self.world.observe(state)))
            state = self.world.step(state, expert(state))
        return thoughts

    def forward(self, inputs: Episodes) -> Path:
        state, cells = self.world.reset(inputs), []
        for _ in range(CELLS):
            state = self.world.step(state, self.network(self.world.observe(state)).argmax(1))
            cells.append(state.starts)
        return Path(torch.stack(cells, dim=1))

    def evaluate(self, batch: Episodes) -> tuple[dict[str, Part], Path]:
        return self.loss(self.outputs(batch), batch), self(batch)

    def loss(self, outputs: list[Tensor], batch: Episodes) -> dict[str, Part]:
        state, losses = self.world.reset(batch), []
        for thoughts in outputs:
            losses.append(cross_entropy(thoughts, expert(state), reduction="none"))
            state = self.world.step(state, expert(state))
        return {"loss": mean(torch.stack(losses))}

    def build_metrics(self) -> dict[str, MeanMetric]:
        return {"success": MeanMetric()}

    def score(self, metrics: dict[str, MeanMetric], answer: Path, batch: Episodes) -> None:
        metrics["success"].update((answer.cells[:, -1] == batch.goals).float())

    def example(self) -> Episodes:
        return Episodes(torch.tensor([0, 3]), torch.tensor([2, 1]))
