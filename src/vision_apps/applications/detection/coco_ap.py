"""Average precision and recall as COCO defines them, computed by faster-coco-eval's C++.

The evaluator is used through its Python interface, but is given what costs time otherwise: annotations that
hold only what it reads, and overlaps that were computed for all pictures at once.
"""

import os
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.detection.overlaps import (
    DetectionTable,
    GroundTruthTable,
    group_pairs,
    pairwise_overlap,
    pick,
)
from vision_apps.networks.boxes import area

MOST = 100  # detections of one class that count in one picture
NAMES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)


class CocoFigures(NamedTuple):
    figures: dict[str, float]  # the twelve by name, in COCO's order; NaN where no object defines one
    class_ap: Tensor  # float64 [K], over IoU .5 to .95; NaN where the class has no object
    class_ap50: Tensor  # float64 [K]
    curve: Tensor  # float64 [101, K], precision at IoU .5 for recall 0, .01, ..., 1


def coco_figures(found: DetectionTable, truths: GroundTruthTable, num_classes: int) -> CocoFigures:
    """COCO's twelve figures, with crowds where ``truths.ignored``.

    Boxes are in pixels of the picture's file: small is below 32 x 32, large above 96 x 96. Pictures come in
    the order of their numbers where scores are equal.
    """
    undefined = torch.full((num_classes,), torch.nan, dtype=torch.float64)
    result = CocoFigures(
        dict.fromkeys(NAMES, float("nan")), undefined, undefined.clone(), undefined.expand(101, -1).clone()
    )
    classes = truths.labels.unique()
    if not len(classes):
        return result
    ranked = _ranked(found, classes, num_classes)
    precision, recall = _evaluated(ranked, truths, num_classes, classes.tolist())
    values = [precision[..., 0, 2], precision[0, ..., 0, 2], precision[5, ..., 0, 2]]
    values += [precision[..., size, 2] for size in (1, 2, 3)]
    values += [recall[..., 0, most] for most in (0, 1, 2)]
    values += [recall[..., size, 2] for size in (1, 2, 3)]
    for name, value in zip(NAMES, values, strict=True):
        result.figures[name] = _defined_mean(value)
    for column, label in enumerate(classes.tolist()):
        result.class_ap[label] = _defined_mean(precision[:, :, column, 0, 2])
        result.class_ap50[label] = _defined_mean(precision[0, :, column, 0, 2])
    curve = precision[0, :, :, 0, 2]
    result.curve[:, classes] = torch.where(curve < 0, torch.nan, curve)
    return result


def _defined_mean(values: Tensor) -> float:
    """COCO marks by -1 what is not defined."""
    defined = values[values > -1]
    return float(defined.mean()) if len(defined) else float("nan")


def _ranked(found: DetectionTable, classes: Tensor, num_classes: int) -> DetectionTable:
    """By picture, class and falling score, at most ``MOST`` of a class and picture; without the classes that
    have no object, which no figure counts."""
    found = pick(found, torch.isin(found.labels, classes))
    order = found.scores.argsort(descending=True, stable=True)
    groups = (found.images * num_classes + found.labels)[order]
    by_group = groups.argsort(stable=True)
    order, groups = order[by_group], groups[by_group]
    rank = torch.arange(len(groups)) - torch.searchsorted(groups, groups)
    return pick(found, order[rank < MOST])


def _evaluated(
    found: DetectionTable, truths: GroundTruthTable, num_classes: int, classes: list[int]
) -> tuple[Tensor, Tensor]:
    """Precision [IoU, recall, class, area range, most] and recall [IoU, class, area range, most]; -1 where it
    is not defined."""
    images = torch.cat([found.images, truths.images]).unique().tolist()
    areas = area(truths.boxes.double()) if truths.areas is None else truths.areas.double()
    true_rows = _rows(
        image_id=truths.images, category_id=truths.labels, area=areas, iscrowd=truths.ignored.long()
    )
    found_rows = _rows(
        image_id=found.images,
        category_id=found.labels,
        area=area(found.boxes.double()),
        score=found.scores.double(),
    )
    evaluator = _evaluator()(
        _annotations(true_rows, images, classes), _annotations(found_rows, images, classes), iouType="bbox"
    )
    evaluator.overlaps = _blocks(found, truths, num_classes)
    evaluator.evaluate()
    evaluator.accumulate()
    return torch.from_numpy(evaluator.eval["precision"]), torch.from_numpy(evaluator.eval["recall"])


def _rows(**columns: Tensor) -> list[dict[str, float]]:
    names = ("id", *columns)
    # numbers from 1: 0 is COCO's mark of what has no match
    values = zip(range(1, 1 + len(columns["image_id"])), *(c.tolist() for c in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in values]


def _blocks(
    found: DetectionTable, truths: GroundTruthTable, num_classes: int
) -> dict[tuple[int, int], list[list[float]]]:
    """The overlaps [found][true] of each picture and class that has both."""
    groups = found.images * num_classes + found.labels
    rows, columns = group_pairs(groups, truths.images * num_classes + truths.labels)
    overlap = pairwise_overlap(found.boxes[rows], truths.boxes[columns], truths.ignored[columns])
    # found rows are sorted by group, so that the pairs of a group stand together
    paired, sizes = groups[rows].unique_consecutive(return_counts=True)
    heights = torch.searchsorted(groups, paired, right=True) - torch.searchsorted(groups, paired)
    flat, start = overlap.tolist(), 0
    blocks = {}
    for group, size, height in zip(paired.tolist(), sizes.tolist(), heights.tolist(), strict=True):
        width = size // height
        blocks[divmod(group, num_classes)] = [
            flat[row : row + width] for row in range(start, start + size, width)
        ]
        start += size
    return blocks


def _annotations(rows: list[dict[str, float]], images: list[int], classes: list[int]) -> SimpleNamespace:
    """What the evaluator asks of COCO's annotation object."""
    return SimpleNamespace(
        getImgIds=lambda: images,
        getCatIds=lambda: classes,
        getAnnIds=lambda **_: range(len(rows)),
        loadAnns=lambda ids: rows,
    )


@cache
def _evaluator() -> Any:
    """The evaluator with overlaps that are known already.

    Its package is imported at first use: it loads OpenCV where that is installed, which puts its own folder
    into a variable that would go on to every process started from here.
    """
    before = os.environ.get("LD_LIBRARY_PATH")
    from faster_coco_eval import COCOeval_faster  # type: ignore[import-untyped]

    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before

    class Evaluator(COCOeval_faster):
        overlaps: dict[tuple[int, int], list[list[float]]]

        def computeIoU(self, imgId: int, catId: int) -> list[list[float]]:  # noqa: N802
            return self.overlaps.get((int(imgId), int(catId)), [])

    return Evaluator
