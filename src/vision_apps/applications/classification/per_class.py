"""What a test says of each class: precision, recall and their kin, and the curves behind the averages."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_precision_recall_curve,
    binary_roc,
)
from torchmetrics.utilities import dim_zero_cat

from vision_apps.applications.classification.types import hard
from vision_apps.core.presentation import Row, class_rows

DRAWN = 12  # classes whose lines can be told apart: six colours, solid and dashed
FIGURES = ("support", "precision", "recall", "f1", "ap", "auc")


class ClassCurve(NamedTuple):
    """A class against all others, with a point for each probability that was given."""

    number: int
    precision: Tensor  # float32 [n + 1], a step function of ``recall``
    recall: Tensor  # float32 [n + 1], falling
    false_positive_rate: Tensor  # float32 [m], rising
    true_positive_rate: Tensor  # float32 [m]


class PerClass(Metric):
    """Of each class against all others: ``class_figures``, float64 [K, 6], `FIGURES` of each class, NaN where
    the data do not define one; ``class_curves``, a `ClassCurve` for each of `drawn`.

    Precision, recall and F1 are of what was said. AP is the area below precision by recall as a step
    function, AUC that below the receiver operating characteristic: both as of scikit-learn. A class that the
    truth does not have has neither, one that all have no AUC, and one that is never said no precision.
    """

    full_state_update = False
    probabilities: list[Tensor]
    said: list[Tensor]
    truths: list[Tensor]

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        for name in ("probabilities", "said", "truths"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, said: Tensor, truth: Tensor) -> None:
        """Float [B, K], and either which classes were said and are true, not 0 [B, K], or the one of each
        picture, int64 [B]."""
        self.probabilities.append(probabilities)
        self.said.append(said)
        self.truths.append(truth)

    def compute(self) -> dict[str, Tensor | list[ClassCurve]]:
        probabilities, said, truth = map(dim_zero_cat, (self.probabilities, self.said, self.truths))
        by_class = probabilities.T.contiguous()  # of many classes a column is spread over all of the memory
        rows = [_figures(by_class[k], _has(said, k), _has(truth, k)) for k in range(self.num_classes)]
        found = torch.tensor(rows, dtype=torch.float64)
        curves = [_curve(k, by_class[k], _has(truth, k)) for k in drawn(found)]
        return {"class_figures": found, "class_curves": curves}


class OneClass(PerClass):
    """`PerClass` where a picture has one class, and the most likely one is said."""

    def update(self, probabilities: Tensor, truth: Tensor) -> None:  # type: ignore[override]
        """Float [B, K]; int64 [B], or the share of each class, float [B, K]."""
        super().update(probabilities, probabilities.argmax(1), hard(truth))


def drawn(class_figures: Tensor) -> list[int]:
    """The classes whose curves are drawn, largest AP first: all that have both figures, or of more than 12
    the 6 best and the 6 worst."""
    ap, auc = class_figures[:, FIGURES.index("ap")], class_figures[:, FIGURES.index("auc")]
    ranked = [k for k in ap.nan_to_num(-1).argsort(descending=True, stable=True).tolist() if auc[k] == auc[k]]
    return ranked if len(ranked) <= DRAWN else ranked[: DRAWN // 2] + ranked[-(DRAWN // 2) :]


def tables(measured: Mapping[str, Any], class_names: Sequence[str]) -> dict[str, list[Row]]:
    """``classes``: a row for each class of what `PerClass` computed, where it was computed."""
    if "class_figures" not in measured:
        return {}
    support, *shares = measured["class_figures"].T
    columns = dict(zip(FIGURES, (support.long(), *shares), strict=True))
    return {"classes": class_rows(class_names, **columns)}


def _has(classes: Tensor, k: int) -> Tensor:
    """Bool [N], of int64 [N], or of [N, K]."""
    return classes == k if classes.ndim == 1 else classes[:, k] != 0


def _figures(probabilities: Tensor, said: Tensor, truth: Tensor) -> list[float]:
    both, positive, support = (int(chosen.sum()) for chosen in (said & truth, said, truth))
    labels = truth.long()
    ap = float(binary_average_precision(probabilities, labels, validate_args=False)) if support else math.nan
    two = 0 < support < len(truth)
    auc = float(binary_auroc(probabilities, labels, validate_args=False)) if two else math.nan
    shares = (_share(both, positive), _share(both, support), _share(2 * both, positive + support))
    return [support, *shares, ap, auc]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _curve(k: int, probabilities: Tensor, truth: Tensor) -> ClassCurve:
    labels = truth.long()
    precision, recall, _ = binary_precision_recall_curve(probabilities, labels, validate_args=False)
    false, true, _ = binary_roc(probabilities, labels, validate_args=False)
    return ClassCurve(k, precision.cpu(), recall.cpu(), false.cpu(), true.cpu())
