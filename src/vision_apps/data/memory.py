"""Samples decoded once and kept in memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vision_apps.core.errors import ConfigError, CorruptSample
from vision_apps.core.hardware import cores

_SHARE = 0.8  # of the machine's memory: what a split may take


class FileSamples(Protocol):
    """Samples that are read one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """The fields of one sample, of the same shapes in all but those that an attribute ``ragged`` names.
        `CorruptSample` where its files cannot be read."""


class Decoded(NamedTuple):
    """All samples that can be read."""

    fields: dict[str, Any]  # name to [n, ...], or where shapes differ to a list of n tensors
    rows: list[int]  # n: their numbers
    broken: list[CorruptSample]  # why others cannot


@torch.inference_mode(False)  # threads fill what is made here, and theirs is the usual mode
def decode(samples: FileSamples, split: str) -> Decoded:
    """Read all samples, in as many threads as there are processors. `ConfigError` where they would take more
    than four fifths of the machine's memory.

    Args:
        split: which these are, for the error.
    """
    broken: dict[int, CorruptSample] = {}
    fields: dict[str, Any] = {}
    count, row, ragged = len(samples), 0, getattr(samples, "ragged", ())

    def keep(row: int) -> None:
        try:
            sample = samples[row]
        except CorruptSample as problem:
            broken[row] = problem
            return
        if not fields:
            _require_memory(sample, count, split)
            fields.update(
                {
                    name: [value] * count if name in ragged else value.new_empty(count, *value.shape)
                    for name, value in sample.items()
                }
            )
        for name, value in sample.items():
            fields[name][row] = value

    while row < count and not fields:  # the first tells how much memory all take
        keep(row)
        row += 1
    with ThreadPoolExecutor(cores()) as pool:  # decoders compute without Python's lock
        list(pool.map(keep, range(row, count)))
    rows = [row for row in range(count) if row not in broken]
    if broken:
        for values in fields.values():
            for place, row in enumerate(rows):  # in place: a copy might not fit
                values[place] = values[row]
    return Decoded(
        {name: values[: len(rows)] for name, values in fields.items()},
        rows,
        [problem for _, problem in sorted(broken.items(), key=lambda item: item[0])],
    )


def _require_memory(sample: dict[str, Tensor], count: int, split: str) -> None:
    needed, memory = count * sum(value.nbytes for value in sample.values()), _memory()
    if needed > _SHARE * memory:
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in sample.items())
        raise ConfigError(
            f"data.in_memory: {count} samples of {split} ({shapes}) take {needed / 2**30:.1f} GiB and the "
            f"machine has {memory / 2**30:.1f}; data.in_memory=false reads them anew each time"
        )


def _memory() -> float:
    """Of the machine, bytes; without end where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return float("inf")
