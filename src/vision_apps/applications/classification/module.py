"""The application: a network that gives one score per class."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)

from vision_apps.applications.classification.per_class import OneClass
from vision_apps.applications.classification.presentation import ClassPresentation
from vision_apps.applications.classification.squares import SquareInput
from vision_apps.applications.classification.types import ClassAnswer, LabelBatch, hard
from vision_apps.applications.classification.weights import class_weights as weights_of_classes
from vision_apps.applications.classification.zoo import HEAD, HEAD_WEIGHT, ZooNetwork
from vision_apps.core.class_names import class_name_problems
from vision_apps.core.config.fine_tuning import BACKBONE
from vision_apps.core.errors import require_no
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.networks.auxiliary import Logits, main_logits, with_auxiliary
from vision_apps.networks.probing import FEW, PROBED

_AT_ONCE = 32  # pictures that are looked at together before training
LARGEST_CONFUSION = 1000  # classes; the table is square, at 1,000 it takes 8 MB per stage


class Classification(SquareInput, VisionModule[LabelBatch, ImageInputs, Logits, ClassAnswer]):
    """Cross-entropy on whole images.

    What a network is given: `SquareInput`.

    Args:
        image_size: side of the square that images are brought to, pixels.
        resize: length that an image's short side is scaled to first, pixels; null: ``image_size``. The
            square is its middle.
        mean, std: of the data, 3 floats in [0, 1] units. What is used is kept in checkpoints.
        class_counts: training images of each class, where known: what the baseline answers with.
        class_weights: of each class in the training loss; ``balanced``: n / (K n_k) of n training images, n_k
            of them in class k (King and Zeng 2001). What is measured is not weighted.
        label_smoothing: share of each training label that is spread evenly over all classes (Szegedy et al.
            2016, section 7).
        flip_test: outside training, answer with the mean logits of the image and its mirror image.
    """

    learned_with = ("label_smoothing", "class_weights")
    class_weights: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        class_names: Sequence[str],
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        resize: int | None = None,
        class_counts: Sequence[int] | None = None,
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        flip_test: bool = False,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        require_no(class_name_problems(num_classes, class_names, least=2))
        self.take_squares(image_size, resize, mean, std, flip_test)
        notes = {"images": self.note, "probabilities": "0 to 1, of each class; a row sums to 1"}
        self.exportable = Exportable(self.forward, ClassAnswer, notes)
        self.presentation = ClassPresentation(class_names)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.class_counts = class_counts
        balanced = partial(_balanced, class_counts) if class_counts else None
        weights = weights_of_classes(class_weights, class_names, balanced, zero=True)
        # made anew of what the configuration and the data say: it is no part of what was learned
        self.register_buffer("class_weights", weights, persistent=False)
        self.label_smoothing = label_smoothing

    def answer(self, outputs: Logits, inputs: ImageInputs) -> ClassAnswer:
        return ClassAnswer(main_logits(outputs).float().softmax(dim=1))

    def loss(self, outputs: Logits, batch: LabelBatch) -> dict[str, Part]:
        # smoothing and weights shape training; measured is the plain cross-entropy, comparable between runs
        smoothing, weights = (self.label_smoothing, self.class_weights) if self.training else (0.0, None)
        counted: Tensor | int = len(batch.labels)
        if weights is not None:
            labels = batch.labels
            counted = weights[labels].sum() if labels.ndim == 1 else (labels * weights).sum()

        def cross_entropy(logits: Tensor) -> dict[str, Part]:
            total = F.cross_entropy(
                logits.float(), batch.labels, weights, label_smoothing=smoothing, reduction="sum"
            )
            return {"loss": Part(total, counted)}

        return with_auxiliary(outputs, cross_entropy)

    @property
    def prepare_samples(self) -> int:
        return PROBED if self.fits else super().prepare_samples

    def prepare(self, batch: LabelBatch) -> None:
        if self.fits:
            parts = map(self._pixels, batch.images.split(_AT_ONCE))
            cast(ZooNetwork, self.network).fit_head(parts, hard(batch.labels))
        else:
            super().prepare(batch)

    @property
    def kept(self) -> list[str] | None:
        few = self.class_counts is not None and sum(self.class_counts) < FEW
        return [BACKBONE, HEAD_WEIGHT] if self.fits and few else None

    @property
    def fits(self) -> list[str]:
        new = isinstance(self.network, ZooNetwork) and self.network.new_head
        return [HEAD] if new and self.learned and f"network.{HEAD_WEIGHT}" not in self.taken else []

    def build_metrics(self) -> MetricCollection:
        classes = self.num_classes
        # validate_args looks at every value and waits for the device in each update
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False),
            "f1": MulticlassF1Score(classes, average="macro", validate_args=False),
            "ece": MulticlassCalibrationError(classes, n_bins=15, norm="l1", validate_args=False),
        }
        if classes > 5:
            metrics["top5"] = MulticlassAccuracy(classes, top_k=5, average="micro", validate_args=False)
        if classes <= LARGEST_CONFUSION:
            metrics["confusion"] = MulticlassConfusionMatrix(classes, validate_args=False)
        # no compute groups: they join metrics whose states agree after the first batch, such as accuracy and
        # top5 when that batch is all right or all wrong
        return MetricCollection(metrics, compute_groups=False)

    def build_test_metrics(self) -> dict[str, Metric]:
        few = self.num_classes <= LARGEST_CONFUSION  # what is gathered takes 4 bytes a class and picture
        return {"per_class": OneClass(self.num_classes)} if few else {}

    def score(self, metrics: MetricCollection, answer: ClassAnswer, batch: LabelBatch) -> None:
        metrics.update(answer.probabilities, hard(batch.labels))

    def quality(self, answer: ClassAnswer, batch: LabelBatch) -> Tensor:
        """The probability of the true class."""
        return answer.probabilities.gather(1, hard(batch.labels)[:, None])[:, 0]

    def baselines(self, batch: LabelBatch) -> dict[str, ClassAnswer]:
        """``majority``: the share of each class in training, whatever the picture; even shares where
        unknown."""
        counts = torch.tensor(
            self.class_counts or [1] * self.num_classes, dtype=torch.float32, device=self.device
        )
        return {"majority": ClassAnswer((counts / counts.sum()).expand(len(batch.images), -1))}

    def example(self) -> LabelBatch:
        generator = torch.Generator().manual_seed(0)
        return LabelBatch(
            self.some_images(generator), torch.randint(self.num_classes, (2,), generator=generator)
        )


def _balanced(class_counts: Sequence[int]) -> Tensor:
    """Float32 [K]. A class without images has none that could be weighted: 0."""
    counts = torch.tensor(class_counts, dtype=torch.float32)
    return torch.where(counts > 0, counts.sum() / (len(counts) * counts), 0)
