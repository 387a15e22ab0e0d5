"""Questions about the generated world: true answers, spread so that words alone do not tell them."""

from collections import Counter, defaultdict

import numpy as np
import pytest
import pytorch_lightning  # noqa: F401 - its first import sets an environment variable, which no test may do
import torch

from vision_apps.core.errors import ConfigError
from vision_apps.data.questions import words
from vision_apps.data.scenes import queries
from vision_apps.data.scenes.colors import HUES, palette, shades
from vision_apps.data.scenes.queries import Query, Seen, answer
from vision_apps.data.scenes.questions import SceneQuestions, exchanged, seen
from vision_apps.data.scenes.render import render
from vision_apps.data.scenes.world import World

THINGS = [
    Seen("disc", "red", 0.25, 0.3, 0.3),
    Seen("star", "blue", 0.15, 0.7, 0.6),
    Seen("star", "red", 0.12, 0.5, 0.65),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query("color", kind="disc"), "red"),
        (Query("color", kind="star"), None),  # which of the two?
        (Query("color", kind="box"), None),
        (Query("kind", color="blue"), "star"),
        (Query("kind", color="red"), None),
        (Query("size", kind="disc"), "large"),
        (Query("exist", kind="star", color="red"), "yes"),
        (Query("exist", kind="disc", color="blue"), "no"),
        (Query("exist", color="green"), "no"),
        (Query("count"), "3"),
        (Query("count", kind="star"), "2"),
        (Query("count", color="green"), "0"),
        (Query("chain", rank="largest", asked="color"), "red"),
        (Query("chain", rank="smallest", asked="kind"), "star"),
        (Query("relate", kind="disc", direction="left of", other="star"), None),
        (Query("relate", kind="disc", direction="left of", other="box"), None),
    ],
)
def test_answers_are_true(query: Query, expected: str | None) -> None:
    assert answer(query, THINGS) == expected


def test_relations_need_a_clear_distance() -> None:
    things = [*THINGS[:2], Seen("box", "lime", 0.15, 0.65, 0.9)]

    def told(kind: str, direction: str, other: str) -> str | None:
        return answer(Query("relate", kind=kind, direction=direction, other=other), things)

    assert told("disc", "left of", "star") == "yes" and told("disc", "right of", "star") == "no"
    assert told("star", "above", "box") == "yes" and told("star", "below", "box") == "no"
    assert told("star", "left of", "box") is None


def test_the_largest_is_only_asked_for_where_it_clearly_is() -> None:
    alike = [thing._replace(radius=0.15 + number / 100) for number, thing in enumerate(THINGS)]
    assert answer(Query("chain", rank="largest", asked="kind"), alike) is None
    assert answer(Query("chain", rank="largest", asked="kind"), THINGS[:1]) is None


def test_every_kind_gets_the_next_one_in_the_complement() -> None:
    other = queries.complement(THINGS)
    assert [thing.kind for thing in other] == ["star", "star", "disc"]
    assert [thing[1:] for thing in other] == [thing[1:] for thing in THINGS]


@pytest.fixture(scope="module")
def data() -> SceneQuestions:
    return SceneQuestions(
        image_size=32,
        train_images=400,
        val_images=2,
        test_images=60,
        types=queries.TYPES,
        questions=14,
        kinds=12,
        colors=12,
    )


Rows = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def rows(data: SceneQuestions) -> Rows:
    """Type, question and answer of each question of the training split."""
    fields = data.load("train", ("questions", "answers", "question_types")).fields
    vocabulary = data.facts["vocabulary"]
    assert isinstance(vocabulary, list)
    flat = (fields[name].flatten(0, 1).tolist() for name in ("question_types", "questions", "answers"))
    return [
        (queries.TYPES[kind], words.spelled(text, vocabulary), queries.ANSWERS[number])
        for kind, text, number in zip(*flat, strict=True)
        if kind >= 0
    ]


@pytest.mark.slow
def test_every_word_is_known_and_every_type_is_asked(data: SceneQuestions, rows: Rows) -> None:
    assert "<unknown>" not in " ".join(text for _, text, _ in rows)
    assert {kind for kind, _, _ in rows} == {*queries.TYPES}
    assert {word for _, text, _ in rows for word in text.split()} > {*HUES, *queries.NAMES}
    assert len(rows) > 0.75 * 400 * 14


@pytest.mark.slow
def test_words_alone_say_little(rows: Rows) -> None:
    """The best answer to each wording, chosen on one half and scored on the other, and to each type."""
    halves = rows[::2], rows[1::2]
    told: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, text, said in halves[0]:
        told[kind][said] += 1
        told[text][said] += 1
    for by, most in ((0, 0.5), (1, 0.5)):
        right: defaultdict[str, list[bool]] = defaultdict(list)
        for row in halves[1]:
            if told[row[by]]:
                right[row[0]].append(told[row[by]].most_common(1)[0][0] == row[2])
        share = {kind: sum(own) / len(own) for kind, own in right.items()}
        gate = [value for kind, value in share.items() if kind != "relate"]
        assert sum(gate) / len(gate) <= most, share
        assert all(share[kind] < 0.25 for kind in ("color", "kind", "chain")), share
        assert all(share[kind] < 0.62 for kind in ("exist", "size", "relate")), share


@pytest.mark.parametrize("count", [2, 12])
def test_usual_questions_are_of_known_words(count: int) -> None:
    made = SceneQuestions(image_size=16, train_images=1, types=queries.TYPES, kinds=count, colors=count)
    facts = made.facts
    usual, vocabulary = facts["usual_questions"], facts["vocabulary"]
    assert isinstance(usual, dict) and isinstance(vocabulary, list) and [*usual] == [*queries.TYPES]
    assert not {word for text in usual.values() for word in words.words_of(text)} - {*vocabulary}


def test_less_kinds_and_colors_are_as_likely() -> None:
    made = SceneQuestions(image_size=16, train_images=150, val_images=1, test_images=1, kinds=3, colors=4)
    things = [thing for scene, _ in made.pictures("train", 150) for thing in scene.things]
    for numbers, least in (
        (Counter(thing.kind for thing in things), 0.25),
        (Counter(thing.surface.color for thing in things), 0.17),
    ):
        assert min(numbers.values()) > least * len(things)
    fields = made.load("train", ("questions",)).fields
    texts = {
        words.spelled(text, made.facts["vocabulary"]) for text in fields["questions"].flatten(0, 1).tolist()
    }  # type: ignore[arg-type]
    spoken = {word for text in texts for word in text.split()}
    assert spoken & {*queries.NAMES} == {"disc", "star", "heart"}
    assert spoken & {*HUES} == {"rose", "yellow", "jade", "blue"}


@pytest.mark.slow
def test_pictures_show_what_is_answered(data: SceneQuestions) -> None:
    """The colour of the pixels of each thing is the one that questions call it."""
    assert palette() is not None
    for index in range(20):
        scene = data.world.scene("test", index)
        picture = render(scene, 32)
        for number, thing in enumerate(scene.things):
            where = picture.parts == 2 + len(scene.ridges) + number
            said = [one.color for one in seen(scene, picture) if (one.x, one.y) == (thing.x, thing.y)]
            if where.sum() >= 16:
                of_color = shades()[list(HUES).index(said[0])]  # in every grey
                shown = {tuple(pixel) for pixel in picture.image[:, where].T.tolist()}
                assert shown <= {tuple(pixel) for pixel in of_color.tolist()}
            else:
                assert not said


@pytest.mark.slow
def test_the_other_picture_is_the_same_with_other_kinds(data: SceneQuestions) -> None:
    fields = data.load("test", ("images", "answers", "other_images", "other_answers")).fields
    known = fields["other_answers"] >= 0
    differs = known & (fields["other_answers"] != fields["answers"])
    assert known.float().mean() > 0.5 and 0.2 < differs.sum() / known.sum() < 0.9
    assert not torch.equal(fields["images"], fields["other_images"])
    scene = World(0, (2, 3), colors_by_kind=False).scene("test", 1)
    other = exchanged(scene, render(scene, 32))
    assert Counter(thing.kind for thing in other.things) == Counter(thing.kind for thing in scene.things)
    assert [thing._replace(kind=0) for thing in other.things] == [
        thing._replace(kind=0) for thing in scene.things
    ]


def test_a_sample_is_a_function_of_seed_split_and_number() -> None:
    def sample(split: str, count: int, **changes: int) -> list[np.ndarray]:
        made = SceneQuestions(image_size=16, train_images=count, val_images=count, test_images=1, **changes)
        return [made.load(split, (name,)).fields[name][2].numpy() for name in ("images", "questions")]  # type: ignore[arg-type]

    first = sample("train", 3)
    for again in (sample("train", 5), sample("train", 3, seed=4)):
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    for unlike in (sample("val", 3), sample("train", 3, world_seed=1)):
        assert not any(np.array_equal(one, other) for one, other in zip(first, unlike, strict=True))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"types": ["colour"]}, "data.types: 'colour'; expected some of color"),
        ({"types": []}, "data.types: none"),
        ({"questions": 0}, "data.questions: 0"),
        ({"kinds": 5}, "data.kinds: 5; expected one of 2, 3, 4, 6, 12"),
        ({"objects": [0, 2]}, "expected at least 1 object to ask about"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        SceneQuestions(**changes)  # type: ignore[arg-type]
