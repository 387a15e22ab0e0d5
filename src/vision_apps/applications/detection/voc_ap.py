"""Average precision as the PASCAL VOC development kit defines it, at IoU .5.

Two figures that are easily mixed up: the mean of 11 interpolated precisions (VOC2007) and the area under the
interpolated curve at every recall that occurs (VOC2010 and later; Everingham et al. 2015, section 4).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.detection.overlaps import (
    DetectionTable,
    GroundTruthTable,
    best_first,
    overlapping,
)

IOU = 0.5


class VocFigures(NamedTuple):
    voc07: Tensor  # float64 [K], 11 points; NaN where a class has no object that counts
    voc: Tensor  # float64 [K], all points

    def means(self) -> dict[str, float]:
        """``voc07_ap`` and ``voc_ap``: the mean over the classes that have objects; NaN without any."""
        return {"voc07_ap": float(self.voc07.nanmean()), "voc_ap": float(self.voc.nanmean())}


class Verdicts(NamedTuple):
    """What becomes of each found box, best first."""

    labels: Tensor  # int64 [N]
    right: Tensor  # bool [N]: the first one that found its object
    counted: Tensor  # bool [N]: false for those on ignored objects


def voc_figures(found: DetectionTable, truths: GroundTruthTable, num_classes: int) -> VocFigures:
    """Both averages of each class. The boxes of ``truths.ignored`` (VOC's difficult) count neither as found
    nor as missed.

    VOC counts pixels inclusively and adds 1 to every side; with our exclusive second corners nothing is
    added.
    """
    verdicts = judge(found, truths)
    objects = torch.bincount(truths.labels[~truths.ignored], minlength=num_classes)
    figures = torch.full((2, num_classes), torch.nan, dtype=torch.float64)
    for label in objects.nonzero()[:, 0].tolist():
        right = verdicts.right[verdicts.counted & (verdicts.labels == label)]
        figures[0, label], figures[1, label] = averages(right, int(objects[label]))
    return VocFigures(*figures)


def judge(found: DetectionTable, truths: GroundTruthTable) -> Verdicts:
    """The development kit's assignment: each found box goes to the object of its class that it overlaps most,
    by at least ``IOU``, whether that is free or not. The best found box of an object is right, further ones
    are wrong."""
    found = best_first(found)
    pairs = overlapping(found, truths, IOU, same_class=True)
    # the largest overlap of each found box first, of equal ones the first object
    order = pairs.overlap.argsort(descending=True, stable=True)
    order = order[pairs.found[order].argsort(stable=True)]
    rows = pairs.found[order]
    heads = order[torch.cat([rows.new_ones(1), rows.diff()])[: len(rows)] > 0]
    rows, objects = pairs.found[heads], pairs.truth[heads]
    first = torch.full((len(truths.labels),), len(found.labels))
    first.scatter_reduce_(0, objects, rows, "amin")
    ignored = truths.ignored[objects]
    right = torch.zeros(len(found.labels), dtype=torch.bool)
    right[rows] = (first[objects] == rows) & ~ignored
    counted = torch.ones(len(found.labels), dtype=torch.bool)
    counted[rows] = ~ignored
    return Verdicts(found.labels, right, counted)


def averages(right: Tensor, objects: int) -> tuple[float, float]:
    """The mean of the best precisions at recall >= 0, .1, ..., 1, and the area under the interpolated curve
    of precision over recall.

    Args:
        right: bool [n], best first.
        objects: how many there are to find.
    """
    if not len(right):
        return 0.0, 0.0
    hits = right.long().cumsum(0)
    precision = hits.double() / torch.arange(1, 1 + len(right))
    best = precision.flip(0).cummax(0).values.flip(0)  # at that recall or a higher one
    # recall >= k / 10 in whole numbers: in floats 3 / 10 would not reach .3
    reached = 10 * hits >= objects * torch.arange(11)[:, None]
    eleven = torch.where(reached, best, 0.0).amax(1).mean()
    return float(eleven), float((best * right).sum() / objects)
