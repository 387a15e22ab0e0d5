"""Several buildings as one numbering of viewpoints, with tables that whole batches are looked up in."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from vision_apps.data.episodes.buildings import Building, read_building


class BuildingSet:
    """The viewpoints of some scans, numbered through in the order of the scans and their files.

    Args:
        buildings: all with different scans.
    """

    def __init__(self, buildings: Sequence[Building]) -> None:
        self.buildings = list(buildings)
        self.first = [0, *accumulate(map(len, self.buildings))]  # numbers of the buildings' first viewpoints
        self._of_scan = {building.scan: row for row, building in enumerate(self.buildings)}

    @classmethod
    def read(cls, folder: Path, scans: Sequence[str]) -> "BuildingSet":
        """Those of a folder of connectivity files; `DataError` where one cannot be read."""
        return cls([read_building(folder, scan) for scan in scans])

    def __len__(self) -> int:
        """How many viewpoints there are."""
        return self.first[-1]

    def building(self, scan: str) -> Building | None:
        """That of a scan, if it is one of these."""
        row = self._of_scan.get(scan)
        return None if row is None else self.buildings[row]

    def number(self, scan: str, viewpoint: str) -> int:
        """Of a viewpoint that is there."""
        row = self._of_scan[scan]
        return self.first[row] + self.buildings[row].numbers[viewpoint]

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """Scan and viewpoint of each number."""
        return [(building.scan, name) for building in self.buildings for name in building.viewpoints]

    @cached_property
    def of_building(self) -> Tensor:
        """Of each viewpoint which building it is in, int64 [N]."""
        sizes = torch.tensor([len(building) for building in self.buildings])
        return torch.arange(len(self.buildings)).repeat_interleave(sizes)

    @cached_property
    def positions(self) -> Tensor:
        """float64 [N, 3], m, z up."""
        return torch.cat([building.positions for building in self.buildings])

    @property
    def most_neighbours(self) -> int:
        """K, of any viewpoint, at least 1."""
        return max(1, *(int(building.edges.sum(1).max()) for building in self.buildings))

    @cached_property
    def neighbours(self) -> Tensor:
        """Numbers of those that can be walked to, in ascending order: int64 [N, K], -1 past the last."""
        found = torch.full((len(self), self.most_neighbours), -1)
        for first, building in zip(self.first, self.buildings, strict=False):
            for row, edges in enumerate(building.edges, first):
                own = edges.nonzero()[:, 0] + first
                found[row, : len(own)] = own
        return found

    @cached_property
    def _distances(self) -> tuple[Tensor, Tensor]:
        """Those of all buildings behind each other, float64 [sum of n * n], and where each begins."""
        starts = [0, *accumulate(len(building) ** 2 for building in self.buildings)]
        return torch.cat([building.distances.flatten() for building in self.buildings]), torch.tensor(starts)

    def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """Lengths of the shortest ways between viewpoints, int64 of one shape -> float64 of that shape, m;
        infinite where there is none."""
        flat, starts = self._distances
        first = torch.tensor(self.first)
        rows = self.of_building[one]
        begin, size = first[rows], first[rows + 1] - first[rows]
        inside = (other >= begin) & (other < begin + size)
        places = starts[rows] + (one - begin) * size + torch.where(inside, other - begin, 0)
        return torch.where(inside, flat[places], torch.inf)

    def next(self, places: Tensor, goals: Tensor) -> Tensor:
        """Which neighbour lies on a shortest way from a place to a goal, int64 [B] and [B] -> its column in
        `neighbours`, int64 [B]; of several the first. -1 where the place is the goal or cannot reach it."""
        neighbours = self.neighbours[places]
        there = neighbours >= 0
        known = torch.where(there, neighbours, places[:, None])
        step = (self.positions[known] - self.positions[places][:, None]).norm(dim=-1)
        way = step + self.distance(known, goals[:, None].expand_as(known))
        way = way.masked_fill(~there, torch.inf)
        # equal ways may differ in rounding: the first within a nanometre
        best = way.amin(1, keepdim=True)
        column = (way <= best + 1e-9).to(torch.int8).argmax(1)
        return torch.where((places == goals) | best[:, 0].isinf(), -1, column)
