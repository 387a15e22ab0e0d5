"""The pointing game: whether a word was looked for where its object is (after Zhang et al., ECCV 2016,
section 4.1, with the maximum of an attention map)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.data.captions.words import numbered, words_of

Size = tuple[int, int]  # height and width


class Pointing(NamedTuple):
    # bool [n]: of each noun whose object is in the picture, whether what was looked at most is on one
    hits: Tensor
    chance: Tensor  # float64 [n]: the share of what could be looked at that is


class Regions(NamedTuple):
    """What is looked at beside the places of a map."""

    boxes: Tensor  # float32 [B, R, 4], zero rows past the regions
    weights: Tensor  # [B, T, R], for each word


def pointing(
    words: Tensor,
    maps: Tensor,
    boxes: Tensor,
    labels: Tensor,
    classes: Mapping[int, int],
    size: Size,
    regions: Regions | None = None,
) -> Pointing:
    """Of captions with a map for each word, and with regions: all together have one maximum, and a region is
    on an object where its centre is.

    Args:
        words: int64 [B, T].
        maps: [B, T, h, w]; of no places where regions alone are looked at.
        boxes: x1, y1, x2, y2 in pixels of a picture of this ``size``, [B, M, 4].
        labels: int64 [B, M], -1 where there is no object.
        classes: from the number of a word to the class that it names.
    """
    points, there = _points(maps, size, regions)
    weights = maps.flatten(2) if regions is None else torch.cat((maps.flatten(2), regions.weights), dim=2)
    low, high = boxes[:, :, None, :2], boxes[:, :, None, 2:]  # [B, M, 1, 2]
    inside = ((points[:, None] >= low) & (points[:, None] < high)).all(-1) & there[:, None]  # [B, M, P]
    hits, chance = [], []
    for number, label in classes.items():
        picture, place = ((words == number) & (labels == label).any(1, keepdim=True)).nonzero().unbind(1)
        on = (inside & (labels == label)[..., None]).any(1)[picture]  # [n, P]
        highest = weights[picture, place].argmax(1, keepdim=True)
        hits.append(on.gather(1, highest)[:, 0])
        chance.append(on.sum(1).double() / there[picture].sum(1))
    if not hits:
        return Pointing(words.new_zeros(0).bool(), maps.new_zeros(0).double())
    return Pointing(torch.cat(hits), torch.cat(chance))


def named_classes(class_names: Sequence[str], vocabulary: Sequence[str]) -> dict[int, int]:
    """From the number of a word to the class that it names, for classes of one word."""
    numbers = numbered(vocabulary)
    named: dict[int, int] = {}
    for label, name in enumerate(class_names):
        words = words_of(name)
        if len(words) == 1 and words[0] in numbers:
            named[numbers[words[0]]] = label
    return named


def _points(maps: Tensor, size: Size, regions: Regions | None) -> tuple[Tensor, Tensor]:
    """The middle of all that can be looked at, x and y in pixels [B, P, 2], and what of it is there, bool
    [B, P]."""
    height, width = maps.shape[-2:]
    y, x = torch.meshgrid(
        (torch.arange(height, device=maps.device) + 0.5) * size[0] / max(1, height),
        (torch.arange(width, device=maps.device) + 0.5) * size[1] / max(1, width),
        indexing="ij",
    )
    points = torch.stack((x, y), dim=-1).flatten(0, 1).expand(len(maps), -1, -1)
    there = points.new_ones(points.shape[:2], dtype=torch.bool)
    if regions is None:
        return points, there
    middle = (regions.boxes[..., :2] + regions.boxes[..., 2:]) / 2
    own = (regions.boxes[..., 2:] > regions.boxes[..., :2]).all(-1)
    return torch.cat((points, middle), dim=1), torch.cat((there, own), dim=1)
