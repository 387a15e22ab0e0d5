"""From pixels and boxes to classes of objects and predicates of pairs, in the shape of Neural Motifs (Zellers
et al., CVPR 2018): objects in the context of each other, their classes, the objects with their classes in
context again, and pairs of these with the picture around both."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vision_apps.applications.scene_graphs.context import Kind, LstmContext, context_of
from vision_apps.applications.scene_graphs.geometry import BETWEEN, PLACE, between, box_grid, places, union
from vision_apps.applications.scene_graphs.types import Told, present
from vision_apps.core.errors import ConfigError
from vision_apps.networks.backbones import Backbone


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
        if pairs is None:
            pairs = all_pairs(labels.shape[1], labels.device).expand(labels.shape[0], -1, -1)
        first, second = (_rows(boxes, pairs[..., side]) for side in (0, 1))
        around = self.around(box_grid(maps, union(first, second), size, self.points))
        lie = self.between(between(first, second, size))
        told = self._related(objects, lie, around, boxes, named, pairs)
        without = None
        if wiped:
            nothing = torch.zeros_like(objects), torch.zeros_like(lie)
            without = self._related(*nothing, around, boxes, named, pairs)
        return Told(logits, named, told, pairs, without)

    def _joined(self, levels: list[Tensor]) -> Tensor:
        """[B, width, h, w] of the finest level."""
        finest = levels[0].shape[-2:]
        each = [stem(level) for stem, level in zip(self.stems, levels, strict=True)]
        return torch.stack([each[0], *(interpolate(one, finest) for one in each[1:])]).sum(0)

    def _related(
        self, objects: Tensor, lie: Tensor, around: Tensor, boxes: Tensor, labels: Tensor, pairs: Tensor
    ) -> Tensor:
        """Logits [B, P, Q + 1] from objects [B, M, C], how pairs lie to each other and what is around them
        [B, P, C], and the classes [B, M]."""
        there = present(labels)
        named = self.relation_norm(objects + self.named(labels.clamp_min(0)))
        known = self.relation_context(named, boxes, there)
        subject, other = _rows(self.subject(known), pairs[..., 0]), _rows(self.other(known), pairs[..., 1])
        predicates: Tensor = self.predicates(self.pair_norm((subject + other) * (1 + around) + lie))
        return predicates


def all_pairs(count: int, device: torch.device) -> Tensor:
    """Each of so many rows with each, subject by subject: int64 [count * count, 2]."""
    rows = torch.arange(count, device=device)
    return torch.stack(torch.meshgrid(rows, rows, indexing="ij"), dim=-1).flatten(0, 1)


def _rows(values: Tensor, numbers: Tensor) -> Tensor:
    """[B, M, C] and int64 [B, P] -> [B, P, C]."""
    return values.gather(1, numbers[..., None].expand(-1, -1, values.shape[-1]))
