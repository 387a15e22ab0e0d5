"""What all data sets of routes through buildings share: from files to episodes."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import Dataset

from vision_apps.core.data import SPLITS, Split
from vision_apps.core.errors import CorruptSample, require_no, some
from vision_apps.data.episodes.building_map import draw_map, map_view, mark_start
from vision_apps.data.episodes.building_set import BuildingSet
from vision_apps.data.episodes.buildings import SUFFIX
from vision_apps.data.episodes.instructions import Route, read_routes
from vision_apps.data.episodes.view_features import ViewFeatures, opened
from vision_apps.data.files import FileData
from vision_apps.data.questions.words import UNKNOWN, encoded, numbered, table, vocabulary_of, words_of
from vision_apps.data.splits import place

STOP = 0  # the action; those behind it go to the neighbours, in their order
HEADINGS_PER_RAD = 1_000_000  # headings are whole numbers of millionths
_NAMED = 3


class GraphEpisodes(FileData):
    """Routes through buildings with instructions, and features of what is seen at each viewpoint.

    Offers ``images`` uint8 [3, S, S], the building from above with the start and where one looks to, which no
    agent sees; ``instructions`` int64 [L] and ``actions`` int64 [T], along the path that was described and
    its stop, L and T the most of any; ``starts`` int64 [2], the viewpoint's number and the heading; ``goals``
    int64 [1].

    An instruction is a sample, called as result files call it. Splits are those of the files.

    Args:
        root: with ``connectivity/``, the files of instructions and that of features.
        files: of each split the name of the file of its instructions, below ``root``.
        features: the file of features, below ``root``.
        feature_width: use only the first so many numbers of each view; all by default.
        languages: of RxR, codes that those of the instructions begin with; all by default.
        image_size: side of the picture of the map, px.
        longest: words of an instruction, of which more are cut off.
        least_word: a word that stands less often in the training instructions is unknown.
        max_steps: actions of an episode, with the stop; a longer path is broken.
        threshold: nearer to the goal than this is arrived, m.
        feature_memory: GiB to keep features in that were read.
    """

    fields = ("images", "instructions", "actions", "starts", "goals")
    fact_names = ("world", "vocabulary", "actions", "feature_width", "image_size", "mean", "std")
    why_no_folds: ClassVar[str | None] = (
        "whoever made its files says which routes and buildings are held out; runs with other seeds are "
        "what it has: vision-apps sweep seeds=5, or data.folds=null"
    )
    title = "routes through buildings"
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of the picture of the map, which no agent sees

    def __init__(
        self,
        root: str,
        *,
        files: Mapping[Split, str],
        features: str,
        feature_width: int | None = None,
        languages: Collection[str] | None = None,
        image_size: int = 128,
        longest: int = 80,
        least_word: int = 5,
        max_steps: int = 20,
        threshold: float = 3.0,
        feature_memory: float = 4.0,
        **loader: Any,
    ) -> None:
        least = {"image_size": (image_size, 16), "longest": (longest, 1), "least_word": (least_word, 1)}
        least["max_steps"] = (max_steps, 2)
        problems = [
            f"data.{name}: {value}; expected at least {bound}"
            for name, (value, bound) in least.items()
            if value < bound
        ]
        if not threshold > 0:
            problems.append(f"data.threshold: {threshold}; expected more than 0, m")
        if sorted(files) != sorted(SPLITS):
            problems.append(f"data.files: {', '.join(files)}; expected {', '.join(SPLITS)}, a file of each")
        require_no(problems)
        super().__init__(root, **loader)
        self.files, self.features, self.feature_width = dict(files), features, feature_width
        self.languages = languages
        self.image_size: int = image_size
        self.longest, self.least_word = longest, least_word
        self.max_steps, self.threshold, self.feature_memory = max_steps, threshold, feature_memory

    # ---- what the files say --------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        super().prepare_data()
        self.routes  # noqa: B018 - what is malformed is refused now, not when training starts
        self.views.require(self.buildings.names)

    @property
    def connectivity(self) -> Path:
        return self.root / "connectivity"

    @cached_property
    def _read(self) -> dict[Split, list[Route]]:
        found: dict[Split, list[Route]] = {}
        for split, name in self.files.items():
            path = self.root / name
            if not path.is_file():
                raise self.problem(f"there is no {name}")
            found[split] = read_routes(path, self.languages)
        return found

    @cached_property
    def buildings(self) -> BuildingSet:
        """Those that instructions are of and that have a graph, in the order of their names."""
        if not self.connectivity.is_dir():
            raise self.problem("there is no folder connectivity")
        there = {route.scan for routes in self._read.values() for route in routes}
        scans = [scan for scan in sorted(there) if (self.connectivity / f"{scan}{SUFFIX}").is_file()]
        if not scans:
            raise self.problem(f"connectivity has no <scan>{SUFFIX} of {some(sorted(there), _NAMED)}")
        return BuildingSet.read(self.connectivity, scans)

    @cached_property
    def views(self) -> ViewFeatures:
        return opened(self.root / self.features, self.feature_width, self.feature_memory)

    @cached_property
    def routes(self) -> dict[Split, list[Route]]:
        """The routes of each split that can be walked, in an order that ``split_seed`` draws."""
        found: dict[Split, list[Route]] = {}
        broken: list[CorruptSample] = []
        for split, routes in self._read.items():
            usable = []
            for route in routes:
                if why := self._useless(route):
                    broken.append(CorruptSample(f"{route.source}, {route.id}", why))
                else:
                    usable.append(route)
            found[split] = sorted(usable, key=lambda route: (place(route.id, self.split_seed), route.id))
            self._in_splits[split] = [route.id for route in found[split]]
        if all(not routes for routes in found.values()):
            raise self.problem(f"none of {len(broken)} instructions can be used, such as {broken[0]}")
        self.leave_out(broken)
        if lost := [split for split, routes in found.items() if not routes]:
            raise self.problem(f"nothing of {self.files[lost[0]]} can be used, which is data.files.{lost[0]}")
        self._tell_shared()
        return found

    def _useless(self, route: Route) -> str | None:
        """Why an instruction cannot be followed; none: it can."""
        building = self.buildings.building(route.scan)
        if building is None:
            return f"there is no connectivity/{route.scan}{SUFFIX}"
        if not words_of(route.instruction):
            return f"there is no word in its instruction {route.instruction!r:.80}"
        if len(route.path) < 2:
            return "it has a start and no goal: such a file is for predict alone"
        if unknown := [name for name in route.path if name not in building.numbers]:
            return f"its viewpoint {unknown[0]} is not among those included of {route.scan}"
        path = [building.numbers[name] for name in route.path]
        if building.distances[path[0], path[-1]].isinf():
            return f"its goal {route.path[-1]} cannot be reached from {route.path[0]}"
        for one, other in pairwise(path):
            if not building.edges[one, other]:
                names = building.viewpoints
                return f"one cannot walk from {names[one]} to {names[other]} in one move"
        if len(path) > self.max_steps:
            return f"it takes {len(path)} actions with the stop; data.max_steps={self.max_steps}"
        return None

    # ---- what the training split says ----------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> list[str]:
        """The run's own, whose numbers its network knows, or that of the training instructions."""
        known = list((self.known_facts or {}).get("vocabulary", []))
        texts = (route.instruction for route in self.routes["train"][: self.limits["train"]])
        return known or vocabulary_of(texts, self.least_word)

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {
            "vocabulary": self.vocabulary,
            "actions": self.buildings.most_neighbours + 1,
            "feature_width": self.views.width,
            "world": {
                "kind": "buildings",
                "connectivity": str(self.connectivity),
                "features": str(self.root / self.features),
                "feature_width": self.views.width,
                "feature_memory": self.feature_memory,
                "scans": [building.scan for building in self.buildings.buildings],
                "neighbours": self.buildings.most_neighbours,
                "max_steps": self.max_steps,
                "threshold": self.threshold,
            },
        }

    # ---- samples -------------------------------------------------------------------------------------------

    @cached_property
    def most(self) -> tuple[int, int]:
        """The most words of an instruction, and actions of a path, over all splits."""
        every = [route for split in SPLITS for route in self.routes[split]]
        words = max(len(words_of(route.instruction)) for route in every)
        return min(words, self.longest), max(len(route.path) for route in every)

    def load(self, split: Split, fields: tuple[str, ...]) -> "RouteSamples":
        return RouteSamples(self, self.routes[split][: self.limits[split]], fields)

    def classes_of(self, split: Split) -> None:
        """Routes have no class."""

    def picture_files(self, split: Split) -> list[str]:
        return []

    def doctor(self) -> Iterator[str]:
        numbers = numbered(self.vocabulary)
        for split in SPLITS:
            routes = self.routes[split][: self.limits[split]]
            texts = [encoded(route.instruction, numbers) for route in routes]
            unknown = sum(UNKNOWN in text for text in texts)
            long = sum(len(text) > self.longest for text in texts)
            if unknown:
                yield f"{split}: {unknown} of {len(routes)} instructions have unknown words"
            if long:
                yield (
                    f"{split}: {long} of {len(routes)} instructions have more words than "
                    f"data.longest={self.longest}, after which they are cut"
                )
        seen = {route.scan for route in self.routes["train"]}
        for split in SPLITS[1:]:
            routes = self.routes[split]
            known = sum(route.scan in seen for route in routes)
            yield f"{split}: {known} of {len(routes)} instructions are in buildings that are trained in, too"


class RouteSamples(Dataset[Any]):
    """The episodes of a split."""

    def __init__(self, data: GraphEpisodes, routes: Sequence[Route], fields: Sequence[str]) -> None:
        self.buildings, self.size = data.buildings, data.image_size
        self.most_words, self.most_actions = data.most
        self.routes, self.fields = routes, fields
        self.numbers = numbered(data.vocabulary)
        self.maps: dict[tuple[str, float], Tensor] = {}

    def __len__(self) -> int:
        return len(self.routes)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        route = self.routes[index]
        path = torch.tensor([self.buildings.number(route.scan, name) for name in route.path])
        make = {
            "images": lambda: self._picture(route, path),
            "instructions": lambda: table([encoded(route.instruction, self.numbers)], length=self.most_words)[
                0
            ],
            "actions": lambda: pad(
                actions_along(self.buildings, path), (0, self.most_actions - len(path)), value=-1
            ),
            "starts": lambda: start_of(int(path[0]), route.heading),
            "goals": lambda: path[-1:].clone(),
        }
        return {name: make[name]() for name in self.fields}

    def _picture(self, route: Route, path: Tensor) -> Tensor:
        building = self.buildings.building(route.scan)
        assert building is not None
        at = self.buildings.positions[path[0]]
        key = (route.scan, round(float(at[2]), 1))
        if key not in self.maps:
            self.maps[key] = draw_map(building, self.size, float(at[2]))
        return mark_start(self.maps[key], map_view(building, self.size).pixels(at), route.heading)


def start_of(viewpoint: int, heading: float) -> Tensor:
    """int64 [2], as `GraphEpisodes` offers it, of a viewpoint's number and a heading in rad."""
    return torch.tensor([viewpoint, round(heading % (2 * math.pi) * HEADINGS_PER_RAD)])


def actions_along(buildings: BuildingSet, path: Tensor) -> Tensor:
    """What is done on a path, int64 [n] of viewpoints' numbers -> int64 [n]: each move, and the stop."""
    moves = (buildings.neighbours[path[:-1]] == path[1:, None]).to(torch.int8).argmax(1)
    return torch.cat((moves + 1, torch.tensor([STOP])))
