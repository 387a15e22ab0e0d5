"""Masks that teach nothing, counted on some of the training samples."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vision_apps.core.errors import some

FEW, MOST = 0.01, 0.9  # shares of the masks from which on they are told: empty ones, and those of one class
_NAMED = 10  # classes in a line


def count_classes(masks: Tensor, classes: int) -> Tensor:
    """Pixels of each class in masks uint8 [B, H, W]: int64 [B, classes]. Ignored ones are none."""
    return torch.stack([torch.bincount(mask.flatten(), minlength=256)[:classes] for mask in masks])


def findings(counts: Tensor, class_names: Sequence[str]) -> Iterator[str]:
    """A line each: masks without a class, masks of one class only, classes that none has.

    Args:
        counts: pixels of each class in each mask, int64 [B, K].
    """
    kinds, total = (counts > 0).sum(1), len(counts)
    if (empty := int((kinds == 0).sum())) and empty / total >= FEW:
        yield (
            f"masks: {empty} of {total} ({empty / total:.0%}) are ignored everywhere and teach nothing; if "
            "their values are classes, say so: data.values={255:1}"
        )
    present = [name for name, pixels in zip(class_names, counts.sum(0).tolist(), strict=True) if pixels]
    if len(present) == 1:
        yield (
            f"masks: all pixels of {total} masks (100%) are of one class, {present[0]}: there is nothing to "
            "tell it from; if other values mean other classes, say so: data.values={255:1}"
        )
        return
    if (single := int((kinds == 1).sum())) and single / total >= MOST:
        yield (
            f"masks: {single} of {total} ({single / total:.0%}) are of one class everywhere; "
            "module.class_weights=balanced lets the others count more, where these masks are right"
        )
    if present and (missing := [name for name in class_names if name not in present]):
        yield (
            f"masks: none of {total} training masks that were looked at (0%) shows {len(missing)} of "
            f"{len(class_names)} classes ({some(missing, _NAMED)}): add pictures of them to train or, where "
            "the splits are drawn, draw others: data.split_seed=1"
        )
