"""An agent as a graph of tensor operations: one step, with what it remembers going in and coming out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from vision_apps.applications.navigation.agent import Decision
from vision_apps.applications.navigation.types import NavigationAnswer, NavigationInputs, Observation
from vision_apps.applications.navigation.walking import one_decision, walk
from vision_apps.core.exportable import Exportable
from vision_apps.data.resizing import resize_picture

if TYPE_CHECKING:
    from vision_apps.applications.navigation.module import Navigation


class AgentStep(NamedTuple):
    logits: Tensor  # [B, A]
    remembered: Tensor  # [B, M]
    attention: Tensor  # [B, L]


class AgentExport(Exportable[NavigationInputs, NavigationAnswer]):
    """What an agent does of a picture and what it remembers. Who has the file lets it walk: the world is not
    in it.
    """

    def __init__(self, module: "Navigation") -> None:
        notes = {
            "instructions": "numbers of words of the facts' vocabulary, 0 past the end",
            "memory": "zeros where an episode begins, afterwards what came out as remembered",
            "logits": "of each action: the greatest is done",
            "remembered": "goes in as memory of the next step",
            "attention": "on the words of the instruction; sums to 1",
        }
        super().__init__(module.forward, AgentStep, notes, image_size=module.size)
        self.module = module

    def refusal(self) -> str | None:
        if self.module.world.pictures:
            return None
        return (
            f"{type(self.module.network).__name__} looks at features of views, no picture of a user: "
            "expected --format safetensors, its weights"
        )

    def outputs(self, inputs: NavigationInputs) -> AgentStep:
        decision = self.module.first(inputs, self.module.blind)
        return AgentStep(*decision)

    def answer(
        self, graph: Callable[[NavigationInputs], AgentStep], inputs: NavigationInputs
    ) -> NavigationAnswer:
        size, told = self.module.size, inputs.instructions

        def decide(observation: Observation, memory: Tensor) -> Decision:
            assert observation.pixels is not None
            images = resize_picture(observation.pixels, size, "stretch")[0]
            return Decision(*graph(NavigationInputs(told, images, memory=memory)))

        assert inputs.memory is not None
        if inputs.starts is None:
            return one_decision(decide(Observation(inputs.images), inputs.memory))
        return walk(self.module.world, inputs, decide, inputs.memory)
