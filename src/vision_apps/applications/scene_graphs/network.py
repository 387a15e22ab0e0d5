"""From pixels and boxes to classes of objects and predicates of pairs, in the shape of Neural Motifs (Zellers
et al., CVPR 2018): objects in the context of each other, their classes, the objects with their classes in
context again, and pairs of these with the picture around both."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vision_apps.applications.scene_graphs.context import Kind, LstmContext, context_of
from vision_apps.applications.scene_graphs.geometry import BETWEEN, PLACE, between, box_grid, places, union
from vision_apps.applications.scene_graphs.types import Told, present
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Backbone

PAIRS_AT_ONCE = 2048  # on a processor: what is read around them is 16 MB with 4 x 4 points and 128 features


class RelationNetwork(nn.Module):
    """
    Args:
        backbone: its maps, the coarser ones enlarged to the finest, are added.
        context: what objects are told by each other with, before and after their classes are told.
        layers, heads, dropout: of each context.
        width: of an object's and a pair's features, and of the map that they are read from.
        points: along each side of a box, where the map is read.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        num_predicates: int,
        context: Kind = "transformer",
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        width: int = 128,
        points: int = 4,
    ) -> None:
        super().__init__()
        if points < 1:
            raise ConfigError(f"model.points: {points}; expected at least 1")
        self.num_classes = num_classes
        self.points = points
        self.backbone = backbone
        self.stems = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in backbone.channels)
        read = width * points**2
        self.look = nn.Linear(read, width)
        self.place = nn.Linear(PLACE, width)
        self.object_norm = nn.LayerNorm(width)
        self.object_context = context_of(context, width, layers, heads, dropout)
        self.classes = nn.Linear(width, num_classes)
        self.named = nn.Embedding(num_classes, width)
        self.relation_norm = nn.LayerNorm(width)
        self.relation_context = context_of(context, width, layers, heads, dropout)
        self.subject, self.other = (nn.Linear(width, width) for _ in range(2))
        self.around = nn.Linear(read, width)
        self.between = nn.Sequential(nn.Linear(BETWEEN, width), nn.ReLU(), nn.Linear(width, width))
        self.pair_norm = nn.LayerNorm(width)
        self.predicates = nn.Sequential(
            nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, num_predicates + 1)
        )

    @property
    def recurrent(self) -> bool:
        return isinstance(self.object_context, LstmContext)

    def forward(
        self,
        pixels: Tensor,
        boxes: Tensor,
        labels: Tensor,
        pairs: Tensor | None = None,
        wiped: bool = False,
    ) -> Told:
        """
        Args:
            pixels: normalised, [B, 3, H, W].
            boxes: in pixels of these, [B, M, 4].
            labels: int64 [B, M]: 0..K-1, K where the class is to be told, -1 where there is no object.
            pairs: int64 [B, P, 2], which to tell of; none: all, subject by subject.
            wiped: tell of them also without what is seen of the two.
        """
        size = (pixels.shape[2], pixels.shape[3])
        there = present(labels)
        boxes = boxes.to(pixels.dtype) * there[..., None]
        maps = self._joined(self.backbone(pixels))
        seen = self.object_norm(
            self.look(box_grid(maps, boxes, size, self.points)) + self.place(places(boxes, size))
        )
        objects = self.object_context(seen, boxes, there)
        logits = self.classes(objects)
        # no network is so sure of a class that it could be given back: the likeliest is as good as given
        named = torch.where(labels == self.num_classes, logits.argmax(-1), labels)
        ways = [objects, torch.zeros_like(objects)] if wiped else [objects]
        parts = [self._parts(one, boxes, named) for one in ways]
        told, *without = self.told_of_pairs(maps, boxes, size, parts, pairs)
        if pairs is None:
            pairs = all_pairs(labels.shape[1], labels.device).expand(labels.shape[0], -1, -1)
        return Told(logits, named, told, pairs, *without)

    def _joined(self, levels: list[Tensor]) -> Tensor:
        """[B, width, h, w] of the finest level."""
        finest = levels[0].shape[-2:]
        each = [stem(level) for stem, level in zip(self.stems, levels, strict=True)]
        return torch.stack([each[0], *(interpolate(one, finest) for one in each[1:])]).sum(0)

    def _parts(self, objects: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What objects [B, M, C] with these boxes and classes bring into pairs, as their subject and as the
        other one: [B, M, C] each."""
        named = self.relation_norm(objects + self.named(labels.clamp_min(0)))
        known = self.relation_context(named, boxes, present(labels))
        return self.subject(known), self.other(known)

    def told_of_pairs(
        self,
        maps: Tensor,
        boxes: Tensor,
        size: tuple[int, int],
        parts: Sequence[tuple[Tensor, Tensor]],
        pairs: Tensor | None = None,
    ) -> list[Tensor]:
        """Logits [B, P, Q + 1] of what objects bring into pairs, and likewise of each of the ``parts`` after
        the first, without how the two lie to each other.

        Args:
            maps: [B, C, h, w], of pictures of this ``size``, height and width.
            boxes: in pixels of these, [B, M, 4].
            parts: of the objects as subjects and as others, [B, M, C] each.
            pairs: int64 [B, P, 2]; none: all, subject by subject.
        """
        B, M = boxes.shape[:2]
        # what is around two objects is the same from either side: of all pairs it is read once
        held, place = (pairs, None) if pairs is not None else either_way(M, boxes.device)
        if pairs is None:
            pairs, held = all_pairs(M, boxes.device).expand(B, -1, -1), held.expand(B, -1, -1)

        def around(rows: slice, columns: slice) -> list[Tensor]:
            first, second = _both(boxes[rows], held[rows, columns])
            return [self.around(box_grid(maps[rows], union(first, second), size, self.points))]

        def told(rows: slice, columns: slice) -> list[Tensor]:
            own = pairs[rows, columns]
            near = seen[rows, columns] if place is None else seen[rows][:, place[columns]]
            lie = self.between(between(*_both(boxes[rows], own), size))
            found = []
            for number, (subject, other) in enumerate(parts):
                both = _rows(subject[rows], own[..., 0]) + _rows(other[rows], own[..., 1])
                least = both + lie if number == 0 else both
                found.append(self.predicates(self.pair_norm(torch.addcmul(least, both, near))))
            return found

        (seen,) = in_blocks(around, B, held.shape[1], boxes.device)
        return in_blocks(told, B, pairs.shape[1], boxes.device)


def in_blocks(
    told: Callable[[slice, slice], list[Tensor]], pictures: int, pairs: int, device: torch.device
) -> list[Tensor]:
    """What is told of these numbers of pictures and pairs of each: [pictures, pairs, ...]. On a processor of
    some at a time, whose numbers stay in its cache.

    Args:
        told: of some pictures, and of some pairs of each, in a block.
    """
    # a graph holds no loop over a batch of unknown size, and an accelerator wants all at once
    if torch.compiler.is_compiling() or device.type != "cpu" or pictures * pairs <= PAIRS_AT_ONCE:
        return told(slice(None), slice(None))
    columns = [slice(start, start + PAIRS_AT_ONCE) for start in range(0, pairs, PAIRS_AT_ONCE)]
    step = max(1, PAIRS_AT_ONCE // pairs)
    blocks = [
        [told(slice(start, start + step), some) for some in columns] for start in range(0, pictures, step)
    ]
    lines = [[torch.cat(parts, 1) for parts in zip(*line, strict=True)] for line in blocks]
    return [torch.cat(parts) for parts in zip(*lines, strict=True)]


def all_pairs(count: int, device: torch.device) -> Tensor:
    """Each of so many rows with each, subject by subject: int64 [count * count, 2]."""
    rows = torch.arange(count, device=device)
    return torch.stack(torch.meshgrid(rows, rows, indexing="ij"), dim=-1).flatten(0, 1)


def either_way(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The pairs of so many rows whatever their order, each row with itself among them: int64
    [count * (count + 1) / 2, 2], and where among them each of `all_pairs` is: int64 [count * count]."""
    rows, columns = torch.triu_indices(count, count, device=device)
    place = rows.new_zeros(count, count)
    place[rows, columns] = place[columns, rows] = torch.arange(len(rows), device=device)
    return torch.stack((rows, columns), dim=-1), place.flatten()


def _both(boxes: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """The boxes [B, M, 4] of the subjects and of the objects of pairs int64 [B, P, 2]: [B, P, 4] each."""
    return _rows(boxes, pairs[..., 0]), _rows(boxes, pairs[..., 1])


def _rows(values: Tensor, numbers: Tensor) -> Tensor:
    """[B, M, C] and int64 [B, P] -> [B, P, C]."""
    return values.gather(1, numbers[..., None].expand(-1, -1, values.shape[-1]))
