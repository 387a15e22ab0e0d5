"""Data sets that fit in memory: read once, shared by their splits."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vision_apps.core.data import split_indices
from vision_apps.core.errors import ConfigError


class Rows:
    """Some rows of tensors that are kept whole, so that train and val share one copy of 150 MB.

    Args:
        values: name to tensor [N, ...].
        rows: int64 [n], the sample numbers of this split.
        fields: the names to offer.
    """

    in_memory = True

    def __init__(self, values: Mapping[str, Tensor], rows: Tensor, fields: Sequence[str]) -> None:
        self.values = {name: values[name] for name in fields}
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        rows = self.rows[torch.tensor(indices)]
        return {name: values.index_select(0, rows) for name, values in self.values.items()}


def training_rows(count: int, val_images: int, seed: int) -> dict[str, Tensor]:
    """The official training images' numbers, split into ``train`` and ``val``: disjoint, seeded."""
    if not 0 < val_images < count:
        raise ConfigError(
            f"data.val_images: {val_images} of {count} training images cannot be held out; "
            f"expected 1 to {count - 1}"
        )
    train, val = split_indices(count, val_images, seed)
    return {"train": train, "val": val}
