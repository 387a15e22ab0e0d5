"""Whether a file answers as the network does, on pictures of the run's own test data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vision_apps.core import assembly
from vision_apps.core.errors import RunError
from vision_apps.core.loader import BatchLoader
from vision_apps.core.module import VisionModule

SAMPLES = 8
BATCHES = (1, SAMPLES)
FLOATS = 1e-4  # largest difference, relative to the largest value of the output, at least to 1
WHOLE = 1e-3  # share of the values that may differ: whole numbers are rounded or chosen, and there are ties


@dataclass
class Difference:
    """Of one output over all comparisons."""

    name: str
    largest: float = 0.0  # absolute difference
    magnitude: float = 0.0  # largest absolute value
    differing: int = 0  # values that differ at all
    values: int = 0
    whole: bool = False
    exact: bool = False  # no difference is allowed

    def update(self, one: Tensor, other: Tensor) -> None:
        """
        Raises:
            RunError: they are of different shapes or types.
        """
        if one.shape != other.shape or one.dtype != other.dtype:
            raise RunError(
                f"the file does not answer as the network does: {self.name}: the network gives {one.dtype} "
                f"{list(one.shape)}, the file {other.dtype} {list(other.shape)}"
            )
        self.whole = not one.dtype.is_floating_point
        apart = (one.double() - other.double()).abs().nan_to_num(nan=torch.inf)
        self.largest = max(self.largest, _largest(apart))
        self.magnitude = max(self.magnitude, _largest(one.double().abs().nan_to_num(0, posinf=0)))
        self.differing += int((apart != 0).sum())
        self.values += apart.numel()

    def join(self, other: "Difference") -> None:
        self.largest = max(self.largest, other.largest)
        self.magnitude = max(self.magnitude, other.magnitude)
        self.differing += other.differing
        self.values += other.values

    @property
    def tolerance(self) -> float:
        """Of the share that differs for whole numbers, of the difference for others."""
        if self.exact:
            return 0.0
        return WHOLE if self.whole else FLOATS * max(1.0, self.magnitude)

    @property
    def measured(self) -> float:
        return self.differing / max(1, self.values) if self.whole or self.exact else self.largest

    @property
    def good(self) -> bool:
        return self.measured <= self.tolerance

    def __str__(self) -> str:
        if self.exact:
            return f"{self.name}: {self.differing} of {self.values} values differ (allowed: none)"
        if self.whole:
            return (
                f"{self.name}: {self.differing} of {self.values} values differ, by at most {self.largest:g} "
                f"(allowed: {self.tolerance:.1%} of them)"
            )
        return f"{self.name}: largest difference {self.largest:.2g} (allowed: {self.tolerance:.2g})"


def _largest(values: Tensor) -> float:
    return float(values.max()) if values.numel() else 0.0


class Samples(NamedTuple):
    batch: Any  # of the application's batch type, at most 8 samples
    source: str  # where they are from
    real: bool

    @property
    def images(self) -> Tensor:
        """uint8 [8, 3, H, W]; again from the first where there are fewer."""
        images: Tensor = self.batch.images
        return images.repeat(-(-SAMPLES // len(images)), 1, 1, 1)[:SAMPLES]


def samples(config: dict[str, Any], module: VisionModule) -> Samples:
    """Of the run's test data, or the module's example where those cannot be read. Nothing is downloaded."""
    try:
        node = {**config["data"], "augment": {}}
        node |= {"download": False} if "download" in node else {}
        data = assembly.build_data({**config, "data": node})
        data.batch_type = module.batch_type
        found = data.samples("test")
        count = min(SAMPLES, len(found))
        batch = next(iter(BatchLoader(found, data.batch_type, batch_size=count)))
        return Samples(batch, f"{count} pictures of the run's test data", True)
    except Exception as error:  # noqa: BLE001 - the data set may be anybody's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        source = f"generated pictures, because the run's test data cannot be read ({reason})"
        return Samples(module.example(), source, False)


@torch.inference_mode()
def of_graph(
    module: VisionModule, graph: Callable[[Tensor], Sequence[Tensor]], names: Sequence[str], images: Tensor
) -> list[Difference]:
    """The network and ``graph`` on the same pictures, one by one and together."""
    differences = {name: Difference(name) for name in names}

    exportable = module.exportable
    assert exportable is not None

    def both(fitted: Any) -> Any:
        found = exportable.outputs(fitted)
        for name, other in zip(names, graph(fitted.images), strict=True):
            differences[name].update(getattr(found, name), other)
        return found

    for size in BATCHES:
        for some in images.split(size):
            exportable.answer(both, module.input_type(some))
    return list(differences.values())


@torch.inference_mode()
def of_answers(module: VisionModule, other: VisionModule, batch: Any) -> list[Difference]:
    """Two modules on the same samples."""
    inputs = module.inputs(batch)
    answer, again = module(inputs), other(inputs)
    differences = []
    for name in answer._fields:
        if getattr(answer, name) is not None:
            differences.append(Difference(name))
            differences[-1].update(getattr(answer, name), getattr(again, name))
    return differences


def larger(images: Tensor) -> Tensor:
    """Two of the pictures in another height and width: mirrored, a quarter and a half more."""
    height, width = images.shape[-2:]
    wide = torch.cat([images[:2], images[:2].flip(-1)], dim=-1)[..., : width + width // 2]
    return torch.cat([wide, wide.flip(-2)], dim=-2)[..., : height + height // 4, :]
