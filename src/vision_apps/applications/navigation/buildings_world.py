"""Buildings as graphs that are walked through from viewpoint to viewpoint, in the action space of Fried et
al. 2018 (arXiv:1806.02724, section 3.4): everything around is seen, and one goes to a neighbour or stops.

No picture is rendered: what is seen are features of a file, see `data.episodes.view_features`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.navigation.path_metrics import Walks, without_turns
from vision_apps.applications.navigation.types import (
    DIRECTION,
    NavigationAnswer,
    NavigationBatch,
    NavigationInputs,
    Observation,
)
from vision_apps.applications.navigation.world import Begun, World
from vision_apps.core.config.suggest import nearest
from vision_apps.core.errors import DataError, some
from vision_apps.data.episodes.building_map import draw_map, map_view, mark_start
from vision_apps.data.episodes.building_set import BuildingSet
from vision_apps.data.episodes.buildings import Building
from vision_apps.data.episodes.graph_data import HEADINGS_PER_RAD, STOP, start_of
from vision_apps.data.episodes.view_features import HEADINGS, VIEWS, ViewFeatures, opened

MAP = 256  # px of a side of what paths are drawn on
_NAMED = 3  # scans in an error
_STEP = 2 * math.pi / HEADINGS  # rad between views


class Standing(NamedTuple):
    """Where agents are, in the main memory; what they see is given on ``device``."""

    viewpoints: Tensor  # int64 [B]
    headings: Tensor  # float64 [B], rad from north, clockwise
    elevations: Tensor  # float64 [B], rad, up
    led: Tensor  # float32 [B, 4], the direction of the last action as it was seen; 0 where an episode begins
    device: torch.device


class BuildingsWorld(World[Standing]):
    """Places are viewpoints' numbers [B, 1]; ``starts`` [B, 2] are numbers and headings, see `GraphEpisodes`.

    As in R2R's evaluation, whose files do not say who stopped, an episode is won where it ends, also if it
    ends because ``max_steps`` are done.

    Args:
        connectivity: folder of graphs.
        features: file of features.
        feature_width, feature_memory: see `GraphEpisodes`.
        scans: whose viewpoints are numbered.
        neighbours: most of any viewpoint.
    """

    stop = STOP
    unit = "m"
    place = 1
    pictures = False
    words = MappingProxyType(
        {
            "scan": "the building, as its connectivity file is called",
            "viewpoint": "where to begin",
            "heading": "rad from north, clockwise, that one looks to; 0 by default",
        }
    )

    def __init__(
        self,
        connectivity: str,
        features: str,
        feature_width: int,
        scans: Sequence[str],
        neighbours: int,
        max_steps: int = 20,
        threshold: float = 3.0,
        feature_memory: float = 4.0,
    ) -> None:
        self.folder, self.file = Path(connectivity), Path(features)
        self.feature_width, self.feature_memory = feature_width, feature_memory
        self.scans = list(scans)
        self.actions = neighbours + 1
        self.action_names = ("stop", *(f"way {number}" for number in range(1, self.actions)))
        self.max_steps, self.threshold = max_steps, threshold

    @cached_property
    def buildings(self) -> BuildingSet:
        """Read where an episode begins, so that a network can be looked at without them. `DataError` where
        they are not those of the data."""
        if not self.folder.is_dir():
            raise DataError(
                f"module.world.connectivity: there is no folder {self.folder.absolute()}; expected the one "
                "that the run was trained with, or say where it is: module.world.connectivity=/path/to/it"
            )
        found = BuildingSet.read(self.folder, self.scans)
        if found.most_neighbours + 1 > self.actions:
            raise DataError(
                f"module.world.connectivity: {self.folder} has a viewpoint with {found.most_neighbours} "
                f"neighbours; the run knows at most {self.actions - 1}: are these the buildings that it was "
                "trained with?"
            )
        return found

    @cached_property
    def views(self) -> ViewFeatures:
        """`DataError` where it is not of these buildings."""
        found = opened(self.file, self.feature_width, self.feature_memory)
        found.require(self.buildings.names)
        return found

    def begin(self, words: Mapping[str, str]) -> Begun:
        scan, viewpoint = words["scan"], words["viewpoint"]
        building = self.buildings.building(scan)
        if building is None:
            raise DataError(
                f"scan: {scan!r}; the run knows {some(self.scans, _NAMED)}{nearest(scan, self.scans)}"
            )
        if viewpoint not in building.numbers:
            raise DataError(
                f"viewpoint: {viewpoint!r} is not among the {len(building)} that are included of {scan}"
            )
        try:
            heading = float(words.get("heading", "0"))
            if not math.isfinite(heading):
                raise ValueError
        except ValueError:
            raise DataError(f"heading: {words['heading']!r}; expected a number, rad") from None
        return Begun(start_of(self.buildings.number(scan, viewpoint), heading)[None], None, None)

    def background(self, inputs: NavigationInputs) -> Tensor:
        """The buildings from above; an arrow stands where one begins and looks to where one looks."""
        assert inputs.starts is not None
        drawn = []
        for number, heading in inputs.starts.tolist():
            building = self._building(number)
            at = self.buildings.positions[number]
            plan = draw_map(building, MAP, float(at[2]))
            drawn.append(mark_start(plan, map_view(building, MAP).pixels(at), heading / HEADINGS_PER_RAD))
        return torch.stack(drawn)

    def on_background(self, places: Tensor) -> Tensor:
        numbers = places[:, 0].cpu()
        if not len(numbers):
            return torch.zeros(0, 2)
        view = map_view(self._building(int(numbers[0])), MAP)
        return view.pixels(self.buildings.positions[numbers]).float()

    def _building(self, number: int) -> Building:
        return self.buildings.buildings[int(self.buildings.of_building[number])]

    def marks(self, goals: Tensor) -> Tensor:
        return self.on_background(goals[goals >= 0][:, None])

    def trajectory(self, start: Tensor, places: Tensor) -> list[tuple[str, float, float]]:
        """As result files of R2R have it: viewpoint, heading and elevation (rad) of each place."""
        found = [(self.buildings.names[int(start[0])][1], int(start[1]) / HEADINGS_PER_RAD, 0.0)]
        for one, other in pairwise(places[:, 0].tolist()):
            if one != other:
                off = (self.buildings.positions[other] - self.buildings.positions[one]).tolist()
                heading = math.atan2(off[0], off[1]) % (2 * math.pi)
                elevation = math.atan2(off[2], math.hypot(off[0], off[1]))
                found.append((self.buildings.names[other][1], heading, elevation))
        return found

    def reset(self, inputs: NavigationInputs) -> Standing:
        assert inputs.starts is not None
        viewpoints, headings = inputs.starts.cpu().unbind(1)
        if int(viewpoints.max()) >= len(self.buildings):
            raise DataError(
                f"starts: viewpoint {int(viewpoints.max())} of {len(self.buildings)}; are these the "
                "buildings that the episodes are of?"
            )
        return Standing(
            viewpoints,
            headings.double() / HEADINGS_PER_RAD,
            torch.zeros(len(viewpoints), dtype=torch.float64),
            torch.zeros(len(viewpoints), DIRECTION),
            inputs.starts.device,
        )

    @cached_property
    def _angles(self) -> tuple[Tensor, Tensor]:
        """Headings and elevations of all neighbours, float64 [N, K] in rad; 0 past the last."""
        neighbours, positions = self.buildings.neighbours, self.buildings.positions
        known = torch.where(neighbours >= 0, neighbours, torch.arange(len(neighbours))[:, None])
        off = positions[known] - positions[:, None]
        flat = off[..., :2].norm(dim=-1)
        return torch.atan2(off[..., 0], off[..., 1]), torch.atan2(off[..., 2], flat)

    def _around(self, state: Standing) -> tuple[Tensor, Tensor, Tensor]:
        """The neighbours, int64 [B, K], -1 past the last, and where they are from there, as `_angles`."""
        headings, elevations = (angles[state.viewpoints] for angles in self._angles)
        return self.buildings.neighbours[state.viewpoints], headings, elevations

    def observe(self, state: Standing) -> Observation:
        """``views`` [B, 36, D + 4]: features, and the direction of each view; ``candidates`` [B, K + 1, D +
        5]: the stop, and of each neighbour the features of the view that looks to it, its direction, and
        whether it is the stop; ``led`` [B, 4]. Directions are seen from where agents look to."""
        seen = self.views.of([self.buildings.names[number] for number in state.viewpoints.tolist()])
        numbers = torch.arange(VIEWS)
        ahead = direction(
            (numbers % HEADINGS) * _STEP - state.headings[:, None],
            ((numbers // HEADINGS - 1) * _STEP).expand(len(seen), -1),
        )
        neighbours, headings, elevations = self._around(state)
        looking = (headings / _STEP).round().long() % HEADINGS
        looking += HEADINGS * ((elevations / _STEP).round().long().clamp(-1, 1) + 1)
        of_each = seen.gather(1, looking[..., None].expand(-1, -1, seen.shape[2]))
        towards = direction(headings - state.headings[:, None], elevations)
        there = neighbours >= 0
        going = torch.cat((of_each, towards, torch.zeros_like(towards[..., :1])), dim=2) * there[..., None]
        staying = torch.zeros_like(going[:, :1])
        staying[..., -1] = 1
        missing = self.actions - 1 - going.shape[1]
        padding = going.new_zeros(len(going), missing, going.shape[2])
        possible = torch.cat(
            (there.new_ones(len(there), 1), there, there.new_zeros(len(there), missing)), dim=1
        )
        return Observation(
            views=torch.cat((seen, ahead), dim=2).to(state.device),
            candidates=torch.cat((staying, going, padding), dim=1).to(state.device),
            possible=possible.to(state.device),
            led=state.led.to(state.device),
        )

    def step(self, state: Standing, actions: Tensor) -> Standing:
        neighbours, headings, elevations = self._around(state)
        column = (actions.cpu() - 1).clamp(0, neighbours.shape[1] - 1)[:, None]
        going = neighbours.gather(1, column)[:, 0]
        moves = (actions.cpu() > STOP) & (actions.cpu() <= neighbours.shape[1]) & (going >= 0)
        heading, elevation = (angles.gather(1, column)[:, 0] for angles in (headings, elevations))
        turned = direction((heading - state.headings)[:, None], elevation[:, None])[:, 0]
        return Standing(
            torch.where(moves, going, state.viewpoints),
            torch.where(moves, heading % (2 * math.pi), state.headings),
            torch.where(moves, elevation, state.elevations),
            torch.where(moves[:, None], turned, torch.zeros_like(turned)),
            state.device,
        )

    def places(self, state: Standing) -> Tensor:
        return state.viewpoints[:, None].to(state.device)

    def walked(self, starts: Tensor, actions: Tensor) -> Tensor:
        """Where given actions lead, int64 [B, T] -> viewpoints int64 [B, T + 1], in the main memory."""
        state = self.reset(NavigationInputs(actions, None, starts))
        found = [state.viewpoints]
        for taken in actions.cpu().unbind(1):
            state = self.step(state, taken)
            found.append(state.viewpoints)
        return torch.stack(found, dim=1)

    def expert(self, batch: NavigationBatch, actions: Tensor) -> Tensor:
        """Along the path that was described as long as it was followed, and from any other place on a
        shortest way to the goal."""
        assert batch.goals is not None and batch.starts is not None
        goals, described, taken = batch.goals[:, 0].cpu(), batch.actions.cpu(), actions.cpu()
        places, advice = self.walked(batch.starts, actions), []
        on_path = torch.ones(len(goals), dtype=torch.bool)
        for step in range(actions.shape[1]):
            shortest = self.buildings.next(places[:, step], goals) + 1
            meant = described[:, step] if step < described.shape[1] else torch.full_like(goals, -1)
            advice.append(torch.where(on_path & (meant >= 0), meant, shortest))
            on_path = on_path & (taken[:, step] == meant)
        return torch.where(taken >= 0, torch.stack(advice, dim=1), -1).to(actions.device)

    def walks(self, batch: NavigationBatch, answer: NavigationAnswer) -> Walks:
        assert batch.goals is not None and batch.starts is not None
        places = answer.places[..., 0].cpu()
        found = graph_walks(
            self.buildings,
            *without_turns(places, (places >= 0).sum(1)),
            self.walked(batch.starts, batch.actions)[:, :-1],
            (batch.actions >= 0).sum(1).cpu(),
        )
        return Walks(*(value.to(answer.places.device) for value in found))


def graph_walks(
    buildings: BuildingSet, places: Tensor, sizes: Tensor, references: Tensor, reference_sizes: Tensor
) -> Walks:
    """Paths beside their references, both as viewpoints' numbers int64 [B, T] and [B, R] with so many of
    them; the goal is where the reference ends. Ways of m, float64."""
    places, references = (
        torch.where(torch.arange(path.shape[1]) < own[:, None], path, path[:, :1])
        for path, own in ((places, sizes), (references, reference_sizes))
    )
    goals = references.gather(1, reference_sizes[:, None] - 1)
    return Walks(
        to_goal=buildings.distance(places, goals.expand_as(places)),
        between=buildings.distance(*torch.broadcast_tensors(places[:, :, None], references[:, None])),
        moves=_moves(buildings, places),
        sizes=sizes,
        reference_moves=_moves(buildings, references),
        reference_sizes=reference_sizes,
        shortest=buildings.distance(references[:, :1], goals)[:, 0],
        stopped=torch.ones(len(places), dtype=torch.bool),
    )


def _moves(buildings: BuildingSet, places: Tensor) -> Tensor:
    """Lengths of the moves between the places of a path, as `Walks.moves`."""
    lengths = buildings.distance(places[:, :-1], places[:, 1:])
    return torch.cat((lengths.new_zeros(len(places), 1), lengths), dim=1)


def direction(headings: Tensor, elevations: Tensor) -> Tensor:
    """Angles in rad, [B, N] each -> float32 [B, N, 4]."""
    angles = (headings.sin(), headings.cos(), elevations.sin(), elevations.cos())
    return torch.stack(angles, dim=-1).float()
