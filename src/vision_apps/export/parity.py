"""Whether a file answers as the network does, on samples of the run's own test data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from vision_apps.core import assembly
from vision_apps.core.errors import DataError, RunError
from vision_apps.core.exportable import Exportable
from vision_apps.core.fields import Fields, Text, kinds, one_by_one, together
from vision_apps.core.loader import BatchLoader
from vision_apps.core.module import VisionModule
from vision_apps.core.plain import Config
from vision_apps.export.tracing import as_inputs, stretched
from vision_apps.trained.description import Entry, filled, tensors

SAMPLES = 8
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
    inputs: list[Fields]  # batches of one: 8, the first ones again where there are fewer
    source: str  # where they are from
    real: bool


def samples(config: Config, module: VisionModule, entries: Sequence[Entry]) -> Samples:
    """Of the run's test data, or the module's example where those cannot be read or lack an input. Nothing is
    downloaded.

    Args:
        entries: the inputs that the file takes; none but these are given.
    """
    names = [entry["name"] for entry in entries]
    try:
        node = {**config["data"], "augment": {}}
        node |= {"download": False} if "download" in node else {}
        data = assembly.build_data({**config, "data": node})
        data.batch_type = module.batch_type
        batches = BatchLoader(data.samples("test"), data.batch_type, batch_size=1)
        found = [module.inputs(batch) for batch in islice(batches, SAMPLES)]
        for inputs in found:
            if lacking := set(names) - tensors(inputs).keys():
                raise DataError(f"a sample has no {', '.join(sorted(lacking))}")
        source, real = f"{len(found)} samples of the run's test data", True
    except Exception as error:  # noqa: BLE001 - the data set may be anybody's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        source = f"generated samples, because the run's test data cannot be read ({reason})"
        found, real = one_by_one(module.inputs(module.example())), False
    given = [_fitted(module, inputs, entries) for inputs in found]
    return Samples([given[index % len(given)] for index in range(SAMPLES)], source, real)


def _fitted(module: VisionModule, inputs: Fields, entries: Sequence[Entry]) -> Fields:
    """What the file takes of the inputs; a length that is fixed is cut or filled up to."""
    known, given, fitted = kinds(module.input_type), tensors(inputs), {}
    for entry in entries:
        name, value, kind = entry["name"], given[entry["name"]], known.get(entry["name"])
        if kind is not None and kind.padding is not None:
            value = value[tuple(slice(n if isinstance(n, int) else None) for n in entry["shape"])]
        fitted[name] = filled(value, entry, kind)
    return as_inputs(module, fitted)


def resized(module: VisionModule, inputs: Fields, entries: Sequence[Entry]) -> Fields | None:
    """The inputs with other sizes where the file takes any: pictures a quarter higher and half wider, texts a
    third shorter (a network may know no longer ones), all else half longer; None where all sizes are fixed.
    """
    known, given, sizes = kinds(module.input_type), tensors(inputs), {}
    for entry in entries:
        other = 2 / 3 if isinstance(known.get(entry["name"]), Text) else 3 / 2
        for old, called in zip(given[entry["name"]].shape, entry["shape"], strict=True):
            if isinstance(called, str) and called != "batch":
                sizes[called] = ceil(old * (5 / 4 if called == "height" else other))
    return as_inputs(module, stretched(given, entries, sizes)) if sizes else None


@torch.inference_mode()
def of_outputs(
    exportable: Exportable[Fields, Fields],
    network: Callable[[Fields], Fields],
    names: Sequence[str],
    inputs: Sequence[Fields],
) -> list[Difference]:
    """What an application computes and what ``network``, out of a file, gives for the same inputs."""
    differences = {name: Difference(name) for name in names}

    def both(fitted: Fields) -> Fields:
        found: Fields = exportable.outputs(fitted)
        again = network(fitted)
        for name in names:
            differences[name].update(getattr(found, name), getattr(again, name))
        return found

    for some in inputs:
        exportable.answer(both, some)
    return list(differences.values())


@torch.inference_mode()
def of_answers(module: VisionModule, other: VisionModule, inputs: Sequence[Fields]) -> list[Difference]:
    """Two modules on the same samples."""
    batch = together(inputs)
    answer, again = module(batch)._asdict(), other(batch)._asdict()
    differences = [Difference(name) for name, value in answer.items() if value is not None]
    for difference in differences:
        difference.update(answer[difference.name], again[difference.name])
    return differences
