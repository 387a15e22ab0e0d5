"""The application: an agent that follows an instruction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection

from vision_apps.applications.navigation import baselines, worlds
from vision_apps.applications.navigation.agent import Agent, Decision
from vision_apps.applications.navigation.exporting import AgentExport
from vision_apps.applications.navigation.imitation import Imitation, Rollouts, student
from vision_apps.applications.navigation.metrics import PathMetrics
from vision_apps.applications.navigation.presentation import NavigationPresentation
from vision_apps.applications.navigation.types import (
    NavigationAnswer,
    NavigationBatch,
    NavigationInputs,
    NavigationOutputs,
    Observation,
)
from vision_apps.applications.navigation.walking import along, deciding, one_decision, shown, walk
from vision_apps.applications.navigation.world import follow, seen
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import DataError, require_no, some
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.questions.words import RESERVED, UNKNOWN, encoded, numbered
from vision_apps.data.resizing import resize_picture
from vision_apps.networks.pixels import PixelNormalization

Blind = Literal["image", "instruction"]
_NAMED = 12  # words in an error

log = logging.getLogger(__name__)


class Navigation(VisionModule[NavigationBatch, NavigationInputs, NavigationOutputs, NavigationAnswer]):
    """An agent learns from an expert to do in a world what it is told.

    Args:
        network: the agent.
        world: plain data of the data set, see `worlds`.
        vocabulary: of the instructions; the first two are reserved, see `data.questions.words`.
        usual_instruction: told where a picture is given and nothing is said.
        imitation: what the expert is asked about. ``cloning``: the places on its own way; ``student``: those
            on a way that the agent draws in each step (Anderson et al. 2018, arXiv:1711.07280, section 4.2);
            ``dagger``: its own, and those where the agent went when it was let walk every few epochs (Ross
            et al. 2011, arXiv:1011.0686).
        collect_every: epochs of ``dagger`` between two collections.
        collected: training episodes that each of them walks.
        symmetries: learn each time from another episode that differs in nothing that matters, as a room in
            the mirror, where the world knows such; see `World.another`.
        blind: the agent never sees the ``image``, or never reads the ``instruction``: what is done right then
            needs neither.
    """

    learned_with = ("imitation", "collect_every", "collected", "symmetries")
    headline = ("success", "spl")
    network: Agent

    def __init__(
        self,
        network: Agent,
        world: Mapping[str, Any],
        vocabulary: Sequence[str],
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        usual_instruction: str = "",
        imitation: Imitation = "cloning",
        collect_every: int = 3,
        collected: int = 600,
        symmetries: bool = True,
        blind: Blind | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = []
        if tuple(vocabulary[:2]) != RESERVED:
            problems.append(
                f"module.vocabulary: begins with {list(vocabulary[:2])}; expected {list(RESERVED)}, which "
                "stand for what is past the end and for unknown words; leave it out and the data set gives it"
            )
        for name, value in (("collect_every", collect_every), ("collected", collected)):
            if value < 1:
                problems.append(f"module.{name}: {value}; expected at least 1")
        self.world = worlds.build(world)
        if network.pictures != self.world.pictures:
            kinds = ("pictures", "features of views")
            sees, given = kinds if network.pictures else kinds[::-1]
            problems.append(
                f"model: {type(network).__name__} looks at {sees}, and the data give {given}; expected "
                "model=navigation_seq2seq or model=navigation_transformer, which look at either"
            )
        require_no(problems)
        self.words = {
            **self.world.words,
            "instruction": "what to do; by default what the episode itself asks for",
        }
        self.numbers = numbered(vocabulary)
        self.usual_instruction = usual_instruction
        self.size = height_width(image_size, "module.image_size")
        self.imitation = imitation
        self.rollouts = Rollouts(collect_every, collected) if imitation == "dagger" else None
        self.symmetries = symmetries
        self.blind = blind
        self.normalize = PixelNormalization(network, mean, std)
        self.presentation = NavigationPresentation(self.world, vocabulary)
        self.exportable = AgentExport(self)

    # ---- from an episode to where the agent goes -----------------------------------------------------------

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> NavigationInputs:
        said = words.get("instruction")
        memory = torch.zeros(1, self.network.memory)
        if images is not None:
            return NavigationInputs(self._told(said or self.usual_instruction), images, memory=memory)
        begun = self.world.begin(words)
        told = said or begun.instruction
        if told is None:
            raise DataError("instruction: not said; expected --with instruction=..., or a row that has it")
        return NavigationInputs(self._told(told), None, begun.starts, begun.maps, memory)

    def _told(self, text: str) -> Tensor:
        """The numbers of an instruction's words, int64 [1, L]; unknown words are told."""
        own = encoded(text, self.numbers)
        if not own or {*own} == {UNKNOWN}:
            raise DataError(
                f"instruction: no word of {text!r} was in the instructions of the training; some that were: "
                f"{some(list(self.numbers), _NAMED)}"
            )
        if unknown := own.count(UNKNOWN):
            log.warning("instruction: %d of %d words of %r are unknown", unknown, len(own), text)
        return torch.tensor([own])

    def inputs(self, batch: NavigationBatch) -> NavigationInputs:
        memory = self.normalize.mean.new_zeros(len(batch.instructions), self.network.memory)
        return NavigationInputs(batch.instructions, batch.images, batch.starts, batch.maps, memory)

    def forward(self, inputs: NavigationInputs) -> NavigationAnswer:
        return self.walked(inputs, self.blind)

    def walked(self, inputs: NavigationInputs, blind: str | None) -> NavigationAnswer:
        """Where the agent goes; without a world what it would do first."""
        assert inputs.memory is not None
        if inputs.starts is None:
            return one_decision(self.first(inputs, blind))
        decide = deciding(self.network, inputs.instructions, self.normalize, blind)
        return walk(self.world, inputs, decide, inputs.memory)

    def first(self, inputs: NavigationInputs, blind: str | None) -> Decision:
        """What is thought of the pictures."""
        assert inputs.images is not None and inputs.memory is not None
        pixels = resize_picture(inputs.images, self.size, "stretch")[0]
        told = inputs.instructions * 0 if blind == "instruction" else inputs.instructions
        observation = shown(Observation(pixels), self.normalize, blind)
        decision: Decision = self.network(observation, told, inputs.memory)
        return decision

    # ---- learning and measuring ----------------------------------------------------------------------------

    def training_step(self, batch: NavigationBatch, batch_idx: int) -> Tensor:
        if self.rollouts is not None:
            self.rollouts.be_there(self, batch_idx)
        return super().training_step(batch, batch_idx)

    def training_outputs(self, batch: NavigationBatch) -> NavigationOutputs:
        inputs = self.inputs(batch)
        if batch.starts is None:
            return self._on(inputs, batch.actions, batch.actions)
        actions, labels = self._asked(batch, inputs)
        if self.symmetries:
            inputs, actions, labels = self.world.another(inputs, actions, labels, self.numbers)
        return self._on(inputs, actions, labels)

    def _asked(self, batch: NavigationBatch, inputs: NavigationInputs) -> tuple[Tensor, Tensor]:
        """A way of each episode, and what the expert says on it."""
        if self.imitation == "student":
            own = student(self.world, inputs, deciding(*self._thinking(inputs)))
            return own, self.world.expert(batch, own)
        if self.rollouts is not None:
            return self.rollouts.drawn(batch)
        return batch.actions, batch.actions

    def _thinking(self, inputs: NavigationInputs) -> tuple[Agent, Tensor, PixelNormalization, str | None]:
        return self.network, inputs.instructions, self.normalize, self.blind

    def _on(self, inputs: NavigationInputs, actions: Tensor, labels: Tensor) -> NavigationOutputs:
        """What the agent thinks on the way of these actions, beside what the expert says there."""
        if inputs.starts is None:
            assert inputs.images is not None
            actions, labels = actions[:, :1], labels[:, :1]
            pixels = resize_picture(inputs.images, self.size, "stretch")[0]
            observation = Observation(pixels[actions[:, 0] >= 0])
        else:
            longest = max(1, int((actions >= 0).sum(1).max()))
            actions, labels = actions[:, :longest], labels[:, :longest]
            states = follow(self.world, inputs, actions).states
            observation = seen(self.world, states, actions >= 0)
        agent, instructions, normalize, blind = self._thinking(inputs)
        thought = along(agent, observation, actions >= 0, instructions, normalize, blind)
        return NavigationOutputs(thought.logits, labels)

    def evaluate(self, batch: NavigationBatch) -> tuple[dict[str, Part], NavigationAnswer]:
        inputs = self.inputs(batch)
        on_the_experts = self._on(inputs, batch.actions, batch.actions)
        return self.loss(on_the_experts, batch), self(inputs)

    def loss(self, outputs: NavigationOutputs, batch: NavigationBatch) -> dict[str, Part]:
        known = outputs.labels >= 0
        logits = outputs.logits[known].float()
        return {"loss": Part(cross_entropy(logits, outputs.labels[known], reduction="sum"), known.sum())}

    def build_metrics(self) -> MetricCollection:
        return MetricCollection({"paths": PathMetrics(self.world.threshold)})

    def score(self, metrics: MetricCollection, answer: NavigationAnswer, batch: NavigationBatch) -> None:
        if batch.starts is not None:  # of a picture alone nobody knows where it leads
            metrics.update(self.world.walks(batch, answer))

    def quality(self, answer: NavigationAnswer, batch: NavigationBatch) -> Tensor | None:
        """Minus the distance to the goal at the end."""
        if batch.starts is None:
            return None
        walks = self.world.walks(batch, answer)
        return -walks.to_goal.gather(1, walks.sizes[:, None] - 1)[:, 0]

    def baselines(self, batch: NavigationBatch) -> dict[str, NavigationAnswer]:
        """``random``, ``stop`` at once, and the ``expert``, the bounds of what can be learned;
        ``no_instruction`` and ``no_image``: this agent when it is told nothing, and when it sees nothing. One
        that has learned so, which may do better, is trained by ``module.blind``."""
        if batch.starts is None:
            return {}
        inputs = self.inputs(batch)
        found = {
            "random": baselines.at_random(self.world, inputs),
            "stop": baselines.stopping(self.world, inputs),
            "expert": baselines.of_actions(self.world, inputs, batch.actions),
        }
        with torch.autocast(self.device.type, enabled=False):  # as what is measured beside it
            for name in ("instruction", "image"):
                if self.blind is None:
                    found[f"no_{name}"] = self.walked(inputs, name)
        return found

    def check(self, batch: NavigationBatch) -> list[str]:
        return [f"module.blind={self.blind}: the agent never gets it"] if self.blind else []

    def example(self) -> NavigationBatch:
        """Two pictures of noise and what an expert does first; there is no world."""
        images = torch.randint(256, (2, 3, *self.size), dtype=torch.uint8, device=self.device)
        last = len(self.numbers) + 1
        instructions = torch.tensor([[2, last, 2], [last, 0, 0]], device=self.device)
        return NavigationBatch(images, instructions, torch.tensor([[0, 1], [1, -1]], device=self.device))
