"""Which reference box (anchor, window, proposal) stands for which object, and which ones are trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from vision_apps.core import draws
from vision_apps.networks.boxes import area, intersection

BACKGROUND = -1
BETWEEN = -2  # neither positive nor negative: left out of the loss


def match(overlaps: Tensor, low: float, high: float, best_of_each: bool = False) -> Tensor:
    """For each reference the number of its object, ``BACKGROUND`` or ``BETWEEN``: int64 [a].

    A reference belongs to the object that it overlaps most: from ``high`` on it is positive, below ``low``
    background. With ``best_of_each`` the best references of every object (all of them, when equal) are
    positive too, however little they overlap, so that no object is without one (Ren et al. 2015, section
    3.1.2); where they are best for several objects, the one they overlap most has them.

    Args:
        overlaps: IoU of objects and references, float [n, a]; n may be 0.
    """
    if not len(overlaps):
        return torch.full((overlaps.shape[1],), BACKGROUND, dtype=torch.int64, device=overlaps.device)
    value, index = overlaps.max(dim=0)
    matched = index.where(value >= high, torch.full_like(index, BETWEEN))
    matched[value < low] = BACKGROUND
    if best_of_each and overlaps.shape[1]:
        best = overlaps.max(dim=1, keepdim=True).values
        candidates = overlaps.where((overlaps == best) & (best > 0), torch.full_like(overlaps, -1.0))
        strongest, owner = candidates.max(dim=0)
        taken = strongest > 0
        matched[taken] = owner[taken]
    return matched


def coverage(boxes: Tensor, regions: Tensor) -> Tensor:
    """Share of each box's own area that lies in each region: float [n, m] from [n, 4] and [m, 4]."""
    own = area(boxes).clamp(min=torch.finfo(boxes.dtype).tiny)
    return intersection(boxes[:, None], regions) / own[:, None]


def assign(
    references: Tensor, boxes: Tensor, ignored: Tensor, low: float, high: float, best_of_each: bool = False
) -> Tensor:
    """``match`` of the references [a, 4] with the objects of one picture; those that lie by more than half
    in an ignored region [m, 4] (VOC difficult, COCO crowd) are ``BETWEEN``."""
    matched = match(box_iou(boxes, references), low, high, best_of_each)
    if len(ignored) and len(references):
        matched[coverage(references, ignored).amax(dim=1) > 0.5] = BETWEEN
    return matched


def sample(
    matched: Tensor, count: int, positive_share: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Indices of at most ``count`` references: positives, at most ``positive_share`` of them, and background.

    Where positives are few, background fills up to ``count``. They are drawn from the ``generator`` of the
    picture (on the CPU); without one they are spread evenly over the list, the same ones every time.
    """
    positives = (matched >= 0).nonzero().flatten()
    negatives = (matched == BACKGROUND).nonzero().flatten()
    wanted = min(len(positives), int(count * positive_share))
    return _take(positives, wanted, generator), _take(negatives, count - wanted, generator)


def generators(count: int, random: bool) -> Sequence[torch.Generator | None]:
    """What `sample` draws from, of so many pictures: nothing where it is not ``random``."""
    return draws.generators(count) if random else [None] * count


def _take(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    if len(indices) <= count:
        return indices
    if generator is not None:
        return indices[torch.randperm(len(indices), generator=generator)[:count].to(indices.device)]
    return indices[torch.arange(count, device=indices.device) * len(indices) // count]
