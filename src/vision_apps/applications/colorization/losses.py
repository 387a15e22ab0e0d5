"""What a colour network is trained with: the soft-target cross entropy over the bins, and the L2 baseline.

One pixel has 313 logits, of which the loss needs a few. Head and loss are therefore one operation that goes
through the pixels in chunks and takes the gradient on the way: the logits of a batch, its softmax and its
dense targets (3 x 196 MiB for 40 images of 256 px) never exist.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vision_apps.applications.colorization.ab_bins import SoftColors

AB_NORM = 110.0  # regression is done on ab / 110, as the authors' networks do
GREY = 5.0  # an image is grey when no |a| or |b| exceeds this (the authors' NonGrayMask layer)


class CrossEntropy(NamedTuple):
    """Sums over the pixels of a batch, in nat."""

    weighted: Tensor  # with the weight of each pixel: what is minimised
    plain: Tensor  # without: comparable with an entropy and between weightings; has no gradient
    pixels: int


def chunk_size(device: torch.device) -> int:
    """Pixels whose logits are held at once: 5 MB of them, near the cache, on a CPU; enough work for a GPU."""
    return 4096 if device.type == "cpu" else 65536


def pixel_chunks(batch: int, height: int, width: int, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Slices of images and rows that cover [batch, height, width] with about ``chunk`` pixels each."""
    rows = max(1, min(height, chunk // width))
    images = max(1, chunk // (height * width))
    for image in range(0, batch, images):
        for row in range(0, height, rows):
            yield slice(image, image + images), slice(row, row + rows)


def as_rows(maps: Tensor) -> Tensor:
    """[B, C, h, w] as [B * h * w, C]."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


class _HeadCrossEntropy(torch.autograd.Function):
    """Sums over all pixels of the cross entropy, weighted and plain, of a 1x1 convolution's logits."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        indices: Tensor,
        targets: Tensor,
        pixel_weights: Tensor,
        chunk: int,
        train: bool,
    ) -> tuple[Tensor, Tensor]:
        batch, channels, height, width = features.shape
        # the products are done in the features' precision, all else in float32
        head, offset = weight.flatten(1).to(features.dtype), bias.float()
        weighted = features.new_zeros((), dtype=torch.float32)
        plain = torch.zeros_like(weighted)
        if train:
            d_features = torch.empty_like(features)
            d_head = torch.zeros_like(head, dtype=torch.float32)
            d_offset = torch.zeros_like(offset)
        for images, rows in pixel_chunks(batch, height, width, chunk):
            x = as_rows(features[images, :, rows])
            index = as_rows(indices[images, :, rows]).long()
            target = as_rows(targets[images, :, rows]).float()
            importance = pixel_weights[images, rows].flatten().float()
            logits = (x @ head.T).float().add_(offset)
            # the targets of a pixel sum to 1, so any constant may be taken off its logits
            logits -= logits.amax(1, keepdim=True)
            score = logits.gather(1, index).mul_(target).sum(1)
            exponential = logits.exp_()
            total = exponential.sum(1, keepdim=True)
            entropy = total.squeeze(1).log().sub_(score)
            plain += entropy.sum()
            weighted += entropy.mul_(importance).sum()
            if train:
                error = exponential.div_(total).scatter_add_(1, index, -target).mul_(importance[:, None])
                d_offset += error.sum(0)
                error = error.to(features.dtype)
                d_head += (error.T @ x).float()
                shape = (-1, features[images, :, rows].shape[2], width, channels)
                d_features[images, :, rows] = (error @ head).view(shape).permute(0, 3, 1, 2)
        if train:
            ctx.save_for_backward(
                d_features, d_head.view(weight.shape).to(weight.dtype), d_offset.to(bias.dtype)
            )
        ctx.mark_non_differentiable(plain)
        return weighted, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # The gradient of the *sum* was kept, of order 1 per pixel: that of the mean would underflow in
        # float16.
        gradients = [gradient * scale.to(gradient.dtype) for gradient in ctx.saved_tensors]
        return (*gradients, None, None, None, None, None)


def soft_cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: SoftColors,
    pixel_weights: Tensor | None = None,
    chunk: int | None = None,
) -> CrossEntropy:
    """Cross entropy of softmax(1x1 convolution of ``features``) with soft targets (Zhang et al. 2016,
    equation 2).

    What is minimised is the mean over the pixels. The authors' Caffe layer divides the sum over pixels by the
    number of images only, so a weight decay quoted for it (1e-3 inside Adam) corresponds to one h * w times
    smaller here, with plain Adam.

    Args:
        features: what the head is applied to, [B, C, h, w], any float type.
        weight, bias: of the head, [Q, C, 1, 1] and [Q].
        pixel_weights: [B, h, w], of the loss but not of its normalisation; 1 by default.
        chunk: pixels whose logits are held at once; by default what suits the device.
    """
    batch, _, height, width = features.shape
    chunk = chunk or chunk_size(features.device)
    if pixel_weights is None:
        pixel_weights = features.new_ones((), dtype=torch.float32).expand(batch, height, width)
    train = torch.is_grad_enabled() and any(x.requires_grad for x in (features, weight, bias))
    weighted, plain = _HeadCrossEntropy.apply(
        features, weight, bias, target.indices, target.weights, pixel_weights, chunk, train
    )
    return CrossEntropy(weighted, plain, batch * height * width)


def squared_error(predicted: Tensor, ab: Tensor) -> Tensor:
    """Half the squared distance of each pixel (Zhang et al. 2016, equation 1), [B, h, w], of ab [B, 2, h, w]
    in units of 110."""
    return (predicted.float() - ab.float()).div(AB_NORM).square().sum(1).div(2)


def absolute_error(predicted: Tensor, ab: Tensor) -> Tensor:
    """|a - a'| + |b - b'| of each pixel, [B, h, w], of ab [B, 2, h, w] in units of 110 (Zhang et al. 2017,
    section 3.1)."""
    return (predicted.float() - ab.float()).div(AB_NORM).abs().sum(1)


def is_grey(ab: Tensor, limit: float = GREY) -> Tensor:
    """Whether an image has no colour, bool [B], of ab [B, 2, h, w]."""
    return ab.abs().flatten(1).amax(1) <= limit
