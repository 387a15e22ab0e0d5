"""Detections and ground truth of many pictures as flat tables, and how their boxes overlap.

The measures of detection all work on these tables: a row is a box and names its picture.
"""

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vision_apps.networks.boxes import area, intersection, iou


class GroundTruthTable(NamedTuple):
    boxes: Tensor  # float [G, 4], x1, y1, x2, y2
    labels: Tensor  # int64 [G], 0..K-1
    ignored: Tensor  # bool [G]: COCO's crowds, VOC's difficult objects
    images: Tensor  # int64 [G], the picture's number
    areas: Tensor | None = None  # float [G], px: where they are not those of the boxes (COCO's masks)


class DetectionTable(NamedTuple):
    boxes: Tensor  # float [N, 4]
    scores: Tensor  # float [N]
    labels: Tensor  # int64 [N], 0..K-1
    images: Tensor  # int64 [N]


class Pairs(NamedTuple):
    """A row is a found box and a true box of one picture."""

    found: Tensor  # int64 [P], row of the found box
    truth: Tensor  # int64 [P], row of the true box
    overlap: Tensor  # float64 [P]


Table = TypeVar("Table", DetectionTable, GroundTruthTable, Pairs)


def pick(table: Table, rows: Tensor) -> Table:
    """The rows of a table with these numbers, int64 [n], or where a bool mask of its length says so."""
    return type(table)._make(None if column is None else column[rows] for column in table)


def best_first(found: DetectionTable) -> DetectionTable:
    """The rows by falling score; equal scores keep their order."""
    return pick(found, found.scores.argsort(descending=True, stable=True))


def group_pairs(found_groups: Tensor, truth_groups: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of every pair of a found [N] and a true [G] box in the same group: int64 [P] each, by found row
    and then by true row."""
    order = truth_groups.argsort(stable=True)
    sorted_groups = truth_groups[order]
    first = torch.searchsorted(sorted_groups, found_groups)
    counts = torch.searchsorted(sorted_groups, found_groups, right=True) - first
    rows = torch.arange(len(found_groups)).repeat_interleave(counts)
    shift = (first - (counts.cumsum(0) - counts)).repeat_interleave(counts)
    return rows, order[torch.arange(len(rows)) + shift]


def pairwise_overlap(found: Tensor, truth: Tensor, crowd: Tensor | None = None) -> Tensor:
    """Intersection over union of boxes [P, 4] row by row, float64 [P]; 0 without an area.

    Args:
        crowd: bool [P], where the intersection is taken over the found box's area alone, as COCO does: a box
            inside of a crowd overlaps it wholly.
    """
    found, truth = found.double(), truth.double()
    overlap = iou(found, truth)
    if crowd is None:
        return overlap
    own = intersection(found, truth) / area(found).clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(crowd, own, overlap)


def overlapping(
    found: DetectionTable, truths: GroundTruthTable, least: float, *, same_class: bool, crowd: bool = False
) -> Pairs:
    """The pairs of one picture whose boxes overlap by at least ``least``.

    Args:
        same_class: only pairs of one class.
        crowd: overlaps with ignored boxes are taken over the found box's area, see `pairwise_overlap`.
    """
    groups = found.images, truths.images
    if same_class:  # there are fewer than 2^32 classes
        groups = (found.images << 32) + found.labels, (truths.images << 32) + truths.labels
    rows, columns = group_pairs(*groups)
    overlap = pairwise_overlap(
        found.boxes[rows], truths.boxes[columns], truths.ignored[columns] if crowd else None
    )
    keep = overlap >= least
    return pick(Pairs(rows, columns, overlap), keep)


def greedy(pairs: Pairs, found: int, truths: int) -> Tensor:
    """Give each found box, in the order of its row, the free true box that it overlaps most: int64 [N], the
    true row, -1 where none was free.

    Args:
        pairs: whose overlap is large enough; the found rows best first within a picture.
        found, truths: N and G, the number of rows.
    """
    # by found row, and there by falling overlap; equal overlaps keep the order of the true rows
    order = pairs.overlap.argsort(descending=True, stable=True)
    order = order[pairs.found[order].argsort(stable=True)]
    given, taken = [-1] * found, [False] * truths
    for row, column in zip(pairs.found[order].tolist(), pairs.truth[order].tolist(), strict=True):
        if given[row] < 0 and not taken[column]:
            given[row], taken[column] = column, True
    return torch.tensor(given, dtype=torch.int64)
