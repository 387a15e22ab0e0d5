"""The training samples that a new run measures before its first step."""

from typing import Any

import torch
from torch import Tensor

from vision_apps.core.data import VisionData
from vision_apps.core.loader import BatchLoader
from vision_apps.core.module import VisionModule

AT_ONCE = 1000  # samples in memory that are copied whole before some of their fields are emptied


class Emptied:
    """Samples that are read without some fields, which are there with no values."""

    def __init__(self, samples: Any, names: tuple[str, ...]) -> None:
        self.samples = samples
        self.names = names

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {**self.samples[index], **{name: torch.zeros(0) for name in self.names}}


def batch_of(data: VisionData, module: VisionModule) -> Any:
    """What ``module`` prepares with: as many training samples as it says, drawn where there are more. Where
    it does without some fields it gets all samples, with these fields empty, [B, 0]: what stands in files is
    not read. The other fields have the same shape in all samples."""
    samples, left_out = data.samples("train"), module.prepare_without
    if not left_out:
        loader = BatchLoader(
            samples,
            module.batch_type,
            batch_size=module.prepare_samples,
            shuffle=True,  # a folder may be sorted by class
            seed=data.seed,
            on_corrupt=data.on_corrupt,
        )
        return next(iter(loader))
    if not getattr(samples, "in_memory", False):
        samples = Emptied(data.samples_without("train", *left_out), left_out)
    loader = BatchLoader(samples, module.batch_type, batch_size=AT_ONCE, on_corrupt=data.on_corrupt)
    parts = [batch._replace(**{name: torch.zeros(len(batch[0]), 0) for name in left_out}) for batch in loader]
    return module.batch_type(*map(torch.cat, zip(*parts, strict=True)))
