"""A graph drawn on its picture, and by itself."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from vision_apps.applications.scene_graphs.graphs import Graph, Relation, distinct_names
from vision_apps.core.marks import FAINT, PAPER, Color, Mark, marked
from vision_apps.core.pictures import from_pil, shortened, to_pil

INK = (33, 37, 41)
TRUE, FALSE = (30, 140, 75), (206, 42, 42)
COLORS = (  # of objects, dark enough for white letters
    (31, 105, 175), (166, 30, 90), (140, 90, 20), (132, 70, 160), (0, 122, 128), (96, 120, 20),
    (80, 80, 200), (60, 90, 110), (190, 50, 140), (150, 40, 40),
)  # fmt: skip
SIDE = 380  # px of a graph's picture
BEND = 0.16  # how far an arrow leaves the straight line, in shares of its length: both ways can be seen
HEAD = 8  # px of an arrow's head
STEPS = 24  # of a curve
ROOM = 10  # nodes that a circle of `SIDE` has room for

Point = tuple[float, float]


def on_picture(image: Tensor, graph: Graph, colors: Sequence[Color] = (), caption: str = "") -> Tensor:
    """The picture uint8 [3, H, W] with a box around each object and an arrow from subjects to objects, one
    for each pair of them (the surest, with its predicate): uint8 [3, h, w].

    Args:
        colors: of each relation; none: dark.
    """
    marks = [
        Mark(one.box, name, COLORS[number % len(COLORS)])
        for number, (one, name) in enumerate(zip(graph.objects, distinct_names(graph.objects), strict=True))
    ]
    names: list[tuple[int, int, int, int]] = []
    page = to_pil(marked(image, marks, caption, names))
    scale = page.width / image.shape[-1]
    middles = [
        ((one.box[0] + one.box[2]) / 2 * scale, (one.box[1] + one.box[3]) / 2 * scale)
        for one in graph.objects
    ]
    shown: dict[frozenset[int], tuple[Relation, Color]] = {}
    for relation, color in zip(graph.relations, colors or [INK] * len(graph.relations), strict=True):
        shown.setdefault(frozenset((relation.subject, relation.object)), (relation, color))
    arrows = [
        (_curve(middles[one.subject], middles[one.object], 0.5 * BEND), one.predicate, color)
        for one, color in shown.values()
    ]
    _draw(page, arrows, names)
    return from_pil(page)


def by_itself(graph: Graph, colors: Sequence[Color] = (), height: int = SIDE) -> Tensor:
    """The graph's objects in a circle, in the order in which they lie around the middle of the picture, with
    an arrow for each relation: uint8 [3, height, w]. Where there are many objects the unrelated are left out,
    and the circle grows.

    Args:
        colors: of each relation; none: dark.
    """
    count = len(graph.objects)
    related = {row for one in graph.relations for row in (one.subject, one.object)}
    nodes = [row for row in range(count) if count <= ROOM or row in related]
    height = max(height, SIDE * len(nodes) // ROOM, 120)
    page = Image.new("RGB", (round(1.25 * height), height), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=13)
    if not nodes:
        pen.text((page.width / 2, page.height / 2), "no objects", FAINT, font, anchor="mm")
        return from_pil(page)
    names = distinct_names(graph.objects)
    places = _circle(graph, nodes, page.size)
    arrows = [
        (_clipped(_curve(places[one.subject], places[one.object], BEND)), one.predicate, color)
        for one, color in zip(graph.relations, colors or [INK] * len(graph.relations), strict=True)
    ]
    _draw(page, arrows)
    for row in nodes:
        text = shortened(names[row], font, page.width / 3)
        half = font.getlength(text) / 2 + 8
        x, y = places[row]
        box = (x - half, y - 12, x + half, y + 12)
        pen.rounded_rectangle(box, 10, fill=COLORS[row % len(COLORS)], outline=PAPER)
        pen.text((x, y), text, PAPER, font, anchor="mm")
    return from_pil(page)


def _circle(graph: Graph, nodes: Sequence[int], size: tuple[int, int]) -> dict[int, Point]:
    """A place for each node, in the order of the angles at which their boxes lie around their middle."""
    width, height = size
    if len(nodes) == 1:
        return {nodes[0]: (width / 2, height / 2)}
    middles = {
        row: ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        for row, box in ((row, graph.objects[row].box) for row in nodes)
    }
    x, y = (sum(point[axis] for point in middles.values()) / len(nodes) for axis in (0, 1))
    angles = {row: math.atan2(point[1] - y, point[0] - x) for row, point in middles.items()}
    order = sorted(nodes, key=lambda row: (angles[row], row))
    step = 2 * math.pi / len(order)
    # turned so that objects stand near to where they are
    turn = math.atan2(
        sum(math.sin(angles[row] - n * step) for n, row in enumerate(order)),
        sum(math.cos(angles[row] - n * step) for n, row in enumerate(order)),
    )
    return {
        row: (
            width / 2 + (width / 2 - 70) * math.cos(turn + n * step),
            height / 2 + (height / 2 - 24) * math.sin(turn + n * step),
        )
        for n, row in enumerate(order)
    }


def _curve(start: Point, end: Point, bend: float) -> list[Point]:
    """Points of a quadratic curve that leaves the straight line to its left; what goes back leaves it to the
    other side."""
    (x, y), (u, v) = start, end
    middle = ((x + u) / 2 + bend * (v - y), (y + v) / 2 - bend * (u - x))
    points = []
    for t in (n / STEPS for n in range(STEPS + 1)):
        shares = ((1 - t) ** 2, 2 * t * (1 - t), t**2)
        across, down = (
            sum(share * point[axis] for share, point in zip(shares, (start, middle, end), strict=True))
            for axis in (0, 1)
        )
        points.append((across, down))
    return points


def _clipped(points: list[Point]) -> list[Point]:
    """Without what lies below the names at both ends."""
    (x, y), (u, v) = points[0], points[-1]
    far = [
        point
        for point in points
        if max(abs(point[0] - x) / 34, abs(point[1] - y) / 15) > 1
        and max(abs(point[0] - u) / 34, abs(point[1] - v) / 15) > 1
    ]
    return far if len(far) > 2 else points


def _draw(
    page: Image.Image,
    arrows: Sequence[tuple[list[Point], str, Color]],
    names: Sequence[tuple[float, float, float, float]] = (),
) -> None:
    """Curves with a head at their end and a text near their middle, the first on top; where there is room for
    it, no text stands on another or on one of the ``names``, places x1, y1, x2, y2."""
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for points, _, color in reversed(arrows):
        pen.line(points, fill=PAPER, width=4)
        pen.line(points, fill=color, width=2)
        (x, y), (u, v) = points[-3], points[-1]
        long = math.hypot(u - x, v - y) or 1.0
        a, b = (u - x) / long, (v - y) / long
        head = [
            (u, v),
            (u - HEAD * a + HEAD / 2 * b, v - HEAD * b - HEAD / 2 * a),
            (u - HEAD * a - HEAD / 2 * b, v - HEAD * b + HEAD / 2 * a),
        ]
        pen.polygon(head, fill=color, outline=PAPER)
    taken = [*names]
    for points, text, color in arrows:
        half = font.getlength(text) / 2 + 3
        spots = [points[round(share * (len(points) - 1))] for share in (0.5, 0.38, 0.62, 0.26, 0.74)]
        boxes = [
            _inside((x - half, y + beside - 7, x + half, y + beside + 7), page.size)
            for beside in (0, 16, -16, 32, -32)
            for x, y in spots
        ]
        free = (box for box in boxes if not any(_meet(box, other) for other in taken))
        box = next(free, boxes[0])
        taken.append(box)
        pen.rectangle(box, fill=PAPER)
        pen.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), text, color, font, anchor="mm")


def _inside(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Moved into a page of this width and height."""
    x = min(max(box[0], 0), max(0, size[0] - (box[2] - box[0]))) - box[0]
    y = min(max(box[1], 0), max(0, size[1] - (box[3] - box[1]))) - box[1]
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
