"""Random numbers for each sample of a training batch, whatever number of processes shares it: each process
draws for the global batch and takes the rows of its samples.

They come from the CPU, whatever the batch's device, so that a GPU sees the same as the CPU and never waits
for a draw. Where a process has left out broken files its rows are not those that one process would have
drawn.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vision_apps.core import ranks
from vision_apps.core.seeding import generator


def drawn(count: int, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
    """What ``draw``, from a number of samples and a generator to a row for each, gives ``count`` samples of
    this process."""
    # as the loader shares a batch
    return draw(count * ranks.world(), generator())[ranks.rank() :: ranks.world()]


def uniform(count: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """float32 [count, *shape], evenly in [low, high)."""
    return drawn(count, lambda n, g: torch.empty(n, *shape).uniform_(low, high, generator=g))


def normal(count: int, *shape: int) -> Tensor:
    """float32 [count, *shape], of mean 0 and deviation 1."""
    return drawn(count, lambda n, g: torch.randn(n, *shape, generator=g))


def integers(low: int, high: int, count: int, *shape: int) -> Tensor:
    """int64 [count, *shape], evenly from ``low`` to ``high`` - 1."""
    return drawn(count, lambda n, g: torch.randint(low, high, (n, *shape), generator=g))


def generators(count: int) -> list[torch.Generator]:
    """One for each sample, for what is drawn a different number of times for each."""
    return [torch.Generator().manual_seed(seed) for seed in integers(0, 1 << 62, count).tolist()]


@contextlib.contextmanager
def apart(count: int, device: torch.device) -> Iterator[Callable[[int], None]]:
    """What draws from torch's global generators draws for each of ``count`` samples something of its own,
    from the call with its number on; afterwards they are as they were."""
    seeds = integers(0, 1 << 62, count).tolist()
    own, on_device = torch.default_generator, device.type == "cuda"
    before = own.get_state(), torch.cuda.get_rng_state(device) if on_device else None

    def seed(index: int) -> None:
        own.manual_seed(seeds[index])
        if on_device:
            torch.cuda.manual_seed(seeds[index])

    try:
        yield seed
    finally:
        own.set_state(before[0])
        if before[1] is not None:
            torch.cuda.set_rng_state(before[1], device)


@contextlib.contextmanager
def alike() -> Iterator[None]:
    """What draws from torch's global generator draws the same in all processes: for what is drawn once for
    the whole batch."""
    shared, own = generator(), torch.default_generator
    if shared is own:
        yield
        return
    before = own.get_state()
    own.set_state(shared.get_state())
    try:
        yield
    finally:
        shared.set_state(own.get_state())
        own.set_state(before)
