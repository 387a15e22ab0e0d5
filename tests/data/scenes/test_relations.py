"""The generated world as a graph: what is said of two things is true of their boxes, is never hard to say,
and some of it is in no training picture."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vision_apps.core.errors import ConfigError
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.related import (
    APART,
    FAR,
    FILLED,
    HELD_OUT,
    INVERSE,
    MARGIN,
    NEAR,
    PREDICATES,
    RelatedWorld,
    box_of,
    held_out,
    liked,
    predicate_of,
    relations_of,
    triplets_of,
)
from vision_apps.data.scenes.relations import SceneRelations
from vision_apps.data.scenes.render import render
from vision_apps.data.scenes.views import visible

WORLD = RelatedWorld(0, (3, 5))
BOX = (0.4, 0.4, 0.6, 0.6)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ((0.15, 0.42, 0.35, 0.6), "left of"),
        ((0.65, 0.38, 0.8, 0.53), "right of"),
        ((0.45, 0.1, 0.6, 0.36), "above"),
        ((0.45, 0.64, 0.6, 0.8), "below"),
        ((0.55, 0.45, 0.8, 0.7), "touching"),
        ((0.45, 0.45, 0.55, 0.58), "inside"),
        ((0.3, 0.35, 0.7, 0.65), "around"),
        ((0.05, 0.42, 0.2, 0.6), None),
    ],
)
def test_a_predicate_is_where_a_box_lies(subject: tuple[float, ...], expected: str | None) -> None:
    found = predicate_of(subject, BOX)  # type: ignore[arg-type]
    assert (None if found is None else PREDICATES[found]) == expected
    back = predicate_of(BOX, subject)  # type: ignore[arg-type]
    assert back == (None if found is None else INVERSE[found])


@pytest.mark.parametrize(
    "subject",
    [
        (0.2, 0.42, 0.28, 0.6),  # neither near nor far
        (0.2, 0.4, 0.39, 0.6),  # touching, or not?
        (0.23, 0.23, 0.36, 0.36),  # beside or above?
        (0.41, 0.41, 0.6, 0.6),  # nearly the same place
        (0.45, 0.41, 0.7, 0.6),  # most of one behind the other
    ],
)
def test_what_is_hard_to_say_is_told(subject: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"neither|behind|before"):
        predicate_of(subject, BOX)  # type: ignore[arg-type]


def independent(subject: tuple[float, ...], other: tuple[float, ...]) -> str | None:
    """Written anew, by centres and sides instead of corners, for boxes of which it is clear."""
    (x, y, w, h), (u, v, a, b) = (
        ((one[0] + one[2]) / 2, (one[1] + one[3]) / 2, one[2] - one[0], one[3] - one[1])
        for one in (subject, other)
    )
    beside, above = abs(x - u) - (w + a) / 2, abs(y - v) - (h + b) / 2
    if max(beside, above) > (NEAR + FAR) / 2:
        return None
    if max(beside, above) < 0:
        if abs(x - u) <= (a - w) / 2 and abs(y - v) <= (b - h) / 2:
            return "inside"
        if abs(x - u) <= (w - a) / 2 and abs(y - v) <= (h - b) / 2:
            return "around"
        return "touching"
    if abs(x - u) > abs(y - v):
        return "left of" if x < u else "right of"
    return "above" if y < v else "below"


@given(st.integers(0, 10**6), st.sampled_from(["train", "val", "test"]))
def test_every_pair_of_a_scene_is_told_as_it_lies(index: int, split: str) -> None:
    things = WORLD.scene(split, index).things
    assert 3 <= len(things) <= 5
    boxes = [box_of(thing) for thing in things]
    told = {(one, other): PREDICATES[said] for one, other, said in relations_of(things)}
    for one, other in permutations(range(len(things)), 2):
        assert told.get((one, other)) == independent(boxes[one], boxes[other])
    for box in boxes:
        assert min(box) >= MARGIN and max(box) <= 1 - MARGIN
    if split == "train":
        assert not any(held_out(*triplet) for triplet in triplets_of(things))


def test_the_box_is_that_of_the_pixels() -> None:
    for index in range(12):
        scene = WORLD.scene("val", index)
        for thing in scene.things:
            alone = scene._replace(things=(thing,))
            (seen,) = visible(alone, render(alone, 256)).values()
            assert (
                np.abs(np.array(seen) / 256 - box_of(thing)).max() < 0.025
            )  # a tip that is thinner than a pixel


def test_small_things_stand_in_front_and_what_is_around_can_be_seen() -> None:
    areas = [
        [(box[2] - box[0]) * (box[3] - box[1]) for box in map(box_of, WORLD.scene("val", index).things)]
        for index in range(50)
    ]
    assert all(own == sorted(own, reverse=True) for own in areas)
    assert 0 < FILLED < 1 and APART < NEAR < FAR


def test_held_out_triplets_are_symmetric_and_a_small_share() -> None:
    every = [(s, p, o) for s in range(12) for p in range(len(PREDICATES)) for o in range(12)]
    out = [triplet for triplet in every if held_out(*triplet)]
    assert all(held_out(o, INVERSE[p], s) for s, p, o in out)
    assert abs(len(out) / len(every) - HELD_OUT) < 0.03


def test_what_two_kinds_like_is_the_same_seen_from_both() -> None:
    for one in range(len(KINDS)):
        for other in range(len(KINDS)):
            likes = liked(one, other)
            assert (likes is None) == (one == other)
            assert likes is None or liked(other, one) == INVERSE[likes]


@pytest.fixture(scope="module")
def data() -> SceneRelations:
    return SceneRelations(train_images=200, val_images=2, test_images=200)


@pytest.mark.slow
def test_samples_point_to_their_boxes_and_the_unseen_is_in_the_test_alone(data: SceneRelations) -> None:
    found = {}
    for split in ("train", "test"):
        fields = data.load(split, data.fields).fields  # type: ignore[arg-type]
        boxes, labels, relations = (fields[name] for name in ("boxes", "box_labels", "relations"))
        assert relations.shape == (200, 20, 3) and relations.dtype == torch.int64
        triplets = []
        for b in range(200):
            rows = relations[b][relations[b, :, 0] >= 0]
            assert (relations[b, len(rows) :] == -1).all()
            assert (labels[b][rows[:, :2]] >= 0).all() and (rows[:, 0] != rows[:, 1]).all()
            assert len(rows[:, :2].unique(dim=0)) == len(rows)
            for one, other, said in rows.tolist():
                triplets.append((int(labels[b, one]), said, int(labels[b, other])))
                middle = (boxes[b, :, :2] + boxes[b, :, 2:]) / 2
                if PREDICATES[said] == "left of":
                    assert middle[one, 0] < middle[other, 0]
        found[split] = triplets
    share = [sum(held_out(*triplet) for triplet in own) / len(own) for own in found.values()]
    assert share[0] == 0 and 0.04 < share[1] < 0.14
    assert {said for _, said, _ in found["train"]} == set(range(len(PREDICATES)))


@pytest.mark.slow
def test_classes_alone_say_something_and_far_from_all(data: SceneRelations) -> None:
    """The likeliest predicate of each pair of classes, counted on training pictures, among the right ones of
    the test."""
    counts = np.zeros((12, 12, len(PREDICATES)))
    for index in range(1000):
        for subject, said, other in triplets_of(data.world.scene("train", index).things):
            counts[subject, other, said] += 1
    scenes = [data.world.scene("test", index) for index in range(300)]
    tested = [triplet for scene in scenes for triplet in triplets_of(scene.things)]
    right = np.mean([counts[s, o].argmax() == p for s, p, o in tested])
    commonest = np.mean([counts.sum((0, 1)).argmax() == p for _, p, _ in tested])
    assert commonest + 0.05 < right < 0.7


def test_a_scene_is_a_function_of_seed_split_and_number() -> None:
    assert WORLD.scene("train", 7) == RelatedWorld(0, (3, 5)).scene("train", 7)
    others = (RelatedWorld(1, (3, 5)).scene("train", 7), WORLD.scene("val", 7), WORLD.scene("train", 8))
    assert all(WORLD.scene("train", 7) != other for other in others)


def test_what_is_hidden_or_too_small_is_neither_box_nor_relation() -> None:
    made = SceneRelations(image_size=16, train_images=60, val_images=1, test_images=1)
    fields = made.load("train", ("box_labels", "relations")).fields
    labels, relations = fields["box_labels"], fields["relations"]
    assert ((labels >= 0).sum(1) < 3).any()
    there = relations[..., 0] >= 0
    for column in (0, 1):
        assert (labels.gather(1, relations[..., column].clamp_min(0))[there] >= 0).all()


@pytest.mark.parametrize("objects", [(0, 3), (3, 7), (4, 2)])
def test_a_number_of_objects_without_a_place_is_refused(objects: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=r"data.objects: .* within 1..6"):
        SceneRelations(objects=objects)


def test_one_object_has_no_relation() -> None:
    fields = SceneRelations(objects=(1, 1), train_images=2).load("train", ("relations",)).fields
    assert torch.equal(fields["relations"], torch.full((2, 1, 3), -1))  # type: ignore[arg-type]
