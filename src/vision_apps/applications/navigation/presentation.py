"""How ways are shown."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vision_apps.applications.navigation.pictures import way
from vision_apps.applications.navigation.types import NavigationAnswer, NavigationBatch, NavigationInputs
from vision_apps.applications.navigation.world import World
from vision_apps.core.presentation import Drawn, Presentation, Row, exact
from vision_apps.data.questions.words import UNKNOWN, spelled


class NavigationPresentation(Presentation[NavigationBatch, NavigationInputs, NavigationAnswer]):
    """The map from above with the way that was gone, and beside it how much each step heeded each word."""

    def __init__(self, world: World[Any], vocabulary: Sequence[str]) -> None:
        self.world, self.vocabulary = world, list(vocabulary)

    def draw_with_truth(self, batch: NavigationBatch, answer: NavigationAnswer) -> Drawn:
        inputs = NavigationInputs(batch.instructions, batch.images, batch.starts, batch.maps)
        return Drawn(self.draw_answer(inputs, answer))

    def draw_answer(self, inputs: NavigationInputs, answer: NavigationAnswer) -> list[Tensor]:
        maps = None if inputs.starts is None else self.world.background(inputs)
        backgrounds = inputs.images if maps is None else maps
        assert backgrounds is not None
        drawn = []
        for number, row in enumerate(self.describe(inputs, answer)):
            places = answer.places[number]
            places = places[places[:, 0] >= 0]
            points = torch.zeros(0, 2) if maps is None else self.world.on_background(places).cpu()
            words = [word for word in inputs.instructions[number].tolist() if word]
            attention = answer.attention[number, : len(row["actions"]), : len(words)].float().cpu()
            named = [self.vocabulary[word] for word in words]
            drawn.append(way(backgrounds[number].cpu(), points, named, attention, row["actions"]))
        return drawn

    def describe(self, inputs: NavigationInputs, answer: NavigationAnswer) -> list[Row]:
        """``told`` the instruction as it was read, with ``unknown_words`` where there are any; ``actions``
        and how likely each was; ``path``, the places from the start on; ``stopped``, whether the agent said
        that it has arrived."""
        rows: list[Row] = []
        names = self.world.action_names
        for number, told in enumerate(inputs.instructions.tolist()):
            taken = [action for action in answer.actions[number].tolist() if action >= 0]
            places = answer.places[number]
            unknown = told.count(UNKNOWN)
            rows.append(
                {
                    "told": spelled(told, self.vocabulary),
                    **({"unknown_words": unknown} if unknown else {}),
                    "actions": [names[action] if names else action for action in taken],
                    "probabilities": exact(answer.probabilities[number, : len(taken)]),
                    "path": places[places[:, 0] >= 0].tolist(),
                    "stopped": self.world.stop in taken,
                }
            )
        return rows
