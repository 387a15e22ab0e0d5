"""Losses of logits [B, K, H, W] and masks [B, H, W] with values 0..K-1, or 255 where a pixel does not count.

Each is a part of a loss (``core.losses``): its sums may be added to those of other batches. All are 0, with
gradients, where no pixel counts.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core.conventions import IGNORE_INDEX
from vision_apps.core.losses import Part, ratio


def cross_entropy(
    logits: Tensor, masks: Tensor, class_weights: Tensor | None = None, pixel_weights: Tensor | None = None
) -> Part:
    """Mean over the pixels that count, nat; with weights the weighted mean, divided by the sum of the
    weights.

    Args:
        class_weights: [K].
        pixel_weights: [B, H, W], added to the weight of the pixel's class (U-Net, equation 2).
    """
    losses = F.cross_entropy(logits.float(), masks.long(), reduction="none", ignore_index=IGNORE_INDEX)
    return _weighted_mean(losses, masks, class_weights, pixel_weights)


def focal(logits: Tensor, masks: Tensor, class_weights: Tensor | None = None, gamma: float = 2.0) -> Part:
    """Cross-entropy times (1 - p)^gamma, p the probability of the true class: easy pixels count less (Lin et
    al. 2017, equations 4 and 5, with a softmax; their alpha is the class weight). Mean over the
    pixels that count; with class weights the weighted mean, divided by the sum of the weights."""
    losses = F.cross_entropy(logits.float(), masks.long(), reduction="none", ignore_index=IGNORE_INDEX)
    # 1 - p, without the loss of digits near p = 1
    return _weighted_mean((-torch.expm1(-losses)).clamp_min(0) ** gamma * losses, masks, class_weights)


def dice(logits: Tensor, masks: Tensor, class_weights: Tensor | None = None) -> Part:
    """1 - the mean over classes of 2 |P T| / (|P| + |T|), with probabilities for the answer P (Milletari et
    al. 2016, without their squares).

    The sums go over all pixels that count of all pictures that the loss is taken of: in training those of the
    batch, in an evaluation all. Classes that their truth lacks are left out: there the ratio would be about 0
    whatever the answer.

    Args:
        class_weights: [K], of the mean over classes.
    """
    truth = masks[:, None] == torch.arange(logits.shape[1], device=masks.device).reshape(-1, 1, 1)
    probabilities = logits.float().softmax(dim=1) * (masks != IGNORE_INDEX)[:, None]
    pixels = truth.sum((0, 2, 3))
    both = (probabilities * truth).sum((0, 2, 3))
    either = probabilities.sum((0, 2, 3)) + pixels
    return Part(torch.stack((both, either)), pixels, value=partial(_dice, class_weights=class_weights))


def _dice(total: Tensor, pixels: Tensor | float, class_weights: Tensor | None) -> Tensor:
    both, either = total
    present = torch.as_tensor(pixels, device=total.device) > 0
    weights = present.to(total.dtype) if class_weights is None else class_weights * present
    losses = 1 - ratio(2 * both, either)
    return ratio((losses * weights).sum(), weights.sum())


def balanced_weights(pixels: Tensor, pixels_where_present: Tensor) -> Tensor:
    """Median frequency balancing: float32 [K] (Eigen and Fergus 2015, section 6.3.2; SegNet of Badrinarayanan
    et al. 2017, section 4.1).

    A class's frequency is its share of the pixels of the images that have it; its weight is the median
    frequency divided by its own. A class that was not seen weighs 1.

    Args:
        pixels: of each class, [K].
        pixels_where_present: of all the images that have the class, [K].
    """
    seen = pixels > 0
    weights = torch.ones(len(pixels), dtype=torch.float32, device=pixels.device)
    if not seen.any():
        return weights
    frequency = pixels[seen].float() / pixels_where_present[seen].float()
    weights[seen] = frequency.quantile(0.5) / frequency
    return weights


def _weighted_mean(
    losses: Tensor, masks: Tensor, class_weights: Tensor | None, pixel_weights: Tensor | None = None
) -> Part:
    counted = masks != IGNORE_INDEX
    weights = counted.float()
    if class_weights is not None:
        weights = class_weights[torch.where(counted, masks, 0).long()] * weights
    if pixel_weights is not None:
        weights = weights + pixel_weights * counted
    return Part((losses * weights).sum(), weights.sum())
