"""What the generated world says of itself is what is drawn, in every right order and template, no other."""

import numpy as np
import pytest
import torch

from vision_apps.core.errors import ConfigError
from vision_apps.data.captions.words import END, SPECIAL, decoded, from_bytes, words_of
from vision_apps.data.scenes.captions import (
    MARGIN,
    MOST,
    PLACES,
    TEMPLATES,
    CaptionWorld,
    SceneCaptions,
    description,
    sentences,
)
from vision_apps.data.scenes.kinds import KINDS
from vision_apps.data.scenes.views import visible_boxes

SMALL = {"image_size": 48, "train_images": 40, "val_images": 4, "test_images": 4}


@pytest.fixture(scope="module")
def data() -> SceneCaptions:
    return SceneCaptions(**SMALL)  # type: ignore[arg-type]


def test_every_object_is_told_where_its_pixels_are(data: SceneCaptions) -> None:
    for scene, picture in data.pictures("train", 40):
        boxes = list(visible_boxes(scene, picture))
        assert len(boxes) == len(scene.things), "no object hides another"
        for thing, (kind, (x1, y1, x2, y2)) in zip(scene.things, boxes, strict=True):
            words = description(thing)
            assert f" {KINDS[kind].name} " in words
            column, row = (int(3 * (low + high) / 2 / data.image_size) for low, high in ((x1, x2), (y1, y2)))
            assert words.endswith(PLACES[3 * row + column])


def test_the_color_that_is_told_is_drawn() -> None:
    """Pure colours of the commonest pixels of a disc or a drop: red, lime or azure."""
    world = CaptionWorld(1, (1, 1))
    data = SceneCaptions(**SMALL, objects=(1, 1), world_seed=1)  # type: ignore[arg-type]
    assert data.world == world
    strongest = {"red": 0, "lime": 1, "azure": 2}
    seen = set()
    for scene, picture in data.pictures("train", 120):
        (thing,) = scene.things
        color = description(thing).split(" ")[1]
        if color in strongest and KINDS[thing.kind].name in ("disc", "drop"):
            pixels = picture.image[:, picture.parts == picture.parts.max()]
            assert int(np.median(pixels, axis=1).argmax()) == strongest[color]
            seen.add(color)
    assert seen == {*strongest}


def test_places_are_equally_likely_and_far_from_their_borders() -> None:
    world = CaptionWorld(0, (1, 2))
    things = [thing for index in range(900) for thing in world.scene("train", index).things]
    counts = np.bincount([3 * int(3 * thing.y) + int(3 * thing.x) for thing in things], minlength=9)
    assert abs(counts / len(things) - 1 / 9).max() < 0.03
    for thing in things:
        for value in (thing.x, thing.y):
            assert min(abs(value - 1 / 3), abs(value - 2 / 3)) >= MARGIN - 1e-9
            assert thing.radius <= value <= 1 - thing.radius


def test_references_are_all_orders_and_templates() -> None:
    world = CaptionWorld(0, (2, 2))
    scene = world.scene("val", 3)
    first, second = map(description, scene.things)
    expected = {
        template.format(f"{one} and {other}")
        for template in TEMPLATES
        for one, other in ((first, second), (second, first))
    }
    assert set(sentences(scene)) == expected and len(list(sentences(scene))) == 4
    alone = scene._replace(things=scene.things[:1])
    assert list(sentences(alone)) == [template.format(description(alone.things[0])) for template in TEMPLATES]


def test_samples_hold_the_sentences(data: SceneCaptions) -> None:
    vocabulary = data.facts["vocabulary"]
    assert isinstance(vocabulary, list) and tuple(vocabulary[: len(SPECIAL)]) == SPECIAL
    fields = data.load("train", data.fields).fields
    scenes = [scene for scene, _ in data.pictures("train", 40)]
    for number, scene in enumerate(scenes):
        texts = [" ".join(words_of(text)) for text in sentences(scene)]
        captions = fields["captions"][number]
        assert [" ".join(decoded(row, vocabulary)) for row in captions.tolist() if any(row)] == texts
        assert from_bytes(fields["references"][number]) == texts
        assert ((captions == END).sum(1) == captions.any(1)).all(), "nothing is cut off"
    assert isinstance(fields["captions"], torch.Tensor)
    assert fields["captions"].shape[1] == MOST * len(TEMPLATES)


def test_more_objects_than_can_be_told_are_refused() -> None:
    for objects in ((0, 1), (1, 3)):
        with pytest.raises(ConfigError, match=r"data\.objects: .* within 1\.\.2"):
            SceneCaptions(**SMALL, objects=objects)  # type: ignore[arg-type]
