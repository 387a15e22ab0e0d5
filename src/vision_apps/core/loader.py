"""Batches in an order that is a function of (seed, epoch), resumable from any batch."""

import functools
import logging
import weakref
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from vision_apps.core.errors import ConfigError, CorruptSample, DataError
from vision_apps.core.fields import Kind, kinds, padded
from vision_apps.core.sampling import drawn
from vision_apps.core.seeding import permutation

log = logging.getLogger(__name__)

Remainder = Literal["drop", "fill"]


class _Loaded(NamedTuple):
    """What a worker sends: a collated sample dict (None when every file of the batch is broken), the broken
    files, and why the others make no batch."""

    fields: dict[str, Tensor | list[Tensor]] | None
    corrupt: list[CorruptSample]
    problem: str = ""  # an error would arrive as the traceback of a worker


def read_sample(samples: Any, index: int) -> dict[str, Tensor]:
    """One sample by its fields, from a file or from memory; what is None is left out. `DataError` where a
    field is no tensor.
    """
    if getattr(samples, "in_memory", False):
        return {name: values[0] for name, values in samples.__getitems__([index]).items()}
    found = {name: value for name, value in samples[index].items() if value is not None}
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise DataError(
                f"data: {name!r} of sample {index} is {type(value).__name__} {repr(value)[:60]}; expected a "
                "tensor (words as their numbers, int64 [L]), or None where the sample has none"
            )
    return found


class Tolerant(Dataset[dict[str, Tensor] | DataError]):
    """Per-sample reading that hands what is wrong on as a value, so that the main process can tell it, and
    count broken files."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor] | DataError:
        try:
            return read_sample(self.samples, index)
        except DataError as wrong:
            return wrong


def _collate(known: dict[str, Kind], items: list[dict[str, Tensor] | DataError]) -> _Loaded:
    good = [item for item in items if not isinstance(item, DataError)]
    corrupt = [item for item in items if isinstance(item, CorruptSample)]
    for item in items:
        if isinstance(item, DataError) and not isinstance(item, CorruptSample):
            return _Loaded(None, corrupt, str(item))
    if not good:
        return _Loaded(None, corrupt)
    for name in {name: None for item in good for name in item}:
        if lacking := sum(name not in item for item in good):
            return _Loaded(None, corrupt, f"data: {lacking} of {len(good)} samples have no {name!r}")
    try:
        columns = [padded([item[name] for item in good], name, known.get(name)) for name in good[0]]
    except DataError as error:
        return _Loaded(None, corrupt, str(error))
    rows = [dict(zip(good[0], values, strict=True)) for values in zip(*columns, strict=True)]
    return _Loaded(default_collate(rows), corrupt)


def require_shares(samples: int, batch_size: int, world_size: int) -> None:
    """`ConfigError` where a batch cannot be shared by so many processes, `DataError` where all samples
    cannot."""
    if batch_size % world_size:
        raise ConfigError(
            f"data.batch_size: {batch_size} samples cannot be shared by {world_size} processes; "
            f"it is the global batch: choose a multiple of {world_size}, or change trainer.devices"
        )
    if not samples:
        raise DataError("data: there are no samples to train on or to measure with")
    if samples < world_size:
        raise DataError(f"data: {samples} samples cannot be shared by {world_size} processes")


def training_batches(samples: int, batch_size: int, remainder: Remainder) -> int:
    """How many batches an epoch of training has."""
    return samples // batch_size if remainder == "drop" else -(-samples // batch_size)


class BatchLoader:
    """Iterates over global batches of a data set and yields this rank's share as the application's batch
    type.

    The order of an epoch is a permutation drawn from (seed, epoch), so ``state_dict`` is two integers and a
    resumed run sees exactly the batches that an uninterrupted one sees. Data in memory is indexed directly;
    files are read by ``workers`` processes. Samples of different lengths are filled up to the longest of
    their batch. A training batch is always whole, an evaluation sees every sample once.

    Args:
        samples: see ``core.data``: with ``__getitems__`` (in memory) or ``__getitem__`` (files).
        batch_type: NamedTuple whose fields are taken from the samples' fields of the same name.
        batch_size: samples per step over all ranks.
        remainder: what becomes of the samples of an epoch that make no whole batch: ``drop`` leaves them out
            (the next epoch draws others), ``fill`` completes them with the first of the epoch.
        weights: of each sample, float [N]: an epoch draws them with replacement, as `sampling.drawn` has it;
            by default it sees each once.
        rank, world_size: this process among those that share the global batch.
        on_corrupt: ``refuse`` raises at the first broken file, ``skip`` leaves it out, counts and names it.
    """

    def __init__(
        self,
        samples: Any,
        batch_type: Any,
        *,
        batch_size: int,
        shuffle: bool = False,
        remainder: Remainder = "drop",
        weights: Tensor | None = None,
        seed: int = 0,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        on_corrupt: str = "refuse",
        pin_memory: bool = False,
    ) -> None:
        require_shares(len(samples), batch_size, world_size)
        self.samples = samples
        self.batch_type = batch_type
        self.batch_size = min(batch_size, len(samples) // world_size * world_size)
        self.shuffle = shuffle
        self.remainder = remainder
        self.weights = weights
        self.seed = seed
        self.workers = workers
        self.rank, self.world_size = rank, world_size
        self.on_corrupt = on_corrupt
        self.corrupt: dict[str, str] = {}
        self.epoch = 0
        self.batch = 0
        self.batch_sampler = None  # Lightning asks for it
        self.pin_memory = pin_memory
        self._reader: DataLoader | None = None

    @property
    def sampler(self) -> "BatchLoader":
        """Lightning announces the epoch through ``loader.sampler.set_epoch``. An attribute would keep the
        loader, and with it its reader processes, alive until some garbage collection."""
        return self

    def __len__(self) -> int:
        if self.shuffle:
            return training_batches(len(self.samples), self.batch_size, self.remainder)
        # a remainder that is too small to give every rank a sample joins the batch before it
        whole, rest = divmod(len(self.samples), self.batch_size)
        return whole + (rest >= self.world_size)

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.batch = epoch, 0

    def state_dict(self) -> dict[str, int]:
        done = self.batch >= len(self)
        return {"epoch": self.epoch + done, "batch": 0 if done else self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.batch = state["epoch"], state["batch"]

    def indices(self) -> Iterator[list[int]]:
        """This rank's sample numbers for every batch from the current one on."""
        if self.shuffle:
            order = self._drawn().tolist()
            order += order[: max(0, len(self) * self.batch_size - len(order))]
        else:
            order = list(range(len(self.samples)))
            self.batch = 0
        last = len(self) - 1
        for batch in range(self.batch, len(self)):
            start = batch * self.batch_size
            stop = len(order) if batch == last and not self.shuffle else start + self.batch_size
            yield order[start:stop][self.rank :: self.world_size]

    def _drawn(self) -> Tensor:
        if self.weights is not None:
            return drawn(self.weights, self.seed, self.epoch)
        return permutation(len(self.samples), self.seed, self.epoch)

    def __iter__(self) -> Iterator[Any]:
        # a generator: nothing happens before the first batch is asked for, when the epoch is known
        if getattr(self.samples, "in_memory", False):
            for indices in self.indices():
                self.batch += 1
                yield self._as_batch(self.samples.__getitems__(indices))
            return
        self._reader = self._reader or DataLoader(
            Tolerant(self.samples),
            batch_sampler=_Remaining(self),
            num_workers=self.workers,
            collate_fn=functools.partial(_collate, kinds(self.batch_type)),
            pin_memory=self.pin_memory,
            persistent_workers=self.workers > 0,
        )
        readable = 0
        for loaded in self._reader:
            self.batch += 1
            self._note(loaded.corrupt)
            if loaded.problem:
                raise DataError(loaded.problem)
            if loaded.fields is not None:
                readable += 1
                yield self._as_batch(loaded.fields)
            elif self.shuffle or self.world_size > 1:  # an epoch has its number of batches, on every rank
                raise DataError(
                    f"data: all {len(loaded.corrupt)} files of a batch are broken: {loaded.corrupt[0]}; "
                    "list them: vision-apps data check data=..., or choose a larger data.batch_size"
                )
        if self.corrupt and not readable:
            raise DataError(f"data: every file is broken, such as {next(iter(self.corrupt))}")

    def close(self) -> None:
        """End the reader processes; the next iteration starts new ones."""
        self._reader = None

    def _as_batch(self, fields: dict[str, Tensor | list[Tensor]]) -> Any:
        known = kinds(self.batch_type)
        found = {}
        for name in self.batch_type._fields:
            value = fields.get(name)
            if isinstance(value, list):
                value = torch.stack(padded(value, name, known.get(name)))
            if value is not None:
                found[name] = value
        return self.batch_type(**found)

    def _note(self, corrupt: list[CorruptSample]) -> None:
        for broken in corrupt:
            if self.on_corrupt == "refuse":
                raise DataError(
                    f"data: {broken}\n  Remove or mend the file, leave it out with data.on_corrupt=skip, "
                    "or list all such files: vision-apps data check data=..."
                ) from broken
            if broken.path not in self.corrupt:
                self.corrupt[broken.path] = broken.reason
                log.warning("left out a broken file (%d so far): %s", len(self.corrupt), broken)


class _Remaining:
    """The loader's remaining batches as a ``batch_sampler``: read anew at the start of each epoch.

    It does not keep the loader alive, so that the reader processes end with it and not at some garbage
    collection.
    """

    def __init__(self, loader: BatchLoader) -> None:
        self.loader = weakref.proxy(loader)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(list(self.loader.indices()))

    def __len__(self) -> int:
        return len(self.loader)
