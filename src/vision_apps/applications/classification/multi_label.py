"""The application: a network that gives one score per class, of which any number may be in the picture."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from vision_apps.applications.classification.agreement import LabelAgreement
from vision_apps.applications.classification.multi_label_presentation import MultiLabelPresentation
from vision_apps.applications.classification.per_class import PerClass
from vision_apps.applications.classification.squares import SquareInput
from vision_apps.applications.classification.thresholds import UNKNOWN
from vision_apps.applications.classification.types import MultiLabelAnswer, MultiLabelBatch
from vision_apps.applications.classification.weights import class_weights as weights_of_classes
from vision_apps.core.class_names import class_name_problems, scalar_names
from vision_apps.core.errors import require_no
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.networks.auxiliary import Logits, main_logits, with_auxiliary


class MultiLabel(SquareInput, VisionModule[MultiLabelBatch, ImageInputs, Logits, MultiLabelAnswer]):
    """Binary cross-entropy on whole images, class by class.

    What a network is given: `SquareInput`. A class is said to be there from its threshold on: that with the
    largest F1 on the validation images, chosen anew in each validation and kept with the weights; 0.5 before.

    Args:
        image_size: side of the square that images are brought to, pixels.
        resize: length that an image's short side is scaled to first, pixels; null: ``image_size``. The
            square is its middle.
        mean, std: of the data, 3 floats in [0, 1] units. What is used is kept in checkpoints.
        class_shares: of the training images that have each class, 0 to 1, where known: what the baseline
            answers with.
        class_weights: of the images that have each class in the training loss, where those without it count
            1; ``balanced``: (1 - p) / p of a class that the share p has, so that both count as much; 1 where
            all or none have it. What is measured is not weighted.
        flip_test: outside training, answer with the mean logits of the image and its mirror image.
    """

    thresholds: Tensor
    class_weights: Tensor | None
    learned_with = ("class_weights",)
    headline = ("mAP", "f1")

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        class_names: Sequence[str],
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        resize: int | None = None,
        class_shares: Sequence[float] | None = None,
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        flip_test: bool = False,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        require_no(class_name_problems(num_classes, class_names, least=1))
        self.take_squares(image_size, resize, mean, std, flip_test)
        notes = {
            "images": self.note,
            "probabilities": "0 to 1, of each class by itself",
            "present": "whether each class is there: its probability is at least its threshold, the one with "
            "the largest F1 on the validation images",
        }
        self.exportable = Exportable(self.forward, MultiLabelAnswer, notes)
        self.presentation = MultiLabelPresentation(class_names)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.class_shares = class_shares
        self.conditional = ("mAP", "f1", *(f"ap_{name}" for name in scalar_names(class_names)))
        self.register_buffer("thresholds", torch.full((num_classes,), UNKNOWN))
        balanced = partial(_balanced, class_shares) if class_shares else None
        weights = weights_of_classes(class_weights, class_names, balanced, zero=False)
        # made anew of what the configuration and the data say: it is no part of what was learned
        self.register_buffer("class_weights", weights, persistent=False)

    def answer(self, outputs: Logits, inputs: ImageInputs) -> MultiLabelAnswer:
        probabilities = main_logits(outputs).float().sigmoid()
        return MultiLabelAnswer(probabilities, probabilities >= self.thresholds)

    def loss(self, outputs: Logits, batch: MultiLabelBatch) -> dict[str, Part]:
        weights = self.class_weights if self.training else None

        def cross_entropy(logits: Tensor) -> dict[str, Part]:
            logits = logits.float()
            truth = batch.multi_hot.to(logits.dtype)
            total = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=weights, reduction="sum")
            return {"loss": Part(total, truth.numel())}

        return with_auxiliary(outputs, cross_entropy)

    def build_metrics(self) -> MetricCollection:
        return MetricCollection({"agreement": LabelAgreement(self.class_names)})

    def build_test_metrics(self) -> dict[str, Metric]:
        return {"per_class": PerClass(self.num_classes)}

    def score(self, metrics: MetricCollection, answer: MultiLabelAnswer, batch: MultiLabelBatch) -> None:
        metrics.update(*answer, batch.multi_hot)

    def on_validation_epoch_end(self) -> None:
        """Thresholds are chosen of what was measured, which is then scored with them."""
        agreement = self.stage("val").metrics()["agreement"]
        assert isinstance(agreement, LabelAgreement)
        self.thresholds.copy_(agreement.compute()["best"][0])
        agreement.say(self.thresholds)
        super().on_validation_epoch_end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        # averaged weights are measured in this module's place: their thresholds are here, not in the average
        checkpoint["state_dict"]["thresholds"] = self.thresholds.detach().clone()

    def quality(self, answer: MultiLabelAnswer, batch: MultiLabelBatch) -> Tensor:
        """The mean probability, over the classes, of what is true of each."""
        return 1 - (answer.probabilities - batch.multi_hot).abs().mean(1)

    def baselines(self, batch: MultiLabelBatch) -> dict[str, MultiLabelAnswer]:
        """``prior``: each class as often as in training, whatever the picture, and always said, which is the
        best that can be said then. Its mAP is the mean share of the images that have a class."""
        shares = torch.tensor(self.class_shares or [0.5] * self.num_classes, device=self.device)
        probabilities = shares.expand(len(batch.images), -1)
        return {"prior": MultiLabelAnswer(probabilities, torch.ones_like(probabilities, dtype=torch.bool))}

    def example(self) -> MultiLabelBatch:
        generator = torch.Generator().manual_seed(0)
        images = self.some_images(generator)
        shape = (2, self.num_classes)
        return MultiLabelBatch(images, torch.randint(2, shape, generator=generator, dtype=torch.uint8))


def _balanced(class_shares: Sequence[float]) -> Tensor:
    """Float32 [K], of the images that have the class."""
    shares = torch.tensor(class_shares, dtype=torch.float64)
    told = (shares > 0) & (shares < 1)
    return torch.where(told, (1 - shares) / shares, 1).float()
