"""Pixels agree with the scene: its colours, its outlines at every size, and nothing that grey gives away."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from vision_apps.data.scenes.colors import GREYS, MATERIALS, grey_of_lightness, palette
from vision_apps.data.scenes.kinds import KINDS, REACH, Kind
from vision_apps.data.scenes.render import render
from vision_apps.data.scenes.world import Scene, Surface, World

WORLD = World(seed=2)


def surfaces(scene: Scene) -> list[Surface]:
    """By part, as `Picture.parts` numbers them."""
    return [scene.sky, scene.cloud, *(layer.surface for layer in (*scene.ridges, *scene.things))]


def recolored(scene: Scene) -> Scene:
    """The same scene with the next colour of every material."""

    def other(surface: Surface) -> Surface:
        return surface._replace(color=(surface.color + 1) % len(MATERIALS[surface.material].colors))

    return scene._replace(
        sky=other(scene.sky),
        ridges=tuple(ridge._replace(surface=other(ridge.surface)) for ridge in scene.ridges),
        things=tuple(thing._replace(surface=other(thing.surface)) for thing in scene.things),
    )


@pytest.mark.parametrize("index", range(6))
def test_every_pixel_has_the_drawn_color_of_its_row(index: int) -> None:
    scene = WORLD.scene("test", index)
    picture = render(scene, 32)
    parts = surfaces(scene)
    names = list(MATERIALS)
    for y in range(32):
        for x in range(32):
            surface = parts[picture.parts[y, x]]
            row = int(picture.materials[y, x])
            assert names[row // GREYS] == surface.material
            assert palette().colors[row, surface.color].tolist() == picture.image[:, y, x].tolist()


@pytest.mark.parametrize("index", range(6))
def test_the_grey_picture_does_not_depend_on_the_drawn_colors(index: int) -> None:
    scene = WORLD.scene("test", index)
    picture, other = render(scene, 32), render(recolored(scene), 32)
    assert (picture.image != other.image).any()
    np.testing.assert_array_equal(picture.materials, other.materials)
    for image in (picture.image, other.image):
        lightness = rgb2lab(image.transpose(1, 2, 0) / 255)[..., 0]
        np.testing.assert_array_equal(np.rint(grey_of_lightness(lightness)), picture.materials % GREYS)


def test_outlines_do_not_depend_on_the_size() -> None:
    """Every third pixel centre of a picture three times as large is a pixel centre of the small one."""
    same = []
    for index in range(20):
        scene = WORLD.scene("train", index)
        small, large = render(scene, 32), render(scene, 96)
        same.append((large.parts[1::3, 1::3] == small.parts).mean())
    assert np.mean(same) > 0.999  # a centre on an outline may fall either way in float32


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_shape_fits_its_circle_and_fills_enough_of_it(kind: Kind) -> None:
    v, u = np.meshgrid(*[np.linspace(-1.5, 1.5, 151, dtype=np.float32)] * 2, indexing="ij")
    inside = kind.shape(u, v) > 0
    assert not inside[np.hypot(u, v) > REACH].any()
    assert 0.2 < inside.sum() * 0.02**2 / np.pi < 0.95
    assert inside.any(axis=0).sum() * 0.02 > 1.4 or inside.any(axis=1).sum() * 0.02 > 1.4
    texture = kind.texture(u, v)[inside]
    assert -20 < texture.min() < texture.max() < 20


def test_kinds_differ_in_grey() -> None:
    """No two shapes nearly coincide, whichever way they are turned by quarters."""
    v, u = np.meshgrid(*[np.linspace(-1.2, 1.2, 61, dtype=np.float32)] * 2, indexing="ij")
    masks = [kind.shape(u, v) > 0 for kind in KINDS]
    for i, first in enumerate(masks):
        for second in masks[i + 1 :]:
            for turned in (np.rot90(second, quarter) for quarter in range(4)):
                assert (first & turned).sum() / (first | turned).sum() < 0.93


def test_the_main_object_is_never_hidden() -> None:
    for index in range(60):
        scene = WORLD.scene("train", index)
        picture = render(scene, 32)
        front = len(surfaces(scene)) - 1
        assert (picture.parts == front).sum() > 0.2 * 32**2 * scene.things[-1].radius ** 2 * np.pi
