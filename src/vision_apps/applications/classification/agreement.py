"""How well sets of labels agree, class by class."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multilabel_average_precision
from torchmetrics.utilities import dim_zero_cat

from vision_apps.applications.classification.thresholds import best_thresholds
from vision_apps.core.class_names import scalar_names

LARGEST_LIST = 40  # classes whose figures are logged one by one


class LabelAgreement(Metric):
    """Average precision and F1 of each class that occurs in the truth, and their means over these classes:
    ``mAP`` and ``f1``, and ``ap_<class>`` for up to 40 classes. Nothing of these where no class occurs.

    The average precision of a class is the area below its precision by recall as a step function, without
    interpolation (as of scikit-learn), with equal probabilities taken together. F1 is that of what was said.
    ``best`` is float64 [2, K]: of each class the threshold that would have had the largest F1
    (`thresholds.best_thresholds`), and that F1.
    """

    full_state_update = False
    probabilities: list[Tensor]
    present: list[Tensor]
    truths: list[Tensor]

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = list(class_names)
        for name in ("probabilities", "present", "truths"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, present: Tensor, truth: Tensor) -> None:
        """Float [B, K], bool [B, K] and 0 or 1 [B, K]."""
        self.probabilities.append(probabilities)
        self.present.append(present)
        self.truths.append(truth != 0)

    def say(self, thresholds: Tensor) -> None:
        """As if what was measured so far had been said with these thresholds, [K]."""
        self.present = [probabilities >= thresholds for probabilities in self.probabilities]
        self._computed = None

    def compute(self) -> dict[str, Tensor]:
        probabilities, present, truth = map(dim_zero_cat, (self.probabilities, self.present, self.truths))
        thresholds, scores = best_thresholds(probabilities, truth)
        values = {"best": torch.stack((thresholds.double(), scores))}
        occurs = truth.any(0)
        if not occurs.any():
            return values
        aps = average_precisions(probabilities[:, occurs], truth[:, occurs])
        values |= {"mAP": aps.mean(), "f1": f1_scores(present, truth)[occurs].mean()}
        if len(occurs) <= LARGEST_LIST:
            names = zip(scalar_names(self.class_names), occurs.tolist(), strict=True)
            there = [name for name, is_there in names if is_there]
            values |= {f"ap_{name}": ap for name, ap in zip(there, aps, strict=True)}
        return {name: value if name == "best" else value.float() for name, value in values.items()}


def average_precisions(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Of each class, float [K], of probabilities [N, K] and truth bool [N, K] in which each class occurs."""
    classes = truth.shape[1]
    if classes == 1:  # torchmetrics wants two
        return average_precisions(probabilities.expand(-1, 2), truth.expand(-1, 2))[:1]
    found: Tensor = multilabel_average_precision(
        probabilities, truth.long(), classes, average="none", validate_args=False
    )
    return found


def f1_scores(present: Tensor, truth: Tensor) -> Tensor:
    """Of each class, float64 [K], of bool [N, K] each; 0 where neither has it."""
    both = (present & truth).sum(0).double()
    return 2 * both / (present.sum(0) + truth.sum(0)).clamp_min(1)
