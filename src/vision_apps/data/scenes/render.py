"""From a scene to pixels: sharp-edged, so that each pixel is of one part and has one row of the palette."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vision_apps.data.scenes.colors import MATERIAL_ROWS, grey_of_lightness, palette
from vision_apps.data.scenes.grounds import TEXTURES
from vision_apps.data.scenes.kinds import KINDS, REACH, Field
from vision_apps.data.scenes.world import Cloud, Scene, Surface, Thing

RIM = 0.024  # width of an object's dark outline, of the picture
RIM_DEPTH = 24.0  # L*: how much darker it is
STEPS = 8  # steps per unit of L* in the table of greys
GREY_TABLE = np.rint(grey_of_lightness(np.arange(100 * STEPS + 1) / STEPS)).astype(np.int16)


class Picture(NamedTuple):
    """A rendered scene: numpy arrays of S x S pixels."""

    image: NDArray[np.uint8]  # [3, S, S] sRGB
    materials: NDArray[np.int16]  # [S, S] row of `colors.palette()`: what can be seen in grey
    parts: NDArray[np.uint8]  # [S, S] 0 sky, 1 clouds, then the ridges, then the things, as in the scene


def render(scene: Scene, size: int) -> Picture:
    """Draws a scene; the same scene at another size has the same outlines."""
    canvas = _Canvas(size)
    x, y = _grid(size)
    canvas.paint(slice(None), scene.sky, TEXTURES[scene.sky.material](x, y))
    canvas.paint(_cloud_cover(scene.clouds, x, y), scene.cloud, 6 * (0.3 - y))
    for ridge in scene.ridges:
        depth = y - ridge.height - ridge.swell * np.sin(2 * np.pi * (ridge.waves * x + ridge.phase))
        canvas.paint(depth > 0, ridge.surface, TEXTURES[ridge.surface.material](x + ridge.phase, depth))
    for thing in scene.things:
        canvas.stamp(thing)
    image = palette().colors.numpy()[canvas.rows, np.array(canvas.drawn)[canvas.parts]]
    return Picture(np.ascontiguousarray(image.transpose(2, 0, 1)), canvas.rows, canvas.parts)


class _Canvas:
    """Rows of the palette and parts, painted back to front."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = np.zeros((size, size), dtype=np.int16)
        self.parts = np.zeros((size, size), dtype=np.uint8)
        self.drawn: list[int] = []  # per part: which colour of its material

    def stamp(self, thing: Thing) -> None:
        """Draws one object inside its bounding square."""
        x, y = _grid(self.size)
        stretch = np.sqrt(thing.aspect)
        reach = REACH * thing.radius * max(stretch, 1 / stretch)
        rows, columns = (_span(centre, reach, self.size) for centre in (thing.y, thing.x))
        right, up = x[:, columns] - thing.x, thing.y - y[rows]
        cosine, sine = np.float32(np.cos(thing.angle)), np.float32(np.sin(thing.angle))
        u = (cosine * right + sine * up) / np.float32(thing.radius * stretch)
        v = (cosine * up - sine * right) / np.float32(thing.radius / stretch)
        kind = KINDS[thing.kind]
        field = kind.shape(u, v)
        texture = np.where(field < RIM / thing.radius, -RIM_DEPTH, kind.texture(u, v))
        self.paint(field > 0, thing.surface, texture, (rows, columns))

    def paint(
        self,
        where: slice | NDArray[np.bool_],
        surface: Surface,
        texture: Field,
        window: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> None:
        """Covers the pixels ``where`` of a window with a surface, lightened by the texture in L*."""
        lightness = np.clip(surface.lightness + texture, 0, 100)
        rows = GREY_TABLE[(lightness * STEPS).astype(np.int16)] + MATERIAL_ROWS[surface.material]
        self.rows[window][where] = np.broadcast_to(rows, self.rows[window].shape)[where]
        self.parts[window][where] = len(self.drawn)
        self.drawn.append(surface.color)


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Field, Field]:
    """Pixel centres: x [1, S] and y [S, 1]."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    return centres[None, :], centres[:, None]


def _span(centre: float, reach: float, size: int) -> slice:
    return slice(max(0, int((centre - reach) * size)), max(0, int((centre + reach) * size) + 1))


def _cloud_cover(clouds: tuple[Cloud, ...], x: Field, y: Field) -> NDArray[np.bool_]:
    """Three puffs on a flat base each."""
    cover = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for cloud in clouds:
        u, v = (x - cloud.x) / cloud.width, (y - cloud.y) / cloud.width
        puffs = [(-0.55, 0.38), (0.0, 0.6), (0.6, 0.42)]
        for centre, radius in puffs:
            cover |= ((u - centre) ** 2 + v**2 < radius**2) & (v < 0.15)
    return cover
