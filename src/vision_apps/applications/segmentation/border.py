"""U-Net's weights for the narrow strips of background between touching objects (Ronneberger et al. 2015,
section 3, equation 2)."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from vision_apps.core.conventions import IGNORE_INDEX

_NEGLIGIBLE = 6  # sigmas: farther from an object the weight is below 1.6e-7


def border_weights(masks: Tensor, w0: float = 10.0, sigma: float = 5.0) -> Tensor:
    """``w0 exp(-(d1 + d2)^2 / (2 sigma^2))`` at background pixels, 0 at others: float32 [B, H, W].

    d1 and d2 are the distances (px, between pixel centres) to the nearest and the second nearest object. An
    object is a connected component, over edges, of pixels of one class that is neither 0, the background, nor
    ignored; where there are fewer than two nothing is added.

    Args:
        masks: integers [B, H, W].
        w0, sigma: by default the paper's; sigma in px.
    """
    maps = [_of_one(mask, w0, sigma) for mask in masks.cpu().numpy()]
    return torch.from_numpy(np.stack(maps)).to(masks.device)


def _of_one(mask: NDArray[np.integer], w0: float, sigma: float) -> NDArray[np.float32]:
    nearest = np.full(mask.shape, np.inf)
    second = np.full(mask.shape, np.inf)
    margin = int(np.ceil(_NEGLIGIBLE * sigma))
    for value in np.unique(mask):
        if value in (0, IGNORE_INDEX):
            continue
        components, _ = ndimage.label(mask == value)
        for number, (rows, columns) in enumerate(ndimage.find_objects(components), 1):
            # inside a window around an object the distance to it is exact
            around = (_widened(rows, margin), _widened(columns, margin))
            distance = ndimage.distance_transform_edt(components[around] != number)
            second[around] = np.minimum(second[around], np.maximum(nearest[around], distance))
            nearest[around] = np.minimum(nearest[around], distance)
    weights = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
    return np.where(mask == 0, weights, 0).astype(np.float32)


def _widened(span: slice, margin: int) -> slice:
    return slice(max(0, span.start - margin), span.stop + margin)
