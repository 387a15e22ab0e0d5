"""The application: whether there is an object in the picture, where, and of which class."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from vision_apps.applications.localization import metrics as measures
from vision_apps.applications.localization.losses import BoxLoss, localization_losses
from vision_apps.applications.localization.network import BOXES, HEADS, KEPT, SCORES, Localizer
from vision_apps.applications.localization.presentation import BoxPresentation
from vision_apps.applications.localization.types import (
    LocalizationAnswer,
    LocalizationBatch,
    LocalizerOutputs,
    main_object,
)
from vision_apps.applications.localization.vector import BOX, decode, encode, encode_box, mirror
from vision_apps.core.class_names import class_name_problems
from vision_apps.core.config.fine_tuning import BACKBONE
from vision_apps.core.conventions import height_width
from vision_apps.core.errors import require_no
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import ImageInputs
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.core.published import RANDOM, starts_from
from vision_apps.data.resizing import (
    ResizeMode,
    content_sizes,
    resize_boxes,
    resize_picture,
    restore_boxes,
)
from vision_apps.networks.boxes import iou
from vision_apps.networks.pixels import PixelNormalization
from vision_apps.networks.probing import FEW

MEASURED = 500  # training pictures that the mean box is taken of: its standard error is then below 0.02
_AT_ONCE = 32  # pictures that are looked at together before training
SEVERAL = 0.01  # share of the pictures with more than one object from which on it is told
_NO_ANSWER = (0.25, 0.25, 0.5, 0.5, 0.5)  # until something is measured: the middle of the picture, undecided


class Localization(VisionModule[LocalizationBatch, ImageInputs, LocalizerOutputs, LocalizationAnswer]):
    """One object per picture: its presence, its box, its class, as the label vector of `vector`.

    What is to be found is the LARGEST object of a picture; the others count as background. A picture without
    objects is learned as empty: its box and its class are free.

    Args:
        network: pixels to `LocalizerOutputs`; it, or its ``backbone``, may carry ``mean`` and ``std``, which
            go before the data's.
        image_size: side of the network's input in pixels, or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        training_pictures: how many are learned from, where known.
        box_loss, beta: see `losses`.
        presence_weight, class_weight, box_weight: of the three losses in the sum.
        flip_test: outside training, answer with the mean of what is told from the picture and from its mirror
            image.
    """

    conditional = ("loc_accuracy", "mean_iou", "class_accuracy", "box_mse", "presence_ap")  # on objects
    backbone_share = 0.5  # where things are is not what ImageNet's classes have taught it
    headline = ("loc_accuracy", "mean_iou", "class_accuracy", "presence_accuracy")
    mean_vector: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        class_names: Sequence[str],
        image_size: int | Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        resize_mode: ResizeMode = "stretch",
        training_pictures: int | None = None,
        box_loss: BoxLoss = "smooth_l1",
        beta: float = 0.1,
        presence_weight: float = 1.0,
        class_weight: float = 1.0,
        box_weight: float = 20.0,
        flip_test: bool = False,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = class_name_problems(num_classes, class_names, least=1)
        weights = {"presence_weight": presence_weight, "class_weight": class_weight, "box_weight": box_weight}
        problems += [
            f"module.{name}: {value}; expected at least 0" for name, value in weights.items() if value < 0
        ]
        if beta <= 0:
            problems.append(f"module.beta: {beta}; expected above 0 (or module.box_loss=l1)")
        require_no(problems)
        self.presentation = BoxPresentation(class_names)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.size = height_width(image_size, "module.image_size")
        self.training_pictures = training_pictures
        self.exportable = BoxExport(self)
        self.resize_mode = resize_mode
        self.box_loss: BoxLoss = box_loss
        self.beta = beta
        self.flip_test = flip_test
        self.weights = {"presence": presence_weight, "class": class_weight, "box": box_weight}
        self.normalize = PixelNormalization(network, mean, std)
        undecided = torch.tensor([*_NO_ANSWER, *[1 / num_classes] * num_classes])
        self.register_buffer("mean_vector", undecided)

    # ---- from pixels to the answer -------------------------------------------------------------------------

    def outputs(self, inputs: ImageInputs) -> LocalizerOutputs:
        pixels = self._pixels(inputs.images)
        outputs: LocalizerOutputs = self.network(pixels)
        if not self.flip_test or self.training:
            return outputs
        other: LocalizerOutputs = self.network(pixels.flip(-1))
        pairs = zip(outputs, other._replace(box=mirror(other.box)), strict=True)
        return LocalizerOutputs(*((one + two) / 2 for one, two in pairs))

    def _pixels(self, images: Tensor) -> Tensor:
        """What the network sees of uint8 [B, 3, h, w]."""
        return self.normalize(resize_picture(images, self.size, self.resize_mode)[0])

    def answer(self, outputs: LocalizerOutputs, inputs: ImageInputs) -> LocalizationAnswer:
        return self._placed(outputs, inputs.images, _size_of(inputs.images))

    def measured_answer(self, outputs: LocalizerOutputs, batch: LocalizationBatch) -> LocalizationAnswer:
        """Cut to the file's picture, without the letterbox's grey, and relative to it."""
        return self._placed(outputs, batch.images, self._content(batch))

    def _content(self, batch: LocalizationBatch) -> Tensor:
        """Height and width of the files' pictures within those of the batch: int64 [B, 2]."""
        whole = _size_of(batch.images)
        if batch.sizes is None:
            return whole.expand(len(batch.images), 2)
        return content_sizes(batch.sizes, batch.images.shape[-2:], self.resize_mode)

    def _placed(self, outputs: LocalizerOutputs, images: Tensor, content: Tensor) -> LocalizationAnswer:
        presence = outputs.presence.float().sigmoid()
        probabilities = outputs.classes.float().softmax(dim=1)
        vector = torch.cat((outputs.box, presence[:, None], probabilities), dim=1)
        boxes = restore_boxes(decode(vector, *self.size).boxes, _size_of(images), self.size, self.resize_mode)
        return self.place(boxes, presence, probabilities, content)

    @staticmethod
    def place(boxes: Tensor, presence: Tensor, probabilities: Tensor, content: Tensor) -> LocalizationAnswer:
        """The answer with boxes [B, 4] in pixels, cut to pictures of these heights and widths, [2] or
        [B, 2]."""
        boxes = boxes.clamp_min(0).minimum(torch.cat((content.flip(-1), content.flip(-1)), dim=-1))
        entries = encode_box(boxes, *content.unbind(-1))
        vector = torch.cat((entries, presence[:, None], probabilities), dim=1)
        return LocalizationAnswer(boxes, presence, probabilities, vector)

    # ---- learning and measuring ----------------------------------------------------------------------------

    def loss(self, outputs: LocalizerOutputs, batch: LocalizationBatch) -> dict[str, Part]:
        target = self._encoded(batch)
        parts = localization_losses(outputs, target, self.box_loss, self.beta)
        return {name: replace(part, weight=self.weights[name]) for name, part in parts.items()}

    def _encoded(self, batch: LocalizationBatch) -> Tensor:
        """The label vectors [B, 5 + K] in the frame that the network sees."""
        truth = main_object(batch.boxes, batch.box_labels)
        boxes = resize_boxes(truth.boxes, _size_of(batch.images), self.size, self.resize_mode)
        return encode(boxes, truth.labels, self.num_classes, *self.size)

    def build_metrics(self) -> dict[str, Metric]:
        return measures.build()

    def score(self, metrics: dict[str, Any], answer: LocalizationAnswer, batch: LocalizationBatch) -> None:
        truth = main_object(batch.boxes, batch.box_labels)
        measures.update(metrics, answer, truth, self._content(batch))

    def quality(self, answer: LocalizationAnswer, batch: LocalizationBatch) -> Tensor:
        """[B], 0..1: IoU times the probability of the true class; in an empty picture, how sure the answer
        is of that."""
        truth = main_object(batch.boxes, batch.box_labels)
        overlap = iou(answer.boxes, truth.boxes)
        probability = answer.probabilities.gather(1, truth.labels.clamp_min(0)[:, None])[:, 0]
        return torch.where(truth.labels >= 0, overlap * probability, 1 - answer.presence)

    # ---- what has to be beaten -----------------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        return MEASURED

    def prepare(self, batch: LocalizationBatch) -> None:
        """Keep the mean label vector of training pictures: of the presence over all of them, of box and
        class over those with an object. A network with published weights starts from it, or from what its
        lines tell of each picture."""
        truth = main_object(batch.boxes, batch.box_labels)
        if (truth.labels >= 0).any():
            vectors = encode(*truth, self.num_classes, *self._content(batch).unbind(-1))
            self.mean_vector.copy_(_mean(vectors))
            network, seen = self.network, self._encoded(batch)
            if self.fits:
                parts = map(self._pixels, batch.images.split(_AT_ONCE))
                cast(Localizer, network).fit_lines(parts, seen)
            elif isinstance(network, Localizer) and starts_from(network) != RANDOM:
                network.start_at(_mean(seen))
        else:
            self.mean_vector[BOX] = 0
            if self.fits:
                cast(Localizer, self.network).start_at(self.mean_vector)

    @property
    def fits(self) -> list[str]:
        if not isinstance(self.network, Localizer) or self.network.lines is None or not self.learned:
            return []
        # A head says by how much the answer differs from the line that it was trained beside: another run's
        # count whole, each with its line or, of a run without lines, with none.
        if not self._given(SCORES):
            return list(HEADS)
        return [] if self._given(BOXES) else list(BOXES)

    def _given(self, parts: Sequence[str]) -> bool:
        """Whether another run gives the head and, if any of it, all of the line, of one of these."""
        head, *lines = [
            [name in self.taken for name in self.state_dict() if f"{name}.".startswith(f"network.{part}.")]
            for part in parts
        ]
        line = [found for names in lines for found in names]
        return all(head) and all(line) == any(line)

    @property
    def kept(self) -> list[str] | None:
        few = self.training_pictures is not None and self.training_pictures < FEW
        return [BACKBONE, *KEPT] if self.fits and few else None

    def check(self, batch: LocalizationBatch) -> list[str]:
        more = (batch.box_labels >= 0).sum(1) > 1
        share = float(more.float().mean())
        if share < SEVERAL:
            return []
        return [
            f"objects: {int(more.sum())} of {len(more)} pictures ({share:.0%}) have more than one, of which "
            "only the largest is learned and answered; task=detection finds all, data.only=single leaves "
            "such pictures out"
        ]

    def baselines(self, batch: LocalizationBatch) -> dict[str, LocalizationAnswer]:
        """``mean_box``: the mean box and the shares of the classes in training, whatever the picture.
        ``centre``: the same with a box of half the picture's width and height in its middle."""
        content = self._content(batch)
        centre = torch.cat((self.mean_vector.new_tensor(_NO_ANSWER[:BOX]), self.mean_vector[BOX:]))
        answers = {}
        for name, vector in (("mean_box", self.mean_vector), ("centre", centre)):
            rows = decode(vector.expand(len(batch.images), -1), *content.unbind(-1))
            answers[name] = self.place(rows.boxes, rows.presence, rows.classes, content)
        return answers

    def example(self) -> LocalizationBatch:
        """A bright rectangle, and nothing."""
        height, width = self.size
        images = torch.randint(96, (2, 3, height, width), dtype=torch.uint8, device=self.device)
        box = [width // 4, height // 4, width // 2, 3 * height // 4]
        images[0, :, box[1] : box[3], box[0] : box[2]] += 128
        boxes = torch.tensor([[box], [[0] * 4]], dtype=torch.float32, device=self.device)
        return LocalizationBatch(images, boxes, torch.tensor([[0], [-1]], device=self.device))


class BoxExport(Exportable[ImageInputs, LocalizationAnswer]):
    """Boxes of pictures of the network's size."""

    def __init__(self, module: Localization) -> None:
        notes = {
            "boxes": "x1, y1, x2, y2 in pixels of the input, y down",
            "presence": "0 to 1: is there an object",
            "probabilities": "0 to 1, of each class; a row sums to 1",
            "vector": "left, lower edge (y up), height and width, 0 to 1; presence; classes",
        }
        super().__init__(module.forward, LocalizationAnswer, notes, image_size=module.size)
        self.module = module

    def answer(
        self, graph: Callable[[ImageInputs], LocalizationAnswer], inputs: ImageInputs
    ) -> LocalizationAnswer:
        module, images = self.module, inputs.images
        if tuple(images.shape[-2:]) == module.size:
            return graph(inputs)
        found = graph(ImageInputs(resize_picture(images, module.size, module.resize_mode)[0]))
        boxes = restore_boxes(found.boxes, _size_of(images), module.size, module.resize_mode)
        return module.place(boxes, found.presence, found.probabilities, _size_of(images))


def _mean(vectors: Tensor) -> Tensor:
    """Of label vectors [B, 5 + K]: the share that have an object, and the mean of all else over those."""
    there = vectors[:, BOX] > 0
    mean = vectors[there].mean(0)
    mean[BOX] = there.float().mean()
    return mean


def _size_of(images: Tensor) -> Tensor:
    """Height and width, int64 [2]."""
    return torch.tensor(images.shape[-2:], device=images.device)
