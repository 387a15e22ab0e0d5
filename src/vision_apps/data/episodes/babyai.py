"""Rooms of BabyAI as a data set: nothing to download, any number of episodes."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from vision_apps.core.data import SPLITS, Split, TensorSamples, VisionData
from vision_apps.core.errors import require_no
from vision_apps.data.episodes import demonstrations, levels, tiles
from vision_apps.data.episodes.demonstrations import Demonstrations, Shape
from vision_apps.data.episodes.rooms import ACTIONS, STOP, VIEW, views
from vision_apps.data.questions.words import UNKNOWN, encoded, numbered, table, vocabulary_of

LEAST_PIXELS = 14  # 2 for each cell of a view: below, things can no longer be told apart
_EPISODES = 1_000_000  # of a split of one world at most
_MEASURED = 256  # episodes from which mean and std are taken: enough for two digits


class BabyAi(VisionData):
    """Episodes of a level whose instructions are ``go to ...``, with the demonstration of BabyAI's bot for
    each.

    Offers ``images`` uint8 [3, S, S], what is seen at the beginning; ``instructions`` int64 [L]; ``actions``
    int64 [T], the expert's; ``starts`` int64 [4], seed, x, y and direction; ``maps`` uint8 [h, w], codes as
    in `rooms`; ``goals`` int64 [G], cells ``y * w + x`` of the objects that are meant, -1: none.

    An episode is all that follows from its seed. Episode i of the training has the seed ``3 * (i + world_seed
    * 10^6)``, of the validation that plus 1, of the test that plus 2, so that none is in two splits however
    many there are.

    Args:
        level: as BabyAI calls it, such as GoToLocalS6N4, a room of 6 x 6 cells with its walls and 4 objects.
        image_size: side of the pictures, px; a multiple of 7 gives those of Minigrid.
        train_images, val_images, test_images: episodes, each of which begins with a picture.
        max_steps: after which an episode is over; by default as many as Minigrid allows for the level.
        world_seed: of the episodes; apart from ``seed``, so that runs with different seeds see the same ones.
        cache: a folder in which demonstrations are kept.
    """

    fields: ClassVar[tuple[str, ...]] = ("images", "instructions", "actions", "starts", "maps", "goals")
    fact_names: ClassVar[tuple[str, ...]] = (
        *("world", "vocabulary", "usual_instruction", "actions"),
        *("image_size", "mean", "std"),
    )

    def __init__(
        self,
        level: str = "GoToLocalS6N4",
        image_size: int = 56,
        train_images: int = 4000,
        val_images: int = 512,
        test_images: int = 512,
        max_steps: int | None = None,
        world_seed: int = 0,
        cache: str = "~/.cache/vision_apps/demonstrations",
        **loader: Any,
    ) -> None:
        super().__init__(**loader)
        counts: dict[Split, int] = {"train": train_images, "val": val_images, "test": test_images}
        problems = [f"data.{split}_images: {n}; expected at least 1" for split, n in counts.items() if n < 1]
        if image_size < LEAST_PIXELS:
            problems.append(f"data.image_size: {image_size} px; expected at least {LEAST_PIXELS}")
        if max_steps is not None and max_steps < 2:
            problems.append(f"data.max_steps: {max_steps}; expected at least 2, a step and the stop")
        if not 0 <= world_seed < 1_000_000:
            problems.append(f"data.world_seed: {world_seed}; expected 0 to 999999")
        if too_many := [split for split, n in counts.items() if n > _EPISODES]:
            problems.append(f"data.{too_many[0]}_images: {counts[too_many[0]]}; expected at most {_EPISODES}")
        require_no(problems)
        self.level = levels.checked(level)
        self.image_size, self.counts = image_size, counts
        self.max_steps, self.world_seed = max_steps, world_seed
        self.cache = Path(cache).expanduser()

    def seeds(self, split: Split) -> Sequence[int]:
        """Those of a split's episodes, in their order."""
        first = len(SPLITS) * self.world_seed * _EPISODES + SPLITS.index(split)
        return range(first, first + len(SPLITS) * self.counts[split], len(SPLITS))

    @cached_property
    def shape(self) -> Shape:
        """Of all episodes."""
        of_level = demonstrations.shape_of(self.level)
        return of_level._replace(steps=self.max_steps or of_level.steps)

    @cached_property
    def _kept(self) -> dict[Split, Demonstrations]:
        return {
            split: demonstrations.kept(self.level, self.seeds(split), self.shape, self.cache)
            for split in SPLITS
        }

    def prepare_data(self) -> None:
        super().prepare_data()
        self._require_same_world()
        self._kept  # noqa: B018 - they are made now, not when training starts

    def _require_same_world(self) -> None:
        """`ConfigError` where a trained agent, which walks in the rooms that it learned in, would be led into
        others."""
        known = (self.known_facts or {}).get("world", self._world)
        require_no(
            f"data.{name}: {self._world[name]!r}, where the run has learned with {known.get(name)!r} and "
            f"walks so; leave data.{name} as it was, or start a new run"
            for name in ("level", "max_steps")
            if self._world[name] != known.get(name)
        )

    @property
    def _world(self) -> dict[str, object]:
        return {
            "kind": "rooms",
            "level": self.level,
            "height": self.shape.height,
            "width": self.shape.width,
            "max_steps": self.shape.steps,
            "image_size": self.image_size,
        }

    @property
    def facts(self) -> dict[str, object]:
        mean, std = self._statistics
        return {
            "world": self._world,
            "vocabulary": self.vocabulary,
            "usual_instruction": self._kept["train"].missions[0],
            "actions": len(ACTIONS),
            "image_size": self.image_size,
            "mean": mean,
            "std": std,
        }

    @cached_property
    def vocabulary(self) -> list[str]:
        """The words of the training's instructions, or the run's own, whose numbers its network knows."""
        known = list((self.known_facts or {}).get("vocabulary", []))
        return known or vocabulary_of(self._kept["train"].missions)

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        found = self._kept[split]
        made = {
            "images": lambda: self._images(found),
            "instructions": lambda: self._instructions(found.missions),
            "actions": lambda: found.actions,
            "starts": lambda: torch.cat((found.seeds[:, None], found.poses), dim=1),
            "maps": lambda: found.maps,
            "goals": lambda: found.targets[:, : max(1, int((found.targets >= 0).sum(1).max()))],
        }
        return TensorSamples(**{name: made[name]() for name in fields})

    def _images(self, found: Demonstrations) -> Tensor:
        return tiles.pixels(views(found.maps, found.poses), self.image_size)

    def _instructions(self, missions: Sequence[str]) -> Tensor:
        numbers = numbered(self.vocabulary)
        return table([encoded(text, numbers) for text in missions])

    def obstacles(self) -> Iterator[str]:
        numbers = numbered(self.vocabulary)
        for split in SPLITS:
            missions = self._kept[split].missions
            if unknown := sum(UNKNOWN in encoded(text, numbers) for text in missions):
                yield f"{split}: {unknown} of {len(missions)} instructions have words that no training has"
            actions = self._kept[split].actions
            if lost := int((actions != STOP).all(1).sum()):
                yield (
                    f"{split}: in {lost} of {len(actions)} demonstrations the expert does not arrive: its "
                    f"way is blocked, or takes more than data.max_steps={self.shape.steps}"
                )
        yield from self._the_same()

    def _the_same(self) -> Iterator[str]:
        """A small room has few beginnings: seeds that differ may give the same one."""
        seen = set(self._beginnings("train"))
        for split in SPLITS[1:]:
            if again := sum(one in seen for one in self._beginnings(split)):
                yield (
                    f"{split}: {again} of {self.counts[split]} episodes begin exactly as one of the "
                    f"training: rooms of {self.level} are small; a larger level has none"
                )

    def _beginnings(self, split: Split) -> list[bytes]:
        found = self._kept[split]
        rows = torch.cat((found.maps.flatten(1), found.poses.to(torch.uint8)), dim=1)
        return [bytes(row.tolist()) + text.encode() for row, text in zip(rows, found.missions, strict=True)]

    @classmethod
    def fake(cls, root: Path) -> dict[str, object]:
        """Nothing is needed on disk: these arguments make a few episodes, kept below ``root``."""
        counts = {"train_images": 16, "val_images": 8, "test_images": 8}
        return {"image_size": VIEW * 4, "cache": str(root / "cache"), **counts}

    @cached_property
    def _statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of the channels, in [0, 1] units."""
        some = self._kept["train"]
        images = tiles.pixels(views(some.maps[:_MEASURED], some.poses[:_MEASURED]), self.image_size)
        std, mean = torch.std_mean(images.double() / 255, dim=(0, 2, 3))
        return [round(value, 3) for value in mean.tolist()], [round(value, 3) for value in std.tolist()]
