"""How ways are shown."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from vision_apps.applications.navigation.film import film, gif
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
        return Drawn(self._drawn(inputs, answer, batch.goals))

    def draw_answer(self, inputs: NavigationInputs, answer: NavigationAnswer) -> list[Tensor]:
        return self._drawn(inputs, answer)

    def _drawn(
        self, inputs: NavigationInputs, answer: NavigationAnswer, goals: Tensor | None = None
    ) -> list[Tensor]:
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
            marked = None if goals is None or maps is None else self.world.marks(goals[number].cpu())
            drawn.append(way(backgrounds[number].cpu(), points, named, attention, row["actions"], marked))
        return drawn

    def files(
        self, inputs: NavigationInputs, answer: NavigationAnswer, name: str, file: str
    ) -> dict[str, bytes]:
        """``films/NAME.gif``, the episode step by step; nothing of a picture alone, which is no episode."""
        if inputs.starts is None:
            return {}
        return {f"films/{name}.gif": gif([film(self.world, self.vocabulary, inputs, answer)])}

    def closing_files(self, rows: Iterable[Row]) -> dict[str, bytes | None]:
        """``results.json`` as R2R's evaluation reads it, of the rows with an ``instr_id`` and a
        ``trajectory``; nothing where there are none."""
        results = [
            {"instr_id": row["instr_id"], "trajectory": row["trajectory"]}
            for row in rows
            if "instr_id" in row and "trajectory" in row
        ]
        return {"results.json": json.dumps(results).encode() if results else None}

    def describe(self, inputs: NavigationInputs, answer: NavigationAnswer) -> list[Row]:
        """``told`` the instruction as it was read, with ``unknown_words`` where there are any; ``actions``
        and how likely each was; ``path``, the places from the start on; ``stopped``, whether the agent said
        that it has arrived; in buildings ``trajectory``, viewpoint, heading and elevation (rad) of each
        place."""
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
                    **self._trajectory(inputs, places, number),
                    "stopped": self.world.stop in taken,
                }
            )
        return rows

    def _trajectory(self, inputs: NavigationInputs, places: Tensor, number: int) -> dict[str, Any]:
        if inputs.starts is None:
            return {}
        found = self.world.trajectory(inputs.starts[number].cpu(), places[places[:, 0] >= 0].cpu())
        return {} if found is None else {"trajectory": found}
