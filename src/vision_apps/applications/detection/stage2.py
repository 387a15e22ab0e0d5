"""R-CNN's second stage: a linear SVM and a ridge regression of the box for each class, on trained features.

Girshick et al., "Rich feature hierarchies for accurate object detection", CVPR 2014, section 2.3 and
appendices B and C. Both are written into the buffers of a ``region_head.Head`` with ``classifier=svm``.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.applications.detection import box_codec, matching
from vision_apps.applications.detection.module import Detection
from vision_apps.applications.detection.region import WEIGHTS, RegionDetector, RegionOutputs
from vision_apps.applications.detection.types import Target
from vision_apps.core.errors import ConfigError
from vision_apps.core.fields import replaced
from vision_apps.core.loader import BatchLoader

NEGATIVE_IOU = 0.3  # of a class' SVM: below it a region is background
RIDGE_IOU = 0.6  # from it on a region is near enough for its offsets to be about linear in the features
NORM = 20.0  # mean length of centred features, so that both penalties mean the same on any network
LAMBDA = 1000.0  # of the ridge
PENALTY = 0.001  # C of the SVMs
ROUNDS = 2  # of mining; the paper's converged after one pass over all images
EASY = 2000  # negatives that a class starts with


# of a batch: normalised pixels, the objects of each picture, and its proposals where the data has some
Pictures = tuple[Tensor, list[Target], list[Tensor] | None]


class Linear(NamedTuple):
    weight: Tensor  # float32 [outputs, D]
    bias: Tensor  # float32 [outputs]


class Regions(NamedTuple):
    """Regions of one or more pictures for both fits: N for the SVMs and, of them, R near an object."""

    features: Tensor  # float32 [N, D]
    positive: Tensor  # bool [N, K]: is an object of the class itself
    negative: Tensor  # bool [N, K]: overlaps no object of the class by 0.3
    near_features: Tensor  # float32 [R, D]
    near_labels: Tensor  # int64 [R], class of the object
    near_deltas: Tensor  # float32 [R, 4], offsets from the region to the object


def fit_svm(
    features: Tensor, positive: Tensor, negative: Tensor, penalty: float = PENALTY, rounds: int = ROUNDS
) -> Linear:
    """One linear SVM: ½ |w|² + C Σ max(0, 1 - y (w x + b))², minimised by L-BFGS; without positives it
    answers -1 always. The square is smooth, which the plain hinge of the paper is not.

    Negatives are mined: it starts with evenly chosen ones, and each round adds all that violate the margin.

    Args:
        features: float [N, D].
        positive, negative: bool [N]; the others are left out.
    """
    weight, bias = features.new_zeros(features.shape[1]), features.new_tensor(-1.0)
    if not positive.any():
        return Linear(weight, bias)
    candidates = negative.nonzero().flatten()
    kept = candidates[:: max(1, len(candidates) // EASY)]
    for _ in range(1 + rounds):
        inputs = torch.cat([features[positive], features[kept]])
        signs = torch.cat([inputs.new_ones(int(positive.sum())), -inputs.new_ones(len(kept))])
        weight, bias = _minimise(inputs, signs, penalty, weight, bias)
        hard = candidates[features[candidates] @ weight + bias > -1]
        mined = torch.cat([kept, hard]).unique()
        if len(mined) == len(kept):
            break
        kept = mined
    return Linear(weight, bias)


def _minimise(
    inputs: Tensor, signs: Tensor, penalty: float, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        slack = F.relu(1 - signs * (inputs @ weight + bias))
        loss = 0.5 * weight.square().sum() + penalty * slack.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(closure)
    return weight.detach(), bias.detach()


def fit_ridge(features: Tensor, targets: Tensor, penalty: float = LAMBDA) -> Linear:
    """Ridge regression in closed form: minimises Σ |t - W x - b|² + λ |W|², the intercept free.

    Args:
        features: float [N, D]; targets: float [N, outputs]. N = 0 answers 0.
    """
    outputs, width = targets.shape[1], features.shape[1]
    if not len(features):
        return Linear(features.new_zeros(outputs, width), features.new_zeros(outputs))
    x, t = features.double(), targets.double()
    mean_x, mean_t = x.mean(dim=0), t.mean(dim=0)
    x, t = x - mean_x, t - mean_t
    gram = x.T @ x + penalty * torch.eye(width, dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(gram, x.T @ t).T
    return Linear(weight.to(features.dtype), (mean_t - weight @ mean_x).to(features.dtype))


def collect(features: Tensor, boxes: Tensor, target: Target, num_classes: int) -> Regions:
    """What the fits take from the regions of one picture.

    Args:
        features: float [n + p, D] of the n objects of ``target``, in their order, and of p proposals.
        boxes: float [n + p, 4], first the objects.
    """
    count = len(target.boxes)
    of_class = F.one_hot(target.labels, num_classes).bool()
    overlaps = box_iou(boxes, target.boxes)
    best = overlaps.new_zeros(len(boxes), num_classes)
    positive = torch.zeros_like(best, dtype=torch.bool)
    near, owner = positive.any(dim=1), best.new_zeros(len(boxes), dtype=torch.int64)
    if count:
        best = (overlaps[:, :, None] * of_class).amax(dim=1)
        positive[:count] = of_class
        value, owner = overlaps.max(dim=1)
        near = value > RIDGE_IOU
        near[:count] = False
    negative = best < NEGATIVE_IOU
    if len(target.ignored):
        negative &= (matching.coverage(boxes, target.ignored).amax(dim=1) <= 0.5)[:, None]
    deltas = box_codec.encode(target.boxes[owner[near]], boxes[near], WEIGHTS)
    return Regions(features, positive, negative, features[near], target.labels[owner[near]], deltas)


def fit_stage2(detector: RegionDetector, batches: Iterable[Pictures]) -> None:
    """Fit the SVMs and ridge regressions of ``detector.head`` on the features it has now.

    The features of every region are held at once: 0.5 MB a picture for 514 windows and 256 features.

    Args:
        batches: normalised pixels [B, 3, H, W], objects, and proposals where the detector takes such.

    Raises:
        ConfigError: the head has no place for them.
    """
    head, classes = detector.head, detector.num_classes
    if head.classifier != "svm":
        raise ConfigError(
            f"model.head.classifier: {head.classifier}, but the second stage fits SVMs; set "
            "model.head.classifier=svm, or leave the callback out"
        )
    training = detector.training
    detector.eval()
    with torch.inference_mode(False), torch.no_grad():
        found = [
            collect(features, boxes, target, classes)
            for batch in batches
            for features, boxes, target in _pictures(detector, *batch)
        ]
        regions = Regions(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        mean = regions.features.mean(dim=0)
        scale = NORM / (regions.features - mean).norm(dim=1).mean().clamp(min=1e-6)
        scaled, near = (regions.features - mean) * scale, (regions.near_features - mean) * scale

        def unscaled(fit: Linear) -> Linear:
            return Linear(fit.weight * scale, fit.bias - fit.weight @ mean * scale)

        for k in range(classes):
            own, rows = regions.near_labels == k, slice(4 * k, 4 * k + 4)
            svm = unscaled(fit_svm(scaled, regions.positive[:, k], regions.negative[:, k]))
            ridge = unscaled(fit_ridge(near[own], regions.near_deltas[own]))
            head.svm_weight[k], head.svm_bias[k] = svm
            head.ridge_weight[rows], head.ridge_bias[rows] = ridge
        head.fitted.fill_(True)
    detector.train(training)


def _pictures(
    detector: RegionDetector, pixels: Tensor, targets: list[Target], proposals: list[Tensor] | None
) -> Iterable[tuple[Tensor, Tensor, Target]]:
    maps = detector.maps(pixels)
    boxes, _ = detector.propose(pixels, maps, proposals)
    boxes = [torch.cat([target.boxes, b]) for b, target in zip(boxes, targets, strict=True)]
    features = detector.look(pixels, maps, boxes).features.split([len(b) for b in boxes])
    return zip(features, boxes, targets, strict=True)


class FitStage2(pl.Callback):
    """Fits the second stage before each validation, so that every checkpoint carries one that goes with its
    features.

    Args:
        images: at most so many training pictures are looked at, the first ones, as they are in the data.
    """

    def __init__(self, images: int = 500) -> None:
        self.images = images

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            if not isinstance(pl_module, Detection) or not isinstance(pl_module.network, RegionDetector):
                raise ConfigError(
                    "callbacks.stage2: it fits the SVMs of a region detector, which this run has not; choose "
                    "model=detection_rcnn, or leave the callback out: ~callbacks.stage2"
                )
            fit_stage2(pl_module.network, self._batches(trainer, pl_module))

    def _batches(self, trainer: pl.Trainer, module: Detection[RegionOutputs]) -> Iterator[Pictures]:
        samples = trainer.datamodule.samples("train")  # type: ignore[attr-defined]
        loader = BatchLoader(samples, module.batch_type, batch_size=20)
        left = self.images
        for batch in loader:
            batch = replaced(batch, partial(_first, left, module.device))
            left -= len(batch.images)
            pixels, proposals = module.network_inputs(module.inputs(batch))
            yield pixels, module.targets(batch), proposals
            if left <= 0:
                return


def _first(count: int, device: torch.device, values: Tensor) -> Tensor:
    return values[:count].to(device)
