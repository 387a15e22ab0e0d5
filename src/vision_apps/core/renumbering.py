"""Data whose classes have other numbers than in the run that is tested or gone on with."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from vision_apps.core.fields import Boxes, Kind, Label, Mask, MultiHot, OfFile, kinds


class Renumbered(Dataset[Any]):
    """Samples with the classes of a run in their labels, boxes and masks.

    Args:
        samples: one by one, or in memory.
        numbers: of each class in the samples the one to put in its place; other values (none, void) stay.
        batch_type: whose kinds say which fields hold classes.
        classes: how many the run knows; by default as many as the samples have.
    """

    def __init__(
        self, samples: Any, numbers: Sequence[int], batch_type: type, classes: int | None = None
    ) -> None:
        self.samples = samples
        self.numbers = torch.tensor(numbers)
        self.classes = classes or len(numbers)
        known = kinds(batch_type)
        self.columns = {name for name, kind in known.items() if isinstance(kind, MultiHot)}
        self.names = class_fields(known) - self.columns

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
        numbered = {name: self._of(fields[name]) for name in fields.keys() & self.names}
        return fields | numbered | {name: self._placed(fields[name]) for name in fields.keys() & self.columns}

    def _placed(self, columns: Tensor) -> Tensor:
        """[..., K] of the samples' classes as those of the run; one that the samples lack is in none."""
        placed = columns.new_zeros(*columns.shape[:-1], self.classes)
        placed[..., self.numbers] = columns
        return placed

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
