"""What kind of errors a detector makes at one score threshold.

The kinds and thresholds are those of TIDE (Bolya et al. 2020, section 2.2): boxes are right above an IoU of
.5 and hit nothing below .1. TIDE weighs each kind by the AP that it costs; here they are counted among the
detections that a user sees.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.applications.detection.overlaps import (
    DetectionTable,
    GroundTruthTable,
    Pairs,
    best_first,
    greedy,
    overlapping,
    pick,
)

RIGHT_IOU, BACKGROUND_IOU = 0.5, 0.1
KINDS = ("localization", "classification", "duplicate", "background", "both", "missed")
RIGHT, DROPPED = -1, -2  # in `Split.kinds`: no error; on an ignored region, where nothing is counted


class Split(NamedTuple):
    found: DetectionTable  # at or above the score threshold, best first
    truths: GroundTruthTable  # without the ignored ones
    matched: Tensor  # int64 [N], the object (row of ``truths``) that a found box is right about, else -1
    kinds: Tensor  # int64 [N], index into ``KINDS``, or ``RIGHT`` or ``DROPPED``
    missed: Tensor  # bool [G]: objects without a right box or one that is wrong in place or in class alone
    confusion: Tensor  # int64 [K + 1, K + 1], rows are truth, columns answers, the last is background

    def counts(self) -> dict[str, int]:
        """How often each of ``KINDS`` occurs."""
        counts = torch.bincount(self.kinds[self.kinds >= 0], minlength=len(KINDS))
        return {**dict(zip(KINDS, counts.tolist(), strict=True)), "missed": int(self.missed.sum())}

    def precision_recall(self) -> tuple[float, float]:
        """Over all classes together. Precision is 0 where nothing was found, recall NaN where there is
        nothing to find."""
        right, answers = int((self.kinds == RIGHT).sum()), int((self.kinds != DROPPED).sum())
        objects = len(self.truths.labels)
        return right / max(1, answers), right / objects if objects else float("nan")


def split_errors(
    found: DetectionTable, truths: GroundTruthTable, num_classes: int, score_threshold: float
) -> Split:
    """Match as COCO does at IoU .5 (best score first, the largest overlap among the free objects of its
    class) and name each error.

    Kinds are tried in the order of ``KINDS``:
    localization: right class, IoU .1 to .5; classification: IoU of .5 with an object of another class;
    duplicate: right in both, but the object has a better box; background: IoU below .1 with everything;
    both: the rest, another class's object hit badly; missed: objects that are behind none of the first two.
    Unmatched boxes that lie by half in an ignored region of their class are dropped.
    """
    found = best_first(pick(found, found.scores >= score_threshold))
    regions, objects = pick(truths, truths.ignored), pick(truths, ~truths.ignored)
    answers, count = len(found.labels), len(objects.labels)

    pairs = overlapping(found, objects, BACKGROUND_IOU, same_class=False)
    same = found.labels[pairs.found] == objects.labels[pairs.truth]
    good = pairs.overlap >= RIGHT_IOU
    matched = greedy(pick(pairs, same & good), answers, count)

    best_same, object_same = _best(pick(pairs, same), answers)
    best_other, object_other = _best(pick(pairs, ~same), answers)
    kinds = torch.full((answers,), KINDS.index("both"))
    # the reverse order: what is tried first has the last word
    kinds[torch.maximum(best_same, best_other) < BACKGROUND_IOU] = KINDS.index("background")
    kinds[best_same >= RIGHT_IOU] = KINDS.index("duplicate")
    kinds[best_other >= RIGHT_IOU] = KINDS.index("classification")
    kinds[(best_same >= BACKGROUND_IOU) & (best_same < RIGHT_IOU)] = KINDS.index("localization")
    in_region = overlapping(found, regions, RIGHT_IOU, same_class=True, crowd=True).found
    kinds[in_region] = DROPPED
    kinds[matched >= 0] = RIGHT

    missed = torch.ones(count, dtype=torch.bool)
    missed[matched[matched >= 0]] = False
    missed[object_same[kinds == KINDS.index("localization")]] = False
    missed[object_other[kinds == KINDS.index("classification")]] = False
    confusion = _confusion(found, objects, matched, kinds, pick(pairs, good), num_classes)
    return Split(found, objects, matched, kinds, missed, confusion)


def _best(pairs: Pairs, found: int) -> tuple[Tensor, Tensor]:
    """The largest overlap of each found box and its object: float64 [N], 0 where there is none, and int64
    [N]."""
    best = torch.zeros(found, dtype=torch.float64)
    best.scatter_reduce_(0, pairs.found, pairs.overlap, "amax")
    objects = torch.zeros(found, dtype=torch.int64)
    largest = pairs.overlap == best[pairs.found]
    objects[pairs.found[largest]] = pairs.truth[largest]
    return best, objects


def _confusion(
    found: DetectionTable,
    objects: GroundTruthTable,
    matched: Tensor,
    kinds: Tensor,
    pairs: Pairs,
    num_classes: int,
) -> Tensor:
    """What is right comes first; what is then left is matched whatever its class, so that an object that was
    taken for another class stands in that class's column, and once."""
    answers, count = len(found.labels), len(objects.labels)
    free_objects = torch.ones(count, dtype=torch.bool)
    free_objects[matched[matched >= 0]] = False
    free = (matched < 0) & (kinds != DROPPED)
    second = greedy(pick(pairs, free[pairs.found] & free_objects[pairs.truth]), answers, count)
    match = torch.where(matched >= 0, matched, second)
    counted = (match >= 0) | free
    free_objects[match[match >= 0]] = False
    labels = torch.cat([objects.labels, torch.tensor([num_classes])])  # -1, no object, is background
    missed = objects.labels[free_objects]
    truth = torch.cat([labels[match[counted]], missed])
    answer = torch.cat([found.labels[counted], torch.full_like(missed, num_classes)])
    side = num_classes + 1
    return torch.bincount(truth * side + answer, minlength=side * side).reshape(side, side)
