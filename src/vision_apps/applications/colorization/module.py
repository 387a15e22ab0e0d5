"""Colorization as an application: grey in, colour out."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchmetrics import Metric, MetricCollection

from vision_apps.applications.colorization import metrics as measures
from vision_apps.applications.colorization import scenes_truth
from vision_apps.applications.colorization.ab_bins import SoftColors, ab_bins, soft_encode
from vision_apps.applications.colorization.decode import TEMPERATURE, annealed_mean, join, upsample_ab
from vision_apps.applications.colorization.hints import read_hints, simulate_hints
from vision_apps.applications.colorization.lab import rgb_to_ab, rgb_to_lightness
from vision_apps.applications.colorization.losses import (
    absolute_error,
    is_grey,
    soft_cross_entropy,
    squared_error,
)
from vision_apps.applications.colorization.network import SIZE_MULTIPLE, ColorFeatures, ColorNetwork
from vision_apps.applications.colorization.presentation import ColorPresentation
from vision_apps.applications.colorization.rebalancing import count_prior, load_prior, rebalancing_weights
from vision_apps.applications.colorization.types import ColorAnswer, ColorBatch, ColorInputs, ExportedColor
from vision_apps.core.errors import require_no
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import OfFile, one_by_one, padded
from vision_apps.core.losses import Part, mean
from vision_apps.core.mean import Mean
from vision_apps.core.module import VisionModule

MOSTLY_GREY = 0.5  # share of pictures without colour from which on it is told


class Colorization(VisionModule[ColorBatch, ColorInputs, ColorFeatures, ColorAnswer]):
    """Learns the colours of images from their lightness (Zhang et al. 2016).

    What is trained follows from the network: classes by the soft-target cross entropy, regression by its L1
    or L2.

    Args:
        image_size: the network sees the lightness resized to about this many pixels squared, in its own
            aspect ratio; the answer keeps the input's resolution, in which it is measured. Null: it sees
            every image as it is.
        resize: px that the data scale the short side of a file to before they cut its middle out; for sheets.
        temperature: of the annealed mean, in (0, 1].
        neighbours: bins that a true colour is spread over: 5 in the paper, 10 in its code. Null: as its
            network's paper.
        rebalance: lambda of class rebalancing, in [0, 1]; 0.5 in the paper. Null: all pixels weigh alike.
        prior: file of ``vision-apps data prior``. Null: counted over the first ``prior_images`` training
            images. It is kept in the checkpoint.
        drop_grey: leave images without colour, such as black-and-white photos, out of the classification
            loss.
    """

    learned_with = ("prior", "prior_images")  # of a test the checkpoint has them
    headline = ("loss", "above_floor", "auc", "auc_rebalanced", "psnr")
    network: ColorNetwork
    prior: Tensor
    bins: Tensor

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        image_size: int | None = None,
        resize: int | None = None,
        temperature: float = TEMPERATURE,
        neighbours: int | None = None,
        rebalance: float | None = None,
        prior: str | Path | None = None,
        prior_images: int = 1000,
        drop_grey: bool = True,
    ) -> None:
        super().__init__(network, optimizer, scheduler)
        problems = []
        if not 0 < temperature <= 1:
            problems.append(f"module.temperature: {temperature}; expected above 0 and up to 1")
        if neighbours is not None and not 1 <= neighbours <= 32:
            problems.append(f"module.neighbours: {neighbours}; expected 1 to 32, or null")
        if rebalance is not None and not 0 <= rebalance <= 1:
            problems.append(f"module.rebalance: {rebalance}; expected 0 to 1, or null")
        if prior_images < 1:
            problems.append(f"module.prior_images: {prior_images}; expected at least 1")
        require_no(problems)
        self.image_size = image_size
        self.temperature = temperature
        self.neighbours = neighbours or self.network.neighbours
        self.rebalance = rebalance
        self.prior_path = prior
        self.prior_images = prior_images
        self.drop_grey = drop_grey
        head = self.network.head
        count = head.out_channels if head is not None else 313
        self.presentation = ColorPresentation(self.baselines, count, resize)
        self.exportable = ColorExport(self)
        if self.network.takes_hints:
            self.words = {"hints": "known colours as x,y,#rrggbb in pixels, several with spaces in between"}
        self.register_buffer("bins", ab_bins(count), persistent=False)
        self.register_buffer("prior", torch.zeros(count))

    # ---- the network ---------------------------------------------------------------------------------------

    def outputs(self, inputs: ColorInputs) -> ColorFeatures:
        lightness = rgb_to_lightness(inputs.images)
        hints: tuple[Tensor, ...] = ()
        if inputs.ab is not None and inputs.mask is not None:
            hints = (inputs.ab, inputs.mask)
        size = self._working_size(*lightness.shape[-2:])
        if torch.compiler.is_exporting() or size != tuple(lightness.shape[-2:]):
            lightness = interpolate(lightness, size=size, mode="bilinear", antialias=True)
            hints = tuple(interpolate(hint, size=size, mode="nearest") for hint in hints)
        return self.network(lightness, *hints)

    def _working_size(self, height: int, width: int) -> tuple[int, int]:
        """About image_size^2 pixels in the same aspect ratio, so that memory is bounded for any input."""
        if self.image_size is None:
            return height, width
        # of squares the rule below gives the same, but an exported graph does not know that it has one
        if not (torch.compiler.is_exporting() and self.takes_any_size) and height == width:
            return self.image_size, self.image_size
        scale = self.image_size / (height * width) ** 0.5
        tall, wide = (
            torch.sym_max(1, math.trunc(n * scale / SIZE_MULTIPLE + 0.5)) * SIZE_MULTIPLE
            for n in (height, width)
        )
        return tall, wide

    @property
    def takes_any_size(self) -> bool:
        """Whether one exported network takes pictures of every size: not where a square's working size is no
        multiple that other shapes have, too."""
        return self.image_size is None or self.image_size % SIZE_MULTIPLE == 0

    def training_outputs(self, batch: ColorBatch) -> ColorFeatures:
        if not self.network.takes_hints:
            return self.outputs(self.inputs(batch))
        return self.outputs(ColorInputs(batch.images, *simulate_hints(rgb_to_ab(batch.images))))

    def encode(self, images: Tensor | None, words: Mapping[str, str]) -> ColorInputs:
        assert images is not None
        if "hints" not in words:
            return ColorInputs(images)
        height, width = images.shape[-2:]
        return ColorInputs(images, *read_hints(words["hints"], height, width))

    def answer(self, outputs: ColorFeatures, inputs: ColorInputs) -> ColorAnswer:
        images = inputs.images
        size = (images.shape[-2], images.shape[-1])
        entropy = None
        if outputs.ab is not None:
            ab, stride = outputs.ab, self.network.regression_stride
        else:
            ab, entropies = annealed_mean(*self._head(outputs), self.bins, self.temperature)
            stride, entropy = self.network.stride, entropies.mean((1, 2))
        ab = upsample_ab(ab, stride, self._working_size(*size))
        if torch.compiler.is_exporting() or ab.shape[-2:] != images.shape[-2:]:
            ab = interpolate(ab, size=size, mode="bilinear", align_corners=False)
        return self._colored(ab, images)._replace(entropy=entropy)

    def measured_answer(self, outputs: ColorFeatures, batch: ColorBatch) -> ColorAnswer:
        """Of the whole files, where the batch has them; it is learned from their middle."""
        if batch.files is None:
            return self.answer(outputs, self.inputs(batch))
        return _together([self(ColorInputs(picture)) for picture in _pictures(batch)])

    def _colored(self, ab: Tensor, images: Tensor) -> ColorAnswer:
        return ColorAnswer(join(rgb_to_lightness(images), ab), ab)

    def _head(self, outputs: ColorFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """The features, and weight and bias of the layer that makes logits of them."""
        head = self.network.head
        assert head is not None and head.bias is not None and outputs.features is not None
        return outputs.features, head.weight, head.bias

    # ---- the loss ------------------------------------------------------------------------------------------

    def loss(self, outputs: ColorFeatures, batch: ColorBatch) -> dict[str, Part]:
        """``cross_entropy`` (nat per pixel) is free of weights, so that runs can be compared; ``above_floor``
        is what it lies above the best that is possible, which is known for the generated world."""
        parts: dict[str, Part] = {}
        network = self.network
        if outputs.features is not None:
            ab = rgb_to_ab(batch.images, network.stride)
            target = soft_encode(ab, self.neighbours, len(self.bins))
            entropy = soft_cross_entropy(*self._head(outputs), target, self._pixel_weights(ab, target))
            parts["loss"] = Part(entropy.weighted, entropy.pixels)
            parts["cross_entropy"] = Part(entropy.plain, entropy.pixels, weight=0)
            if batch.materials is not None:
                seen = batch.materials[:, :: network.stride, :: network.stride]
                floor = scenes_truth.floor(seen, self.neighbours, len(self.bins))
                parts["above_floor"] = Part(entropy.plain - floor.sum(), entropy.pixels, weight=0)
        if outputs.ab is not None:
            truth = rgb_to_ab(batch.images, network.regression_stride)
            error = squared_error if network.regression_loss == "l2" else absolute_error
            parts["regression"] = mean(error(outputs.ab, truth), network.regression_weight)
        return parts

    def _pixel_weights(self, ab: Tensor, target: SoftColors) -> Tensor | None:
        weights = None
        if self.rebalance is not None:
            weights = rebalancing_weights(self._prior(), self.rebalance)[target.indices[:, 0]]
        if self.drop_grey:
            colored = (~is_grey(ab)).float()[:, None, None]
            weights = colored.expand_as(ab[:, 0]) if weights is None else weights * colored
        return weights

    # ---- how common colours are ----------------------------------------------------------------------------

    @property
    def prepare_samples(self) -> int:
        return self.prior_images

    def prepare(self, batch: ColorBatch) -> None:
        count = len(self.bins)
        if self.prior_path is not None:
            prior = load_prior(self.prior_path, count)
        else:
            # nothing is refused here: the user gave no prior that could be wrong
            images = batch.images.split(64)
            prior = count_prior(images, self.neighbours, self.network.stride, count)
        self.prior.copy_(prior)

    def check(self, batch: ColorBatch) -> list[str]:
        grey = torch.cat([is_grey(rgb_to_ab(images)) for images in batch.images.split(64)])
        share = float(grey.float().mean())
        if share < MOSTLY_GREY:
            return []
        return [
            f"pictures: {int(grey.sum())} of {len(grey)} ({share:.0%}) have no colour and teach none; take "
            "them out of data.root, or begin with colours that another run has learned: init=RUN"
        ]

    def _prior(self) -> Tensor:
        """Uniform until ``prepare`` has counted."""
        return torch.where(self.prior.sum() > 0, self.prior, 1 / len(self.prior))

    # ---- what is measured ----------------------------------------------------------------------------------

    def build_metrics(self) -> MetricCollection:
        metrics: dict[str, Metric | MetricCollection] = {
            "areas": measures.ColorAuC(),
            "ab_histogram": measures.AbHistogram(),
            "colorfulness_gap": measures.AbsoluteMean(),
        }
        metrics |= {name: Mean() for name in ("psnr", "ssim", "colorfulness", "colorfulness_absolute")}
        return MetricCollection(metrics, compute_groups=False)

    def score(self, metrics: MetricCollection, answer: ColorAnswer, batch: ColorBatch) -> None:
        pictures = _pictures(batch)
        answers = [answer] if batch.files is None else one_by_one(answer)
        for found, images in zip(answers, pictures, strict=True):
            height, width = images.shape[-2:]
            _score(metrics, found.images[..., :height, :width], found.ab[..., :height, :width], images)

    def baselines(self, batch: ColorBatch) -> dict[str, ColorAnswer]:
        """``grey`` adds no colour, ``prior`` draws every pixel's from the training data's, and where the
        truth is known ``best_l2`` is what a perfect regression answers: the mean of all colours that are
        possible."""
        pictures = _pictures(batch)
        answers = {
            "grey": [torch.zeros_like(images[:, :2], dtype=torch.float32) for images in pictures],
            "prior": [self._drawn(images) for images in pictures],
        }
        if batch.materials is not None and batch.files is None:
            answers["best_l2"] = [scenes_truth.expected_ab(batch.materials)]
        return {name: _together(list(map(self._colored, ab, pictures))) for name, ab in answers.items()}

    def _drawn(self, images: Tensor) -> Tensor:
        """ab [B, 2, H, W] by the prior: the same draw for every batch, on every device."""
        height, width = images.shape[-2:]
        draw = torch.Generator().manual_seed(0)
        drawn = torch.multinomial(self._prior().cpu(), height * width, replacement=True, generator=draw)
        return (
            self.bins[drawn.to(self.bins.device)]
            .T.reshape(1, 2, height, width)
            .expand(len(images), -1, -1, -1)
        )

    def example(self) -> ColorBatch:
        """Two pictures of soft blobs in random colours."""
        size = self.image_size or 32
        coarse = torch.rand(2, 3, 4, 4, device=self.device)
        smooth = interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)
        return ColorBatch(smooth.clamp(0, 1).mul(255).to(torch.uint8))


def _pictures(batch: ColorBatch) -> list[Tensor]:
    """What is measured, pictures of one size together: the files, or where there are none the images."""
    if batch.files is None or batch.sizes is None:
        return [batch.images]
    rows = zip(batch.files, batch.sizes.tolist(), strict=True)
    return [file[None, :, :height, :width] for file, (height, width) in rows]


def _together(answers: list[ColorAnswer]) -> ColorAnswer:
    """One batch, filled up with zeros."""
    if len(answers) == 1:
        return answers[0]
    images, ab = (
        torch.cat(padded(values, "answers", OfFile()))
        for values in zip(*(a[:2] for a in answers), strict=True)
    )
    entropies = [answer.entropy for answer in answers if answer.entropy is not None]
    return ColorAnswer(images, ab, torch.cat(entropies) if entropies else None)


def _score(metrics: MetricCollection, found: Tensor, ab: Tensor, images: Tensor) -> None:
    truth = rgb_to_ab(images)
    metrics["areas"].update(ab, truth)
    metrics["ab_histogram"].update(ab, truth)
    absolute = measures.colorfulness(found, "absolute")
    metrics["psnr"].update(measures.psnr(found, images))
    if min(images.shape[-2:]) >= measures.SSIM_WINDOW:
        metrics["ssim"].update(measures.ssim(found, images))
    metrics["colorfulness"].update(measures.colorfulness(found))
    metrics["colorfulness_absolute"].update(absolute)
    metrics["colorfulness_gap"].update(absolute - measures.colorfulness(images, "absolute"))


class ColorExport(Exportable[ColorInputs, ColorAnswer]):
    def __init__(self, module: Colorization) -> None:
        notes = {
            "colored": "sRGB, 0 to 255: the lightness of the input in colour",
            "ab": "a and b of CIE Lab, about -110 to 110, not clipped to what can be shown",
            "entropy": "0 and more, in nat, mean over the pixels: 0 is certain",
        }
        size = module.image_size
        fixed = None if size is None or module.takes_any_size else (size, size)
        super().__init__(module.forward, ExportedColor, notes, image_size=fixed)

    def outputs(self, inputs: ColorInputs) -> ExportedColor:
        return ExportedColor(*self.forward(inputs))

    def answer(self, graph: Callable[[ColorInputs], ExportedColor], inputs: ColorInputs) -> ColorAnswer:
        return ColorAnswer(*graph(inputs))
