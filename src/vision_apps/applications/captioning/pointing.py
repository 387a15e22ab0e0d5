"""The pointing game: whether a word was looked for where its object is (after Zhang et al., ECCV 2016,
section 4.1, with the maximum of an attention map)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.data.captions.words import numbered, words_of

Size = tuple[int, int]  # height and width


class Pointing(NamedTuple):
    hits: Tensor  # bool [n]: of each noun whose object is in the picture, whether the map's maximum is on one
    chance: Tensor  # float64 [n]: the share of the places that are


def pointing(
    words: Tensor, maps: Tensor, boxes: Tensor, labels: Tensor, classes: Mapping[int, int], size: Size
) -> Pointing:
    """Of captions with a map for each word.

    Args:
        words: int64 [B, T].
        maps: [B, T, h, w].
        boxes: x1, y1, x2, y2 in pixels of a picture of this ``size``, [B, M, 4].
        labels: int64 [B, M], -1 where there is no object.
        classes: from the number of a word to the class that it names.
    """
    height, width = maps.shape[-2:]
    y = (torch.arange(height, device=maps.device) + 0.5) * size[0] / height
    x = (torch.arange(width, device=maps.device) + 0.5) * size[1] / width
    x1, y1, x2, y2 = boxes[..., None, None].unbind(2)  # [B, M, 1, 1]
    inside = (y[:, None] >= y1) & (y[:, None] < y2) & (x >= x1) & (x < x2)  # [B, M, h, w]
    hits, chance = [], []
    for number, label in classes.items():
        picture, place = ((words == number) & (labels == label).any(1, keepdim=True)).nonzero().unbind(1)
        there = (inside & (labels == label)[..., None, None]).any(1)[picture].flatten(1)  # [n, P]
        highest = maps[picture, place].flatten(1).argmax(1, keepdim=True)
        hits.append(there.gather(1, highest)[:, 0])
        chance.append(there.double().mean(1))
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
