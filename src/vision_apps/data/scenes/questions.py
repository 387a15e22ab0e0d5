"""The generated world with questions about each picture."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vision_apps.core.data import Split, TensorSamples
from vision_apps.core.errors import require_no
from vision_apps.data.questions import words
from vision_apps.data.scenes import queries
from vision_apps.data.scenes.colors import HUES, MATERIALS
from vision_apps.data.scenes.data import Scenes
from vision_apps.data.scenes.queries import Query, Seen
from vision_apps.data.scenes.render import Picture, render
from vision_apps.data.scenes.views import FIRST_RIDGE, LEAST_VISIBLE
from vision_apps.data.scenes.world import SPLITS, Scene

_TRIES = 4  # draws of a question that differs from those before
_LONGEST = 10  # words of a question
_DIVISORS = (2, 3, 4, 6, 12)  # of the number of kinds and of colours, which both are twelve
_NUMBERS = {name: number for number, name in enumerate(queries.ANSWERS)}


class SceneQuestions(Scenes):
    """The world with questions about each picture, and their answers.

    Offers ``images`` uint8 [3, S, S]; ``questions`` int64 [Q, L], numbers of words, 0 past the end;
    ``answers`` int64 [Q], -1 past the questions; ``question_types`` int64 [Q], likewise; and, to measure
    with, the same picture in which every thing has the kind of the next, ``other_images`` uint8 [3, S, S],
    and what is true there, ``other_answers`` int64 [Q], -1 where a question makes no sense.

    Every thing may have any of the colours that there are. The questions of a picture are a function of the
    world's seed, the split and the picture's number, like the picture.

    Args:
        objects: the least and greatest number of objects.
        kinds, colors: how many of each there are, of the world's twelve every second, third, ...
        questions: of a picture; a few have less, where nothing more can be asked.
        types: which of `queries.TYPES` are asked, one after the other.
    """

    fields: ClassVar[tuple[str, ...]] = (
        *("images", "questions", "answers", "question_types"),
        *("other_images", "other_answers"),
    )
    to_measure: ClassVar[tuple[str, ...]] = ("other_images", "other_answers")
    fact_names: ClassVar[tuple[str, ...]] = (
        *("vocabulary", "answer_names", "type_names", "usual_questions"),
        *("image_size", "resize_mode", "mean", "std"),
    )

    def __init__(
        self,
        *,
        objects: Sequence[int] = (2, 3),
        kinds: int = 6,
        colors: int = 6,
        questions: int = 8,
        types: Sequence[str] = queries.TYPES[:-1],
        **world: Any,
    ) -> None:
        problems = [
            f"data.types: {name!r}; expected some of {', '.join(queries.TYPES)}"
            for name in types
            if name not in queries.TYPES
        ]
        if not types:
            problems.append(f"data.types: none; expected some of {', '.join(queries.TYPES)}")
        if questions < 1:
            problems.append(f"data.questions: {questions}; expected at least 1")
        problems += [
            f"data.{name}: {count}; expected one of {', '.join(map(str, _DIVISORS))}"
            for name, count in (("kinds", kinds), ("colors", colors))
            if count not in _DIVISORS
        ]
        if len(objects) == 2 and objects[0] < 1:
            problems.append(f"data.objects: {list(objects)}; expected at least 1 object to ask about")
        require_no(problems)
        super().__init__(objects=objects, colors_by_kind=False, **world)
        self.kinds = range(0, len(queries.NAMES), len(queries.NAMES) // kinds)
        self.colors = range(0, len(HUES), len(HUES) // colors)
        self.named = queries.Named([queries.NAMES[n] for n in self.kinds], [HUES[n] for n in self.colors])
        self.questions = questions
        self.types = list(types)
        self._words = words.numbered([*words.RESERVED, *queries.WORDS])

    @property
    def facts(self) -> dict[str, object]:
        common = {name: super(SceneQuestions, self).facts[name] for name in ("image_size", "mean", "std")}
        return common | {
            "vocabulary": [*words.RESERVED, *queries.WORDS],
            "answer_names": list(queries.ANSWERS),
            "type_names": self.types,
            "usual_questions": {name: queries.usual(name, self.named) for name in self.types},
            "resize_mode": "letterbox",
        }

    def pictures(self, split: Split, count: int) -> Iterator[tuple[Scene, Picture]]:
        for index in range(count):
            scene = self._thinned(self.world.scene(split, index))
            yield scene, render(scene, self.image_size)

    def load(self, split: Split, fields: tuple[str, ...]) -> TensorSamples:
        scenes = enumerate(self.pictures(split, self.counts[split]))
        samples = [self._sample(split, index, *made, fields) for index, made in scenes]
        return TensorSamples(**{name: torch.stack([sample[name] for sample in samples]) for name in fields})

    def _sample(
        self, split: Split, index: int, scene: Scene, picture: Picture, fields: tuple[str, ...]
    ) -> dict[str, Tensor]:
        things = seen(scene, picture)
        # a stream of its own, far from the one that the scene was drawn from
        key = np.array([self.world.seed, index * len(SPLITS) + SPLITS.index(split)], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 1]))
        asked = self._asked(things, rng)
        texts = [words.encoded(queries.in_words(query, rng), self._words) for query in asked]
        sample = {
            "images": torch.from_numpy(picture.image),
            "questions": words.table(texts, self.questions, _LONGEST),
            "answers": self._answered(asked, things),
            "question_types": self._row([self.types.index(query.type) for query in asked]),
        }
        if {"other_images", "other_answers"} & {*fields}:
            other = exchanged(scene, picture)
            shown = render(other, self.image_size)
            sample["other_images"] = torch.from_numpy(shown.image)
            # in rare pictures the new shape of a thing hides another one
            same = seen(other, shown) == queries.complement(things)
            sample["other_answers"] = self._answered(asked if same else [], seen(other, shown))
        return sample

    def _thinned(self, scene: Scene) -> Scene:
        """The scene with none but the kinds and colours that there are, each as likely as before."""
        things = (
            thing._replace(
                kind=self.kinds[thing.kind % len(self.kinds)],
                surface=thing.surface._replace(color=self.colors[thing.surface.color % len(self.colors)]),
            )
            for thing in scene.things
        )
        return scene._replace(things=tuple(things))

    def _asked(self, things: Sequence[Seen], rng: np.random.Generator) -> list[Query]:
        """Questions of the types in turn, none twice."""
        found: dict[Query, None] = {}
        for number in range(self.questions):
            for _ in range(_TRIES):
                query = queries.draw(self.types[number % len(self.types)], things, self.named, rng)
                if query is not None and query not in found:
                    found[query] = None
                    break
        return list(found)

    def _answered(self, asked: Sequence[Query], things: Sequence[Seen]) -> Tensor:
        told = (queries.answer(query, things) for query in asked)
        return self._row([-1 if one is None else _NUMBERS[one] for one in told])

    def _row(self, values: Sequence[int]) -> Tensor:
        return torch.tensor([*values, *[-1] * (self.questions - len(values))])


def seen(scene: Scene, picture: Picture) -> list[Seen]:
    """The things of a scene of which enough can be seen, as questions speak of them."""
    return [
        Seen(
            queries.NAMES[thing.kind],
            list(MATERIALS[thing.surface.material].colors)[thing.surface.color],
            *(thing.radius, thing.x, thing.y),
        )
        for thing in (scene.things[number] for number in _visible(scene, picture))
    ]


def exchanged(scene: Scene, picture: Picture) -> Scene:
    """The scene in which each visible thing has the kind of the next: what `queries.complement` speaks of."""
    numbers = _visible(scene, picture)
    things = list(scene.things)
    for number, next_one in zip(numbers, [*numbers[1:], *numbers[:1]], strict=True):
        things[number] = things[number]._replace(kind=scene.things[next_one].kind)
    return scene._replace(things=tuple(things))


def _visible(scene: Scene, picture: Picture) -> list[int]:
    """The numbers of the things of which enough can be seen."""
    first = FIRST_RIDGE + len(scene.ridges)
    counts = np.bincount(picture.parts.ravel(), minlength=first + len(scene.things))[first:]
    return np.flatnonzero(counts >= LEAST_VISIBLE).tolist()
