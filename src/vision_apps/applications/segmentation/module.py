"""The application: a network that scores every class at every pixel."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from vision_apps.applications.segmentation import losses, tiles
from vision_apps.applications.segmentation.border import border_weights
from vision_apps.applications.segmentation.fitting import restored_masks
from vision_apps.applications.segmentation.learnable import count_classes, findings
from vision_apps.applications.segmentation.metrics import MaskAgreement, image_miou
from vision_apps.applications.segmentation.presentation import MaskPresentation
from vision_apps.applications.segmentation.types import (
    ScoredMasks,
    SegmentationAnswer,
    SegmentationBatch,
    TiledBatch,
)
from vision_apps.core.class_names import class_name_problems, scalar_names
from vision_apps.core.conventions import IGNORE_INDEX, height_width
from vision_apps.core.errors import require_no
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import ImageInputs, OfFile, padded
from vision_apps.core.losses import Part
from vision_apps.core.module import VisionModule
from vision_apps.data.masks.coding import voc_colors
from vision_apps.data.resizing import ResizeMode, content_sizes, resize_picture
from vision_apps.networks.auxiliary import (
    AuxiliaryLogits,
    Logits,
    main_logits,
    require_classes,
    with_auxiliary,
)
from vision_apps.networks.pixels import PixelNormalization

LossName = Literal["cross_entropy", "dice", "cross_entropy+dice", "focal", "border"]

COUNTED_PIXELS = 20_000_000  # of training images that are looked at before training: 80 MB with their masks
COUNTED_IMAGES = (50, 1000)  # at least and at most
PLACES = 64  # the classes' places are counted on a grid of so many cells squared


class Segmentation(VisionModule[SegmentationBatch, ImageInputs, Logits, SegmentationAnswer]):
    """The class of every pixel of an image of any size.

    An image is brought to ``image_size`` as in training, and the scores back to its own size; so it is
    measured. A network may give its scores at a lower resolution; they are enlarged bilinearly. It may carry
    what it expects of its input in attributes ``mean`` and ``std``: they go before the data's.

    Args:
        palette: red, green, blue in 0..255 of every class. Null: the colours of Pascal VOC.
        image_size: of the data's images, px; a side, or height and width.
        resize_mode: ``letterbox`` keeps the aspect and fills the rest with grey, ``stretch`` does not.
        mean, std: of the data, 3 floats in [0, 1] units. What is used is kept in checkpoints.
        loss: see ``losses``; ``border`` is the cross-entropy with U-Net's weights between touching objects,
            for which class 0 is the background.
        class_weights: one for every class; ``balanced`` takes median frequency balancing from training images
            and keeps it in checkpoints. Null: all pixels weigh alike.
        focal_gamma: of the focal loss; 0 is the cross-entropy.
        border_weight, border_sigma: w0 and sigma (px) of the border loss; 10 and 5 in the paper.
        tile: answer and measure images at their own scale, those with a longer side (px) tile by tile, in
            bounded memory; null: at ``image_size``. The loss is always of the latter.
        overlap: px over which neighbouring tiles are blended.
    """

    backbone_share = 0.5  # where things are is not what ImageNet's classes have taught it
    learned_with = ("class_weights",)  # of a test the checkpoint has them
    headline = ("loss", "miou", "boundary_iou", "accuracy")
    class_weights: Tensor | None
    pixels: Tensor
    pixels_where_present: Tensor
    places: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        class_names: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        palette: Sequence[Sequence[int]] | None = None,
        image_size: int | Sequence[int] = 64,
        resize_mode: ResizeMode = "letterbox",
        loss: LossName = "cross_entropy",
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        focal_gamma: float = 2.0,
        border_weight: float = 10.0,
        border_sigma: float = 5.0,
        tile: int | None = None,
        overlap: int = 64,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        self.num_classes = num_classes
        self.class_names = list(class_names)
        self.conditional = tuple(f"iou_{name}" for name in scalar_names(self.class_names))
        self.palette = [list(color) for color in palette or voc_colors(num_classes)]
        self.image_size = height_width(image_size, "module.image_size")
        self.resize_mode: ResizeMode = resize_mode
        self.loss_name = loss
        self.balanced = class_weights == "balanced"
        self.focal_gamma = focal_gamma
        self.border_weight, self.border_sigma = border_weight, border_sigma
        self.tile, self.overlap = tile, overlap
        given = None if class_weights is None or isinstance(class_weights, str) else list(class_weights)
        problems = self._problems(given)
        if isinstance(class_weights, str) and not self.balanced:
            problems.append(f"module.class_weights: {class_weights}; expected balanced, a list, or null")
        require_no(problems)
        if tile is not None:
            tiles.check(tile, overlap)
            self.batch_type = TiledBatch  # type: ignore[misc]  # its own, because it looks at the files
        self.presentation = MaskPresentation(self.class_names, self.palette, resize_mode)
        self.exportable: MaskExport = MaskExport(self)
        self.normalize = PixelNormalization(network, mean, std)
        weights = [1.0] * num_classes if self.balanced else given
        self.register_buffer("class_weights", None if weights is None else torch.tensor(weights))
        for name in ("pixels", "pixels_where_present"):
            self.register_buffer(name, torch.zeros(num_classes, dtype=torch.int64))
        self.register_buffer("places", torch.zeros(PLACES, PLACES, dtype=torch.uint8))

    def _problems(self, given: list[float] | None) -> list[str]:
        problems = class_name_problems(self.num_classes, self.class_names, least=2, most=IGNORE_INDEX - 1)
        classes, names = self.num_classes, LossName.__args__  # type: ignore[attr-defined]
        if len(self.palette) != classes or any(len(color) != 3 for color in self.palette):
            problems.append(
                f"module.palette: {len(self.palette)} colours for {classes} classes, expected red, green and "
                "blue of each; module.palette=null takes those of Pascal VOC"
            )
        if self.loss_name not in names:
            problems.append(f"module.loss: {self.loss_name}; expected {', '.join(names)}")
        if given is not None and (len(given) != classes or min(given, default=0) < 0 or not any(given)):
            problems.append(
                f"module.class_weights: {given}; expected {classes} weights of 0 or more, not all 0: one for "
                f"each of {', '.join(self.class_names)}; or module.class_weights=balanced"
            )
        if self.focal_gamma < 0:
            problems.append(f"module.focal_gamma: {self.focal_gamma}; expected 0 or more")
        if self.border_weight < 0 or self.border_sigma <= 0:
            problems.append(
                f"module.border_weight: {self.border_weight}, module.border_sigma: {self.border_sigma}; "
                "expected 0 or more, and more than 0 px"
            )
        return problems

    # ---- the network ---------------------------------------------------------------------------------------

    def forward(self, inputs: ImageInputs) -> SegmentationAnswer:
        return self.exportable.answer(self.exportable.outputs, inputs)

    def outputs(self, inputs: ImageInputs) -> Logits:
        """Logits [B, K, H, W]."""
        found: Logits = self.network(self.normalize(inputs.images))
        require_classes(self.network, found, self.num_classes, ", h, w")
        size = (inputs.images.shape[-2], inputs.images.shape[-1])
        if isinstance(found, AuxiliaryLogits):
            others = tuple(_enlarged(logits, size) for logits in found.auxiliary)
            return found._replace(logits=_enlarged(found.logits, size), auxiliary=others)
        return _enlarged(found, size)

    def answer(self, outputs: Logits, inputs: ImageInputs) -> SegmentationAnswer:
        return SegmentationAnswer(main_logits(outputs).max(dim=1).indices.to(torch.uint8))

    def measured_answer(self, outputs: Logits, batch: SegmentationBatch) -> SegmentationAnswer:
        """In pixels of the files, where the batch has their masks."""
        if self.tile is not None:
            files: Tensor = batch.images if (own := getattr(batch, "files", None)) is None else own
            frames = self._frames(batch)
            found = [
                self(ImageInputs(file[None, :, :height, :width])).masks
                for file, (height, width) in zip(files, frames, strict=True)
            ]
            return SegmentationAnswer(torch.cat(padded(found, "masks", OfFile(IGNORE_INDEX))))
        if batch.truths is None or batch.sizes is None:
            return self.answer(outputs, self.inputs(batch))
        content = content_sizes(batch.sizes, batch.images.shape[-2:], self.resize_mode)
        return SegmentationAnswer(restored_masks(main_logits(outputs), content, batch.sizes))

    @staticmethod
    def _truth(batch: SegmentationBatch) -> Tensor:
        return batch.masks if batch.truths is None else batch.truths

    def _frames(self, batch: SegmentationBatch) -> list[tuple[int, int]]:
        """Height and width of each picture in what `_truth` gives."""
        height, width = batch.masks.shape[-2:]
        if batch.truths is None or batch.sizes is None:
            return [(height, width)] * len(batch.masks)
        return [(h, w) for h, w in batch.sizes.tolist()]

    def _pairs(self, answer: SegmentationAnswer, batch: SegmentationBatch) -> Iterator[tuple[Tensor, Tensor]]:
        """Answer and truth, [n, h, w] each, of pictures of one size."""
        truths, frames = self._truth(batch), self._frames(batch)
        if set(frames) == {tuple(truths.shape[-2:])}:
            yield answer.masks, truths
            return
        for found, truth, (height, width) in zip(answer.masks, truths, frames, strict=True):
            yield found[None, :height, :width], truth[None, :height, :width]

    # ---- the loss ------------------------------------------------------------------------------------------

    def loss(self, outputs: Logits, batch: SegmentationBatch) -> dict[str, Part]:
        border = None
        if self.loss_name == "border":
            border = border_weights(batch.masks, self.border_weight, self.border_sigma)
        return with_auxiliary(outputs, lambda logits: self._loss_of(logits, batch.masks, border))

    def _loss_of(self, logits: Tensor, masks: Tensor, border: Tensor | None) -> dict[str, Part]:
        weights = self.class_weights
        if self.loss_name == "focal":
            return {"loss": losses.focal(logits, masks, weights, self.focal_gamma)}
        if self.loss_name == "dice":
            return {"loss": losses.dice(logits, masks, weights)}
        entropy = losses.cross_entropy(logits, masks, weights, border)
        if self.loss_name != "cross_entropy+dice":
            return {"loss": entropy}
        overlap = losses.dice(logits, masks, weights)
        return {"cross_entropy": entropy, "dice_loss": overlap}

    # ---- what is counted before training -------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        least, most = COUNTED_IMAGES
        height, width = self.image_size
        return min(most, max(least, COUNTED_PIXELS // (height * width)))

    def prepare(self, batch: SegmentationBatch) -> None:
        """Count the classes, where they stand, and from it the balanced weights."""
        masks, classes = batch.masks, self.num_classes
        counts = count_classes(masks, classes)
        totals = counts.sum(1, keepdim=True)  # ignored pixels are none
        self.pixels.copy_(counts.sum(0))
        self.pixels_where_present.copy_(((counts > 0) * totals).sum(0))
        if self.class_weights is not None and self.balanced:
            self.class_weights.copy_(losses.balanced_weights(self.pixels, self.pixels_where_present))
        frames = batch.sizes  # relative to the picture, without the letterbox's rest
        if frames is not None:
            frames = content_sizes(frames, masks.shape[-2:], self.resize_mode)
        small = torch.cat([_scaled(mask, (PLACES, PLACES)) for mask in _cut(masks, frames)])
        # all that is never seen at a place is the commonest class there
        common = int(counts.sum(0).argmax())
        most = torch.zeros(PLACES, PLACES, dtype=torch.int64, device=masks.device)
        self.places.fill_(common)
        for k in range(classes):
            times = (small == k).sum(0)
            self.places.copy_(torch.where(times > most, k, self.places.to(masks.device)))
            most = torch.maximum(most, times)

    def check(self, batch: SegmentationBatch) -> list[str]:
        return [*findings(count_classes(batch.masks, self.num_classes), self.class_names)]

    # ---- scores and pictures -------------------------------------------------------------------------------

    def build_metrics(self) -> MetricCollection:
        return MetricCollection({"agreement": MaskAgreement(self.class_names)})

    def score(self, metrics: MetricCollection, answer: SegmentationAnswer, batch: SegmentationBatch) -> None:
        for found, truth in self._pairs(answer, batch):
            metrics.update(found, truth)

    def quality(self, answer: SegmentationAnswer, batch: SegmentationBatch) -> Tensor:
        return torch.cat([image_miou(*pair, self.num_classes) for pair in self._pairs(answer, batch)])

    def baselines(self, batch: SegmentationBatch) -> dict[str, SegmentationAnswer]:
        """``majority``: everywhere the class with the most training pixels (of this batch's truth where
        nothing was counted); ``position``: at each place the class that was there most often in training."""
        masks = self._truth(batch)
        counted = bool(self.pixels.any())
        counts = (
            self.pixels if counted else torch.bincount(masks.flatten(), minlength=256)[: self.num_classes]
        )
        found = {"majority": SegmentationAnswer(counts.argmax().to(torch.uint8).expand_as(masks))}
        if counted:
            places = torch.full_like(masks, IGNORE_INDEX)
            for place, (height, width) in zip(places, self._frames(batch), strict=True):
                place[:height, :width] = _scaled(self.places, (height, width))[0]
            found["position"] = SegmentationAnswer(places)
        return found

    def example(self) -> SegmentationBatch:
        generator = torch.Generator().manual_seed(0)
        height, width = self.image_size
        masks = torch.randint(self.num_classes, (2, height, width), generator=generator, dtype=torch.uint8)
        masks[:, :2] = IGNORE_INDEX
        images = torch.randint(256, (2, 3, height, width), generator=generator, dtype=torch.uint8)
        return SegmentationBatch(images, masks)


class MaskExport(Exportable[ImageInputs, SegmentationAnswer]):
    """The logits go along, for pictures that are answered tile by tile."""

    def __init__(self, module: Segmentation) -> None:
        height, width = module.image_size
        letterbox = module.resize_mode == "letterbox"
        how = "larger side, the rest at the right and below grey 114" if letterbox else "sides"
        notes = {
            "images": "sRGB, 0 to 255: red, green, blue; not normalised. It learned from pictures brought to "
            f"{width} x {height} px (bilinear, antialiased) by their {how}",
            "masks": "the number of each pixel's class, from 0",
            "logits": "of each class, any value; the largest wins",
        }
        super().__init__(module.forward, ScoredMasks, notes, ("tile", "overlap", "palette"))
        self.module = module

    def outputs(self, inputs: ImageInputs) -> ScoredMasks:
        logits = main_logits(self.module.outputs(inputs))
        return ScoredMasks(self.module.answer(logits, inputs).masks, logits)

    def answer(self, graph: Callable[[ImageInputs], ScoredMasks], inputs: ImageInputs) -> SegmentationAnswer:
        module, images = self.module, inputs.images
        if module.tile is None:
            fitted, _ = resize_picture(images, module.image_size, module.resize_mode)
            sizes = torch.tensor(images.shape[-2:], device=images.device).expand(len(images), 2)
            content = content_sizes(sizes, module.image_size, module.resize_mode)
            return SegmentationAnswer(restored_masks(graph(ImageInputs(fitted)).logits, content, sizes))
        if max(images.shape[-2:]) <= module.tile:
            return SegmentationAnswer(graph(inputs).masks)
        return SegmentationAnswer(
            tiles.tiled_masks(
                lambda cut: graph(ImageInputs(cut)).logits,
                images,
                module.num_classes,
                module.tile,
                module.overlap,
            )
        )


def _cut(masks: Tensor, frames: Tensor | None) -> list[Tensor]:
    """Masks [h, w], each without what lies beside its picture."""
    if frames is None:
        return list(masks)
    return [mask[:h, :w] for mask, (h, w) in zip(masks, frames.tolist(), strict=True)]


def _scaled(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """[h, w] -> [1, *size], the nearest class."""
    return F.interpolate(mask[None, None], size, mode="nearest")[0]


def _enlarged(logits: Tensor, size: tuple[int, int]) -> Tensor:
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
