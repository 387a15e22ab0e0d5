"""What a loss is made of: parts that can be added up over batches and processes before anything is divided.

A mean over the objects of a batch is not the mean of the means over its halves. So an application gives what
is summed and what it is divided by, and the division comes last: over all processes in training, over all
batches and processes in an evaluation. Then neither the number of processes nor the evaluation batch changes
a loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import torch
from torch import Tensor

from vision_apps.core import ranks

_TINY = 1e-12


def ratio(total: Tensor, count: Tensor | float, least: float = _TINY) -> Tensor:
    """``total / count``, where ``count`` is at least ``least``: 0 where nothing was counted."""
    return total / (count.clamp_min(least) if isinstance(count, Tensor) else max(count, least))


@dataclass(frozen=True)
class Part:
    """One part of a loss.

    ``total`` and ``count`` are sums over a batch, of any shape (one number each is usual), that may be added
    to those of other batches. ``value`` makes a scalar of the added sums, and depends on nothing else.
    """

    total: Tensor
    count: Tensor | float  # of pictures, objects, pixels, or the sum of their weights
    weight: float = 1.0  # in the loss; 0: only logged
    value: Callable[[Tensor, Tensor | float], Tensor] = ratio

    def counts(self) -> Tensor:
        """``count`` beside ``total``."""
        return self.count if isinstance(self.count, Tensor) else self.total.new_full((), self.count)


Parts = Mapping[str, Part]


def mean(values: Tensor, weight: float = 1.0) -> Part:
    """The part that is the mean of all entries."""
    return Part(values.sum(), values.numel(), weight)


def joined(parts: Sequence[Part], weight: float = 1.0) -> Part:
    """The weighted sum of several parts as one."""
    totals = [part.total for part in parts]
    counts = [part.counts() for part in parts]

    def value(total: Tensor, count: Tensor | float) -> Tensor:
        assert isinstance(count, Tensor)
        sums = zip(parts, _apart(total, totals), _apart(count, counts), strict=True)
        return torch.stack([part.weight * part.value(own, number) for part, own, number in sums]).sum()

    return Part(_flat(totals), _flat(counts), weight, value)


def _flat(values: Sequence[Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in values])


def _apart(flat: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """What `_flat` made of ``values``, or of others of their shapes."""
    pieces = torch.split(flat, [value.numel() for value in values])
    return [piece.view_as(value) for piece, value in zip(pieces, values, strict=True)]


def values(parts: Parts) -> dict[str, Tensor]:
    """Scalars: ``loss``, the weighted sum of the parts over the batches of all processes, and beside it each
    part by its name, but for one that is itself called ``loss``.

    Where several processes share a batch, which all have to ask, the gradients of ``loss`` are such that
    their mean over the processes, which is what DDP and FSDP take, is the gradient of the whole batch.
    """
    world = ranks.world()
    if world > 1:
        parts = _over_ranks(parts)
    found = {name: part.value(part.total, part.count) for name, part in parts.items()}
    terms = [
        value if parts[name].weight == 1 else parts[name].weight * value
        for name, value in found.items()
        if parts[name].weight
    ]
    loss = sum(terms[1:], terms[0])
    if world > 1:
        loss = loss.detach() + world * (loss - loss.detach())
    return {"loss": loss} | {name: value for name, value in found.items() if name != "loss"}


def _over_ranks(parts: Parts) -> dict[str, Part]:
    """The sums over all processes, with the gradient of this one's: one message for all parts."""
    own: list[Tensor] = []
    for part in parts.values():
        own += [part.total, part.counts().to(part.total.dtype)]
    added = _apart(ranks.summed(_flat(own).detach()), own)
    sums = [
        every + (x - x.detach()) if x.requires_grad else every for every, x in zip(added, own, strict=True)
    ]
    pairs = zip(parts.items(), sums[::2], sums[1::2], strict=True)
    return {name: replace(part, total=total, count=count) for (name, part), total, count in pairs}


class Sums:
    """The parts of a loss, added up over the batches of an evaluation in double precision."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    def add(self, parts: Parts) -> None:
        for name, part in parts.items():
            total, count = _double(part.total), part.count
            count = _double(count) if isinstance(count, Tensor) else float(count)
            before = self._parts.get(name)
            if before is not None:
                total, count = before.total + total, before.count + count
            self._parts[name] = replace(part, total=total, count=count)

    def values(self) -> dict[str, Tensor]:
        """As `values`, float32, over all processes; nothing where nothing was added."""
        found = values(self._parts) if self._parts else {}
        return {name: value.float() for name, value in found.items()}

    def restart(self) -> None:
        self._parts = {}


def _double(value: Tensor) -> Tensor:
    return value.detach().to(torch.float32 if value.device.type == "mps" else torch.float64)


class State(TypedDict):
    parts: dict[str, Tensor]
    steps: int


class RunningLosses:
    """The values of training steps between two lines of the log, summed on the device: a log in each step
    costs more than a small network's step."""

    def __init__(self) -> None:
        self.latest: dict[str, Tensor] = {}  # of the last step, detached
        self._sums: dict[str, Tensor] = {}
        self._steps = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Scalars by name."""
        self.latest = {name: value.detach() for name, value in values.items()}
        for name, value in self.latest.items():
            held = self._sums.get(name)
            self._sums[name] = value if held is None else held.to(value.device) + value
        self._steps += 1

    def means(self) -> dict[str, Tensor]:
        return {name: value / self._steps for name, value in self._sums.items()}

    def restart(self) -> None:
        self._sums, self._steps = {}, 0

    def state_dict(self) -> State:
        return {"parts": self._sums, "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        self._sums, self._steps = state["parts"], state["steps"]
