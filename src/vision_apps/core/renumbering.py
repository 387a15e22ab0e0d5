"""Data whose classes have other numbers than in the run that is tested or gone on with."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from vision_apps.core.fields import Boxes, Kind, Label, Mask, OfFile, kinds


class Renumbered(Dataset[Any]):
    """Samples with the classes of a run in their labels, boxes and masks.

    Args:
        samples: one by one, or in memory.
        numbers: of each class in the samples the one to put in its place; other values (none, void) stay.
        batch_type: whose kinds say which fields hold classes.
    """

    def __init__(self, samples: Any, numbers: Sequence[int], batch_type: type) -> None:
        self.samples = samples
        self.numbers = torch.tensor(numbers)
        self.names = class_fields(kinds(batch_type))

    @property
    def in_memory(self) -> bool:
        return getattr(self.samples, "in_memory", False)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._renumbered(self.samples[index])

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        return self._renumbered(self.samples.__getitems__(indices))

    def _renumbered(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: self._of(value) if name in self.names else value for name, value in fields.items()}

    def _of(self, value: Any) -> Any:
        if not isinstance(value, Tensor):  # tensors of several shapes, or none
            return value and [self._of(one) for one in value]
        is_class = (value >= 0) & (value < len(self.numbers))
        known = self.numbers[value.long() * is_class]
        return torch.where(is_class, known.to(value.dtype), value)


def class_fields(known: dict[str, Kind]) -> set[str]:
    """The fields that hold numbers of classes."""
    own = {
        name
        for name, kind in known.items()
        if isinstance(kind, Label | Mask) or (isinstance(kind, OfFile) and kind.classes)
    }
    return own | {kind.present for kind in known.values() if isinstance(kind, Boxes) and kind.present}
