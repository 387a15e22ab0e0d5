"""From the scores of fitted pictures to the masks of their files."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vision_apps.core.conventions import IGNORE_INDEX

_AT_ONCE = 2**24  # scores that are enlarged together: 64 MB


def restored_masks(logits: Tensor, content: Tensor, sizes: Tensor) -> Tensor:
    """The class with the largest score at each pixel of each file: uint8 [B, h, w] of the largest, 255 past a
    smaller one's end.

    The scores are enlarged or reduced bilinearly, some rows at a time: beside them and the masks, the memory
    is bounded whatever the sizes.

    Args:
        logits: [B, K, H, W].
        content: height and width that the pictures take of H x W, at the top left, int64 [B, 2].
        sizes: height and width of the files, int64 [B, 2].
    """
    height, width = sizes.amax(0).tolist()
    masks = torch.full((len(logits), height, width), IGNORE_INDEX, dtype=torch.uint8, device=logits.device)
    for scores, mask, (inner, across), (h, w) in zip(
        logits, masks, content.tolist(), sizes.tolist(), strict=True
    ):
        _restore(scores[:, :inner, :across], mask[:h, :w])
    return masks


def _restore(scores: Tensor, mask: Tensor) -> None:
    """Scores [K, h', w'] into a mask [h, w], as ``interpolate`` places them (``align_corners=False``)."""
    classes, inner, across = scores.shape
    height, width = mask.shape
    if (inner, across) == (height, width):
        mask.copy_(scores.max(dim=0).indices)
        return
    at_once = max(1, _AT_ONCE // (classes * max(width, across)))
    for start in range(0, height, at_once):
        rows = torch.arange(start, min(start + at_once, height), device=scores.device)
        places = ((rows + 0.5) * (inner / height) - 0.5).clamp(0, inner - 1)
        above = places.long()
        share = (places - above)[:, None]
        below = (above + 1).clamp(max=inner - 1)
        strip = torch.lerp(scores[:, above].float(), scores[:, below].float(), share)
        wide = F.interpolate(strip[None], (len(rows), width), mode="bilinear", align_corners=False)[0]
        mask[start : start + len(rows)] = wide.max(dim=0).indices
